"""Makes the small image files in files/: the kinds of sample, colour, compression and metadata that real files hold.

    pip install numpy==2.2.6 pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6
    python make_files.py

Then run opencv_reference.py, which writes down what OpenCV makes of them.
"""

import io
import os
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "files")
W, H = 21, 13


def pattern(channels, width=W, height=H, bits=8):
    """Gradients with a hard edge: no two rows, columns or channels are alike."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    top = (1 << bits) - 1
    v = (x * (7 + 2 * c) + y * (11 - 3 * c) + 40 * c) * top // 255 * 255 // (8 * (width + height))
    v = np.where((x > width // 2) ^ (y > height // 2), top - v, v)
    v = np.clip(v + (x * 37 + y * 101 + c * 53) % max(top // 16, 2), 0, top)
    return v.astype(np.uint16 if bits > 8 else np.uint8)


RGB, RGBA = pattern(3), pattern(4)
GRAY = pattern(1)[:, :, 0]
PICTURE = Image.fromarray(pattern(3, 64, 48))


def write(name, data):
    with open(os.path.join(FILES, name), "wb") as f:
        f.write(data)


def save(name, image, **options):
    image.save(os.path.join(FILES, name), **options)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def exif(orientation, big_endian=False, kind=3):
    """A minimal EXIF block: one directory, one entry."""
    e = ">" if big_endian else "<"
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(e + "I", 8)
    value = struct.pack(e + "HH", orientation, 0) if kind == 3 else struct.pack(e + "I", orientation)
    return head + struct.pack(e + "HHHI", 1, 0x0112, kind, 1) + value + struct.pack(e + "I", 0)


# ---------------------------------------------------------------- JPEG
def jpegs():
    small = Image.fromarray(RGB)
    for o in range(1, 9):
        save(f"exif_{o}.jpg", small, quality=80, exif=b"Exif\0\0" + exif(o, big_endian=o % 2 == 0))
    save("exif_long.jpg", small, quality=80, exif=b"Exif\0\0" + exif(6, kind=4))
    save("exif_9.jpg", small, quality=80, exif=b"Exif\0\0" + exif(9))
    save("gray.jpg", Image.fromarray(GRAY), quality=85)
    save("1x1.jpg", Image.fromarray(RGB[:1, :1]))
    save("rgb.jpg", small, quality=85, keep_rgb=True)
    for name, sampling in {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0", "411": "4:1:1"}.items():
        save(f"baseline_{name}.jpg", PICTURE, quality=70, subsampling=sampling)
        save(f"progressive_{name}.jpg", PICTURE, quality=70, subsampling=sampling, progressive=True)
    save("restart.jpg", PICTURE, quality=70, restart_marker_blocks=2)
    cmyk = Image.fromarray(pattern(4, 32, 24), "CMYK")
    adobe = saved(cmyk, format="JPEG", quality=90)
    write("cmyk.jpg", adobe)
    at = adobe.index(b"Adobe") + 11  # the colour transform: 0 is CMYK, 2 is YCCK
    write("ycck.jpg", adobe[:at] + b"\x02" + adobe[at + 1:])
    segment = adobe.index(b"\xff\xee")
    write("cmyk_without_adobe.jpg", adobe[:segment] + adobe[segment + 16:])
    # as a camera card that was pulled too early leaves them
    for kind in ("baseline", "progressive"):
        whole = saved(PICTURE, format="JPEG", quality=85, progressive=kind == "progressive")
        scan = whole.index(b"\xff\xda")
        for percent in (10, 50, 90):
            write(f"{kind}_cut_{percent}.jpg", whole[: scan + (len(whole) - scan) * percent // 100])
        write(f"{kind}_no_end.jpg", whole[:-2])
        write(f"{kind}_trailing.jpg", whole + b"\0trailing bytes")
    write("no_scan.jpg", whole[:scan])


# ---------------------------------------------------------------- orientations, by format, place and form
def orientations():
    """Files that say, in some way, that they must be turned by 90 degrees."""
    small = Image.fromarray(RGB)
    jpeg = saved(small, format="JPEG", quality=80)
    quantization, frame, scan = (jpeg.index(marker) for marker in (b"\xff\xdb", b"\xff\xc0", b"\xff\xda"))
    app0 = jpeg[2:quantization]

    def app1(body):
        return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body

    def ifd(entries, big=False, offset=8, following=b"", mark=42):
        e = ">" if big else "<"
        out = (b"MM" if big else b"II") + struct.pack(e + "HI", mark, offset) + b"\0" * (offset - 8) + struct.pack(e + "H", len(entries))
        for tag, kind, count, value in entries:
            out += struct.pack(e + "HHI", tag, kind, count) + (value if isinstance(value, bytes) else struct.pack(e + "HH", value, 0))
        return out + struct.pack(e + "I", len(out) + 4 if following else 0) + following

    turned = (0x0112, 3, 1, 6)
    blocks = {
        "little": exif(6), "big": exif(6, True), "long_value": exif(6, kind=4), "long_value_big": exif(6, True, kind=4),
        "byte_value": ifd([(0x0112, 1, 1, b"\6\0\0\0")]), "count_0": ifd([(0x0112, 3, 0, 6)]), "count_2": ifd([(0x0112, 3, 2, 6)]),
        "value_0": ifd([(0x0112, 3, 1, 0)]), "value_9": ifd([(0x0112, 3, 1, 9)]), "value_262": ifd([(0x0112, 3, 1, 262)]),
        "after_text": ifd([(0x010F, 2, 4, b"abc\0"), turned]), "unsorted": ifd([turned, (0x0100, 3, 1, 21)]),
        "twice": ifd([turned, (0x0112, 3, 1, 3)]), "far": ifd([turned], offset=40), "second_directory": ifd([(0x0100, 3, 1, 21)], following=ifd([turned])[8:]),
        "unknown_type": ifd([(0x0100, 99, 1, 21), turned]), "offset_outside": ifd([(0x010F, 2, 400, struct.pack("<I", 90000)), turned]),
        "bad_order_mark": b"IX" + exif(6)[2:], "bad_magic": ifd([turned], mark=43), "cut_before_value": exif(6)[:18], "cut_after_value": exif(6)[:20],
        "too_many_entries": exif(6)[:8] + b"\2\0" + exif(6)[10:], "directory_outside": exif(6)[:4] + b"\xff\0\0\0" + exif(6)[8:], "empty": b"",
    }
    for name, block in blocks.items():
        write(f"turned_{name}.jpg", jpeg[:quantization] + app1(b"Exif\0\0" + block) + jpeg[quantization:])
    marked = app1(b"Exif\0\0" + exif(6))
    xmp = app1(b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    places = {
        "before_jfif": jpeg[:2] + marked + jpeg[2:], "without_jfif": jpeg[:2] + marked + jpeg[2 + len(app0):], "before_frame": jpeg[:frame] + marked + jpeg[frame:],
        "before_scan": jpeg[:scan] + marked + jpeg[scan:], "after_scan": jpeg[:-2] + marked + jpeg[-2:], "after_end": jpeg + marked,
        "after_xmp": jpeg[:quantization] + xmp + marked + jpeg[quantization:], "before_xmp": jpeg[:quantization] + marked + xmp + jpeg[quantization:],
        "two_blocks": jpeg[:quantization] + marked + app1(b"Exif\0\0" + exif(3)) + jpeg[quantization:],
        "damaged_then_good": jpeg[:quantization] + app1(b"Exif\0\0" + exif(6)[:12]) + marked + jpeg[quantization:],
        "other_segment": jpeg[:quantization] + b"\xff\xe5" + marked[2:] + jpeg[quantization:],
        "padded_header": jpeg[:quantization] + app1(b"Exif\0\xff" + exif(6)) + jpeg[quantization:],
        "without_header": jpeg[:quantization] + app1(exif(6)) + jpeg[quantization:],
    }
    for name, data in places.items():
        write(f"turned_{name}.jpg", data)

    def chunk(name, body, crc=0):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ crc)

    rgb8 = RGB.reshape(H, -1)
    whole = png(rgb8, 8, 2, width=W)
    data, end = whole.index(b"IDAT") - 4, len(whole) - 12
    half = (end - data - 12) // 2
    two_chunks = chunk(b"IDAT", whole[data + 8: data + 8 + half]), chunk(b"IDAT", whole[data + 8 + half: end - 4])
    good, profile = chunk(b"eXIf", exif(6)), b"Exif\0\0" + exif(6)
    text = f"\nexif\n{len(profile):8}\n{profile.hex()}\n".encode()
    forms = {
        "": [good], "big": [chunk(b"eXIf", exif(6, True))], "header": [chunk(b"eXIf", profile)], "bad_checksum": [chunk(b"eXIf", exif(6), 1)],
        "twice": [good, chunk(b"eXIf", exif(3))], "cut": [chunk(b"eXIf", exif(6)[:12])], "empty": [chunk(b"eXIf", b"")],
        "text": [chunk(b"tEXt", b"Raw profile type exif\0" + text)], "compressed_text": [chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))],
        "app1_text": [chunk(b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(text.replace(b"exif", b"APP1")))],
        "international_text": [chunk(b"iTXt", b"Raw profile type exif\0\0\0\0\0" + text)],
        "text_and_chunk": [chunk(b"tEXt", b"Raw profile type exif\0" + text), chunk(b"eXIf", exif(3))],
    }
    for name, chunks in forms.items():
        chunks, suffix = b"".join(chunks), f"_{name}" if name else ""
        write(f"turned_before_data{suffix}.png", whole[:data] + chunks + whole[data:])
        write(f"turned_after_data{suffix}.png", whole[:end] + chunks + whole[end:])
    write("turned_between_data.png", whole[:data] + two_chunks[0] + good + two_chunks[1] + whole[end:])
    write("turned_after_end.png", whole + good)
    write("turned_before_and_after.png", whole[:data] + good + whole[data:end] + chunk(b"eXIf", exif(3)) + whole[end:])
    frames = [small, Image.fromarray(255 - RGB)]
    save("turned_animated.png", frames[0], save_all=True, append_images=frames[1:], duration=100, exif=exif(6))

    def webp(chunks):
        body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
        return b"RIFF" + struct.pack("<I", len(body)) + body

    still = saved(small, format="WEBP", lossless=True)
    data = still[20: 20 + struct.unpack("<I", still[16:20])[0]]
    header = bytes([8, 0, 0, 0, W - 1, 0, 0, H - 1, 0, 0])
    for name, chunks in {
        "": [(b"VP8X", header), (b"VP8L", data), (b"EXIF", exif(6))], "header": [(b"VP8X", header), (b"VP8L", data), (b"EXIF", profile)],
        "before_data": [(b"VP8X", header), (b"EXIF", exif(6)), (b"VP8L", data)], "no_flag": [(b"VP8X", bytes(4) + header[4:]), (b"VP8L", data), (b"EXIF", exif(6))],
        "simple": [(b"VP8L", data), (b"EXIF", exif(6))], "cut": [(b"VP8X", header), (b"VP8L", data), (b"EXIF", exif(6)[:12])],
    }.items():
        write(f"turned_chunk{'_' + name if name else ''}.webp", webp(chunks))


# ---------------------------------------------------------------- PNG
def png(samples, bits, color, palette=None, trns=None, chunks=(), width=None):
    height, width = samples.shape[0], width or samples.shape[1]
    rows = b""
    for row in samples:
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        elif bits == 8:
            packed = row.astype(np.uint8).tobytes()
        else:
            packed = np.packbits(((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)).tobytes()
        rows += b"\0" + packed

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    for name, body in chunks:
        out += chunk(name, body)
    if palette is not None:
        out += chunk(b"PLTE", palette)
    if trns is not None:
        out += chunk(b"tRNS", trns)
    return out + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def pngs():
    colors = pattern(3, 256, 1).reshape(-1, 3)
    for bits in (1, 2, 4, 8):
        level = (GRAY >> (8 - bits)).astype(np.uint8)
        write(f"gray{bits}.png", png(level, bits, 0))
        write(f"gray{bits}_trns.png", png(level, bits, 0, trns=struct.pack(">H", int(level[0, 0]))))
        palette = colors[: 1 << bits].tobytes()
        write(f"palette{bits}.png", png(level, bits, 3, palette))
        write(f"palette{bits}_trns.png", png(level, bits, 3, palette, trns=bytes([0, 100, 200][: 1 << bits])))
    for bits in (8, 16):
        for name, channels, color in (("gray", 1, 0), ("rgb", 3, 2), ("gray_alpha", 2, 4), ("rgba", 4, 6)):
            samples = pattern(channels, bits=bits)
            if name != "gray" or bits == 16:
                write(f"{name}{bits}.png", png(samples.reshape(H, -1), bits, color, width=W))
    first = pattern(3, bits=16)[0, 0]
    write("rgb16_trns.png", png(pattern(3, bits=16).reshape(H, -1), 16, 2, trns=struct.pack(">3H", *map(int, first)), width=W))
    rgb8 = RGB.reshape(H, -1)
    write("rgb8_trns.png", png(rgb8, 8, 2, trns=struct.pack(">3H", *map(int, RGB[0, 0])), width=W))
    write("gamma.png", png(rgb8, 8, 2, chunks=[(b"gAMA", struct.pack(">I", 100000))], width=W))
    write("background.png", png(RGBA.reshape(H, -1), 8, 6, chunks=[(b"bKGD", struct.pack(">3H", 255, 0, 0))], width=W))
    write("significant_bits.png", png(rgb8, 8, 2, chunks=[(b"sBIT", b"\5\6\5")], width=W))
    for o in range(1, 9):
        write(f"exif_{o}.png", png(rgb8, 8, 2, chunks=[(b"eXIf", exif(o, big_endian=o % 2 == 0))], width=W))
    whole = png(rgb8, 8, 2, width=W)
    write("cut.png", whole[: len(whole) // 2])
    write("no_end.png", whole[:-12])
    write("bad_crc.png", whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    save("animated.png", frames[0], save_all=True, append_images=frames[1:], duration=100)
    save("animated_default.png", frames[0], save_all=True, append_images=frames[1:], duration=100, default_image=True)


# ---------------------------------------------------------------- WebP
def webps():
    rgb, rgba = Image.fromarray(RGB), Image.fromarray(RGBA)
    save("lossy.webp", PICTURE, quality=70)
    save("lossless.webp", rgb, lossless=True)
    save("lossless_alpha.webp", rgba, lossless=True, exact=True)
    save("lossy_alpha.webp", rgba, quality=80, exact=True)
    for o in range(1, 9):
        save(f"exif_{o}.webp", rgb, lossless=True, exif=exif(o))
    save("exif_header.webp", rgb, lossless=True, exif=b"Exif\0\0" + exif(6))
    second = Image.fromarray(255 - RGB)
    save("animated.webp", rgb, save_all=True, append_images=[second], lossless=True, duration=100)
    save("animated_lossy.webp", PICTURE, save_all=True, append_images=[PICTURE.rotate(180)], quality=60, duration=100)
    save("animated_alpha.webp", rgba, save_all=True, append_images=[second.convert("RGBA")], lossless=True, exact=True, duration=100)
    still = saved(PICTURE, format="WEBP", quality=70)
    write("cut.webp", still[: len(still) // 2])


# ---------------------------------------------------------------- GIF
def gif(frames, screen=(W, H), background=0, global_palette=True):
    """Frames are (left, top, indices, transparent or None, local palette or None, interlaced)."""
    colors = pattern(3, 16, 1).reshape(-1, 3)
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF3 if global_palette else 0x70, background, 0)
    out += colors.tobytes() if global_palette else b""
    for left, top, indices, transparent, palette, interlaced in frames:
        height, width = indices.shape
        if transparent is not None:
            out += b"\x21\xf9\x04" + struct.pack("<BHBB", 1, 10, transparent, 0)
        flags = (0x80 | 3 if palette is not None else 0) | (0x40 if interlaced else 0)
        out += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags)
        out += palette.tobytes() if palette is not None else b""
        if interlaced:
            order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
            indices = indices[order]
        # LZW that never grows its table: a clear code before every few pixels
        bits = []
        for i, value in enumerate(indices.reshape(-1).tolist()):
            if i % 12 == 0:
                bits += [(16 >> b) & 1 for b in range(5)]
            bits += [(value >> b) & 1 for b in range(5)]
        bits += [(17 >> b) & 1 for b in range(5)]
        body = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
        out += b"\x04"
        for at in range(0, len(body), 255):
            block = body[at: at + 255]
            out += bytes([len(block)]) + block
        out += b"\0"
    return out + b";"


def gifs():
    index = (GRAY >> 4).astype(np.uint8)
    local = pattern(3, 16, 1).reshape(-1, 3)[::-1].copy()
    part = index[3:9, 4:14]
    write("plain.gif", gif([(0, 0, index, None, None, False)]))
    write("interlaced.gif", gif([(0, 0, index, None, None, True)]))
    write("local_palette.gif", gif([(0, 0, index, None, local, False)]))
    write("only_local_palette.gif", gif([(0, 0, index, None, local, False)], global_palette=False))
    write("transparent.gif", gif([(0, 0, index, int(index[0, 0]), None, False)], background=3))
    write("part.gif", gif([(4, 3, part, None, None, False)], background=3))
    write("part_transparent.gif", gif([(4, 3, part, int(part[1, 1]), None, False)], background=3))
    write("part_local.gif", gif([(4, 3, part, None, local, False)], background=3))
    write("background_transparent.gif", gif([(4, 3, part, 3, None, False)], background=3))
    write("animated.gif", gif([(0, 0, index, None, None, False), (4, 3, part[::-1], None, local, False)]))
    write("outside.gif", gif([(15, 9, part, None, None, False)]))
    write("cut.gif", gif([(0, 0, index, None, None, False)])[:150])


# ---------------------------------------------------------------- TIFF
def tiffs():
    def tiff(name, data, **options):
        options.setdefault("metadata", None)
        tifffile.imwrite(os.path.join(FILES, name + ".tif"), data, software=None, **options)

    rgb16, rgba16 = pattern(3, bits=16), pattern(4, bits=16)
    gray16 = pattern(1, bits=16)[:, :, 0]
    tiff("gray8", GRAY)
    tiff("gray8_white_is_zero", GRAY, photometric="miniswhite")
    tiff("gray16", gray16)
    tiff("gray16_white_is_zero", gray16, photometric="miniswhite")
    tiff("gray16_big_endian", gray16, byteorder=">")
    tiff("gray32", gray16.astype(np.uint32) << 12)
    tiff("gray_int8", GRAY.astype(np.int8))
    tiff("gray_int16", gray16.astype(np.int16))
    tiff("rgb8", RGB, photometric="rgb")
    tiff("rgb16", rgb16, photometric="rgb")
    tiff("rgb16_big_endian", rgb16, photometric="rgb", byteorder=">")
    tiff("rgb32", rgb16.astype(np.uint32) << 12, photometric="rgb")
    tiff("gray_float", GRAY.astype(np.float32) / 255)
    tiff("gray_float_large", GRAY.astype(np.float32) * 1.37 - 20)
    tiff("rgb_float", RGB.astype(np.float32) / 255, photometric="rgb")
    tiff("rgb_float_large", RGB.astype(np.float32) * 1.37 - 20, photometric="rgb")
    tiff("gray_double", GRAY.astype(np.float64) / 3)
    tiff("rgb_double", RGB.astype(np.float64) / 3, photometric="rgb")
    tiff("gray_half", (GRAY / 3).astype(np.float16))
    for kind in ("unassalpha", "assocalpha", "unspecified"):
        tiff(f"rgba8_{kind}", RGBA, photometric="rgb", extrasamples=[kind])
        tiff(f"rgba16_{kind}", rgba16, photometric="rgb", extrasamples=[kind])
    tiff("gray_alpha8", pattern(2), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    tiff("gray_alpha16", pattern(2, bits=16), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    tiff("rgb8_planar", np.moveaxis(RGB, 2, 0).copy(), photometric="rgb", planarconfig="separate")
    tiff("rgb16_planar", np.moveaxis(rgb16, 2, 0).copy(), photometric="rgb", planarconfig="separate")
    tiff("rgb8_tiled", pattern(3, 40, 24), photometric="rgb", tile=(16, 16))
    tiff("rgb16_tiled", pattern(3, 40, 24, 16), photometric="rgb", tile=(16, 16))
    tiff("gray16_tiled", pattern(1, 40, 24, 16)[:, :, 0], tile=(16, 16))
    tiff("rgb8_deflate", RGB, photometric="rgb", compression="zlib")
    tiff("rgb8_deflate_predictor", RGB, photometric="rgb", compression="zlib", predictor=True)
    tiff("rgb16_deflate_predictor", rgb16, photometric="rgb", compression="zlib", predictor=True)
    tiff("rgb8_strips", RGB, photometric="rgb", rowsperstrip=4)
    tiff("big", RGB, photometric="rgb", bigtiff=True)
    colormap = np.ascontiguousarray(pattern(3, 256, 1, 16).reshape(256, 3).T)
    tiff("palette8", GRAY, photometric="palette", colormap=colormap)
    tiff("cmyk8", RGBA, photometric="separated")
    tiff("cmyk16", rgba16, photometric="separated")
    tiff("pages", np.stack([RGB, 255 - RGB]), photometric="rgb")
    for o in range(1, 9):
        tiff(f"orientation_{o}", RGB, photometric="rgb", extratags=[(274, 3, 1, o, True)])
    tiff("orientation_6_16bit", rgb16, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    tiff("orientation_6_gray", GRAY, extratags=[(274, 3, 1, 6, True)])
    bilevel = Image.fromarray(GRAY).convert("1")
    save("bilevel.tif", bilevel)
    for compression in ("group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"):
        save(f"bilevel_{compression}.tif", bilevel, compression=compression)
    save("rgb8_lzw.tif", Image.fromarray(RGB), compression="tiff_lzw")
    save("rgb8_packbits.tif", Image.fromarray(RGB), compression="packbits")
    save("rgb8_jpeg.tif", PICTURE, compression="jpeg", quality=80)
    save("rgb8_jpeg_strips.tif", PICTURE, compression="jpeg", quality=80, tiffinfo={278: 16})
    save("gray8_jpeg.tif", PICTURE.convert("L"), compression="jpeg", quality=80)
    save("cmyk8_jpeg.tif", PICTURE.convert("CMYK"), compression="jpeg", quality=80)
    picture = np.asarray(PICTURE)
    tiff("rgb8_jpeg_tiled", picture, photometric="rgb", compression="jpeg", tile=(32, 48))
    tiff("ycbcr8_jpeg_tiled", picture, photometric="ycbcr", compression="jpeg", subsampling=(2, 2), tile=(32, 48))
    save("lab8.tif", Image.fromarray(RGB).convert("LAB"))
    save("ycbcr8.tif", Image.fromarray(RGB).convert("YCbCr"))
    for bits in (2, 4):
        level = GRAY >> (8 - bits)
        packed = b"".join(np.packbits(((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)).tobytes() for row in level)
        write(f"gray{bits}.tif", raw_tiff(packed, bits, 1))
        write(f"palette{bits}.tif", raw_tiff(packed, bits, 3, pattern(3, 1 << bits, 1, 16).reshape(-1, 3).T.tobytes()))
    write("cut.tif", open(os.path.join(FILES, "rgb8.tif"), "rb").read()[:400])


def tiff_variants():
    """Tiles and strips as real writers leave them: sides that are no multiple of the tile, channels apart, odd bit orders."""

    def tiff(name, array, **options):
        tifffile.imwrite(os.path.join(FILES, name + ".tif"), array, metadata=None, **options)

    kinds = {"gray": (1, {}), "gray_alpha": (2, dict(photometric="minisblack", extrasamples=["unassalpha"])), "rgb": (3, dict(photometric="rgb")),
             "rgba": (4, dict(photometric="rgb", extrasamples=["unassalpha"])),
             "rgba_assocalpha": (4, dict(photometric="rgb", extrasamples=["assocalpha"])), "cmyk": (4, dict(photometric="separated"))}
    for kind, (channels, options) in kinds.items():
        for bits in (8, 16):
            samples = pattern(channels, 37, 29, bits)
            samples = samples[:, :, 0] if channels == 1 else samples
            tiff(f"tiled_{kind}{bits}", samples, tile=(16, 32), **({"planarconfig": "contig"} if channels > 1 else {}), **options)
            if channels > 1:
                tiff(f"tiled_planar_{kind}{bits}", np.moveaxis(samples, 2, 0).copy(), tile=(16, 32), planarconfig="separate", **options)
    for bits in (8, 16):
        planes = np.moveaxis(pattern(3, 37, 29, bits), 2, 0).copy()
        for name, compression in {"deflate": "zlib", "lzw": "lzw", "packbits": "packbits"}.items():
            for predictor in (False, True) if name != "packbits" else (False,):
                more = dict(photometric="rgb", planarconfig="separate", compression=compression, predictor=predictor)
                tiff(f"tiled_planar_{name}{bits}{'_predictor' if predictor else ''}", planes, tile=(16, 32), **more)
        tiff(f"tiled_lzw{bits}_predictor", pattern(3, 37, 29, bits), photometric="rgb", tile=(32, 16), compression="lzw", predictor=True)
        tiff(f"strips_planar_lzw{bits}", planes, photometric="rgb", planarconfig="separate", compression="lzw", rowsperstrip=8)
    tiff("tiled_big_endian16", pattern(3, 37, 29, 16), photometric="rgb", tile=(16, 16), byteorder=">", compression="zlib", predictor=True)
    tiff("tiled_large_tile", RGB, photometric="rgb", tile=(256, 128))
    tiff("tiled_orientation_6", pattern(3, 37, 29), photometric="rgb", tile=(16, 16), extratags=[(274, 3, 1, 6, True)])
    tiff("rgb_int8", RGB.view(np.int8), photometric="rgb")
    tiff("rgb_int16", pattern(3, bits=16).view(np.int16), photometric="rgb")
    tiff("tiled_planar_jpeg", np.moveaxis(np.asarray(PICTURE), 2, 0).copy(), photometric="rgb", planarconfig="separate", compression="jpeg", tile=(32, 32))
    tiff("rgb_zstd", RGB, photometric="rgb", compression="zstd")
    colormap = np.ascontiguousarray(pattern(3, 256, 1, 16).reshape(256, 3).T)
    tiff("tiled_palette8", pattern(1, 37, 29)[:, :, 0], photometric="palette", colormap=colormap, tile=(16, 16))
    write("palette8_8bit_map.tif", raw_tiff(GRAY.tobytes(), 8, 3, (colormap >> 8).astype("<u2").tobytes()))
    one = np.packbits(GRAY > 100, axis=1).tobytes()
    write("palette1.tif", raw_tiff(one, 1, 3, np.array([1, 9, 200, 30, 77, 250], "<u2").__lshift__(8).tobytes()))
    # bits from the lowest up, as fax machines send them
    write("fill_order_bilevel.tif", raw_tiff(reverse_bits(one), 1, 1, more=[(266, 3, 1, 2)]))
    write("fill_order_gray8.tif", raw_tiff(reverse_bits(GRAY.tobytes()), 8, 1, more=[(266, 3, 1, 2)]))
    write("fill_order_deflate.tif", raw_tiff(reverse_bits(zlib.compress(GRAY.tobytes())), 8, 1, more=[(266, 3, 1, 2)], compression=8))
    drawing = pattern(1, 3000, 40)[:, :, 0]
    drawing = Image.fromarray(np.where(np.arange(40)[:, None] % 5 == 0, 255, drawing)).convert("1", dither=Image.Dither.NONE)
    for name, more in {"ccitt": {}, "group3": {}, "group3_2d": {292: 1}, "group3_fill_bits": {292: 4}, "group3_2d_fill_bits": {292: 5}, "group4": {}}.items():
        compression = "tiff_ccitt" if name == "ccitt" else name[:6]
        for suffix, order in {"": {}, "_fill_order": {266: 2}}.items():
            save(f"fax_{name}{suffix}.tif", drawing, compression=compression, tiffinfo={**more, **order, 278: 16})
    # a colour for several pixels
    picture = pattern(3, 37, 29)
    for horizontal, vertical in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)):
        units = ycbcr_units(picture, horizontal, vertical)
        write(f"ycbcr_{horizontal}{vertical}.tif", raw_tiff(units, 8, 6, size=(37, 29), channels=3, more=[(530, 3, 2, horizontal | vertical << 16)]))
    tiff("tiled_ycbcr_lzw", picture, photometric="ycbcr", subsampling=(1, 1), tile=(16, 16), compression="lzw")
    tiff("tiled_lab8", picture, photometric="cielab", tile=(16, 16))
    tiff("lab16", pattern(3, bits=16), photometric="cielab")


def reverse_bits(data):
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")).tobytes()


def ycbcr_units(picture, horizontal, vertical):
    """Y of each pixel of a unit, then one Cb and Cr."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((0, -height % vertical), (0, -width % horizontal), (0, 0)), mode="edge")
    out = b""
    for y in range(0, padded.shape[0], vertical):
        for x in range(0, padded.shape[1], horizontal):
            unit = padded[y: y + vertical, x: x + horizontal]
            out += unit[:, :, 0].tobytes() + unit[0, 0, 1:].tobytes()
    return out


def raw_tiff(data, bits, photometric, colormap=b"", more=(), compression=1, channels=1, size=None):
    """One strip of W x H pixels."""
    width, height = size or (W, H)
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, photometric), (273, 4, 1, 8),
               (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data)), *more]
    entries.sort()
    at = 8 + len(data)
    if colormap:
        entries.append((320, 3, len(colormap) // 2, at))
        entries.sort()
        at += len(colormap)
    out = b"II*\0" + struct.pack("<I", at) + data + colormap + struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack("<HHII", tag, kind, count, value)
    return out + struct.pack("<I", 0)


# ---------------------------------------------------------------- PNM
def pnms():
    def text(values):
        return b"".join(b" ".join(str(v).encode() for v in row) + b"\n" for row in values.reshape(H, -1).tolist())

    size = f"{W} {H}".encode()
    one = (GRAY < 128).astype(np.uint8)
    write("p1.pbm", b"P1\n# a comment\n" + size + b"\n" + text(one))
    write("p1_tight.pbm", b"P1\n" + size + b"\n" + text(one).replace(b" ", b""))
    write("p2.pgm", b"P2\n" + size + b"\n255\n" + text(GRAY))
    write("p3.ppm", b"P3\n" + size + b" 255\n" + text(RGB))
    write("p4.pbm", b"P4\n" + size + b"\n" + np.packbits(one, axis=1).tobytes())
    write("p5.pgm", b"P5\n# one\n# two\n" + size + b"\n255\n" + GRAY.tobytes())
    write("p6.ppm", b"P6 " + size + b" 255\n" + RGB.tobytes())
    for top in (1, 15, 100, 254):
        write(f"p5_{top}.pgm", b"P5 " + size + f" {top}\n".encode() + (GRAY.astype(int) * top // 255).astype(np.uint8).tobytes())
        write(f"p2_{top}.pgm", b"P2 " + size + f" {top}\n".encode() + text((GRAY.astype(int) * top // 255)))
        write(f"p6_{top}.ppm", b"P6 " + size + f" {top}\n".encode() + (RGB.astype(int) * top // 255).astype(np.uint8).tobytes())
        write(f"p3_{top}.ppm", b"P3 " + size + f" {top}\n".encode() + text((RGB.astype(int) * top // 255)))
    gray16, rgb16 = pattern(1, bits=16)[:, :, 0], pattern(3, bits=16)
    for top in (256, 1000, 4095, 65535):
        write(f"p5_{top}.pgm", b"P5 " + size + f" {top}\n".encode() + (gray16.astype(int) * top // 65535).astype(">u2").tobytes())
        write(f"p6_{top}.ppm", b"P6 " + size + f" {top}\n".encode() + (rgb16.astype(int) * top // 65535).astype(">u2").tobytes())
        write(f"p2_{top}.pgm", b"P2 " + size + f" {top}\n".encode() + text(gray16.astype(int) * top // 65535))
        write(f"p3_{top}.ppm", b"P3 " + size + f" {top}\n".encode() + text(rgb16.astype(int) * top // 65535))

    def pam(kind, samples, top):
        depth = samples.shape[2]
        head = f"P7\nWIDTH {W}\nHEIGHT {H}\nDEPTH {depth}\nMAXVAL {top}\nTUPLTYPE {kind}\nENDHDR\n".encode()
        return head + (samples.astype(">u2") if top > 255 else samples.astype(np.uint8)).tobytes()

    write("bilevel.pam", pam("BLACKANDWHITE", (1 - one)[:, :, None], 1))
    for bits in (8, 16):
        top = (1 << bits) - 1
        write(f"gray{bits}.pam", pam("GRAYSCALE", pattern(1, bits=bits), top))
        write(f"gray_alpha{bits}.pam", pam("GRAYSCALE_ALPHA", pattern(2, bits=bits), top))
        write(f"rgb{bits}.pam", pam("RGB", pattern(3, bits=bits), top))
        write(f"rgba{bits}.pam", pam("RGB_ALPHA", pattern(4, bits=bits), top))
    write("rgb_100.pam", pam("RGB", RGB.astype(int) * 100 // 255, 100))
    write("cut.ppm", (b"P6 " + size + b" 255\n" + RGB.tobytes())[:300])
    write("cut.pgm", b"P2\n" + size + b"\n255\n" + text(GRAY)[:300])


# ---------------------------------------------------------------- BMP, QOI
def bmp(bits, compression, body, palette=b"", masks=b"", height=H, size=40):
    offset = 14 + size + len(masks) + len(palette)
    head = struct.pack("<IiiHHIIiiII", size, W, height, 1, bits, compression, len(body), 2835, 2835, len(palette) // 4, 0)
    head += b"\0" * (size - 40)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + masks + palette + body


def bmps():
    save("rgb24.bmp", Image.fromarray(RGB))
    save("gray8.bmp", Image.fromarray(GRAY))
    save("bilevel.bmp", Image.fromarray(GRAY).convert("1"))
    write("rgba32.bmp", bmp(32, 0, RGBA[::-1, :, [2, 1, 0, 3]].tobytes()))
    write("rgba32_top_down.bmp", bmp(32, 0, RGBA[:, :, [2, 1, 0, 3]].tobytes(), height=-H))
    packed = RGB.astype(int)

    def words(r, g, b, top_bit=0):
        v = ((packed[:, :, 0] >> (8 - r)) << (g + b)) | ((packed[:, :, 1] >> (8 - g)) << b) | (packed[:, :, 2] >> (8 - b))
        rows = np.zeros((H, (W * 2 + 3) // 4 * 2), np.uint16)
        rows[:, :W] = v | top_bit
        return rows[::-1].tobytes()

    write("rgb555.bmp", bmp(16, 0, words(5, 5, 5)))
    write("rgb555_top_bit.bmp", bmp(16, 0, words(5, 5, 5, 0x8000)))
    write("rgb555_masks.bmp", bmp(16, 3, words(5, 5, 5), masks=struct.pack("<3I", 0x7C00, 0x3E0, 0x1F)))
    write("rgb565_masks.bmp", bmp(16, 3, words(5, 6, 5), masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F)))
    rgbx = np.dstack([RGB, np.zeros_like(GRAY)])
    write("bgrx_masks.bmp", bmp(32, 3, rgbx[::-1, :, [2, 1, 0, 3]].tobytes(), masks=struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)))
    write("rgbx_masks.bmp", bmp(32, 3, rgbx[::-1].tobytes(), masks=struct.pack("<3I", 0xFF, 0xFF00, 0xFF0000)))
    palette = np.dstack([pattern(3, 256, 1)[:, :, ::-1], np.zeros((1, 256), np.uint8)]).tobytes()
    index = (GRAY >> 3).astype(np.uint8)
    rows = np.zeros((H, (W + 3) // 4 * 4), np.uint8)
    rows[:, :W] = index
    write("palette8.bmp", bmp(8, 0, rows[::-1].tobytes(), palette))
    write("palette8_short.bmp", bmp(8, 0, rows[::-1].tobytes(), palette[:64]))

    def rle8(indices, end=b"\0\1", row_end=b"\0\0"):
        out = b""
        for row in indices[::-1]:
            out += b"".join(bytes([1, v]) for v in row[:7]) + bytes([3, row[7]]) + bytes([0, 11]) + row[10:21].tobytes() + b"\0" + row_end
        return out[: -len(row_end)] + end

    write("rle8.bmp", bmp(8, 1, rle8(index), palette))
    write("rle8_row_ends.bmp", bmp(8, 1, rle8(index, end=b"\0\0\0\1"), palette))
    write("rle8_delta.bmp", bmp(8, 1, bytes([5, 9, 0, 2, 3, 2, 4, 7, 0, 0, 6, 12, 0, 1]), palette))
    write("rle8_early_end.bmp", bmp(8, 1, bytes([W, 9, 0, 0, 5, 30, 0, 1]), palette))
    write("rle8_too_long.bmp", bmp(8, 1, bytes([W + 5, 9, 0, 0, 5, 30, 0, 1]), palette))
    write("rle8_no_end.bmp", bmp(8, 1, bytes([W, 9, 0, 0]), palette))
    half = (GRAY >> 4).astype(np.uint8)

    def rle4(indices):
        out = b""
        for row in indices[::-1]:
            out += bytes([4, row[0] << 4 | row[1]]) + bytes([0, 17])
            nibbles = [*row[4:21].tolist(), 0]
            out += bytes(a << 4 | b for a, b in zip(nibbles[::2], nibbles[1::2])) + b"\0" + b"\0\0"
        return out + b"\0\1"

    write("rle4.bmp", bmp(4, 2, rle4(half), palette[:64]))
    both = bytes([5, 9, 0, 2, 3, 2, 4, 7, 0, 0, 6, 12, 0, 1])
    write("rle8_top_down.bmp", bmp(8, 1, rle8(index[::-1]), palette, height=-H))
    write("rle8_top_down_delta.bmp", bmp(8, 1, both, palette, height=-H))
    write("rle4_delta.bmp", bmp(4, 2, bytes([5, 0x93, 0, 2, 3, 2, 4, 0x71, 0, 0, 6, 0x52, 0, 1]), palette[:64]))
    write("rle4_early_end.bmp", bmp(4, 2, bytes([W, 0x93, 0, 0, 5, 0x41, 0, 1]), palette[:64]))
    write("os2_v2.bmp", bmp(24, 0, b"".join(RGB[y, :, ::-1].tobytes() + b"\0" for y in range(H - 1, -1, -1)), size=64))
    write("os2_v2_palette.bmp", bmp(8, 0, rows[::-1].tobytes(), palette, size=64))
    write("os2_v2_rle8.bmp", bmp(8, 1, rle8(index), palette, size=64))
    core = struct.pack("<IHHHH", 12, W, H, 1, 8)
    colours = pattern(3, 256, 1).tobytes()
    write("core_palette.bmp", b"BM" + struct.pack("<IHHI", 26 + 768 + H * 24, 0, 0, 26 + 768) + core + colours + rows[::-1].tobytes())
    write("os2_short.bmp", b"BM" + struct.pack("<IHHI", 30 + H * 64, 0, 0, 30) + struct.pack("<IiiHH", 16, W, H, 1, 24)
          + b"".join(RGB[y, :, ::-1].tobytes() + b"\0" for y in range(H - 1, -1, -1)))
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for size in (52, 56, 108, 124):
        write(f"masks_in_header_{size}.bmp", bmp(32, 3, RGBA[::-1, :, [2, 1, 0, 3]].tobytes(), masks=(masks + bytes(124))[: size - 40], size=40)[:14]
              + struct.pack("<I", size) + bmp(32, 3, RGBA[::-1, :, [2, 1, 0, 3]].tobytes(), masks=(masks + bytes(124))[: size - 40], size=40)[18:])
    write("rgb444_masks.bmp", bmp(16, 3, words(4, 4, 4), masks=struct.pack("<3I", 0xF00, 0xF0, 0xF)))
    write("rgb_1010102.bmp", bmp(32, 3, rgbx[::-1].tobytes(), masks=struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)))
    write("core.bmp", b"BM" + struct.pack("<IHHI", 26 + H * 64, 0, 0, 26) + struct.pack("<IHHHH", 12, W, H, 1, 24)
          + b"".join(RGB[y, :, ::-1].tobytes() + b"\0" for y in range(H - 1, -1, -1)))
    whole = bmp(32, 0, RGBA[::-1, :, [2, 1, 0, 3]].tobytes())
    write("cut.bmp", whole[: len(whole) // 2])


# ---------------------------------------------------------------- Sun raster, PFM
def rasters():
    def ras(bits, kind, body, colours=b"", map_kind=None):
        map_kind = (1 if colours else 0) if map_kind is None else map_kind
        return struct.pack(">8I", 0x59A66A95, W, H, bits, len(body), kind, map_kind, len(colours)) + colours + body

    def padded(rows):
        return b"".join(row + b"\0" * (len(row) % 2) for row in rows)

    bgr, rgb = ([RGB[y][:, order].tobytes() for y in range(H)] for order in ([2, 1, 0], [0, 1, 2]))
    write("rgb24.ras", ras(24, 1, padded(bgr)))
    write("rgb24_old.ras", ras(24, 0, padded(bgr)))
    write("rgb24_rgb.ras", ras(24, 3, padded(rgb)))
    for kind, order in ((1, [3, 2, 1, 0]), (3, [3, 0, 1, 2])):
        write(f"rgb32_{kind}.ras", ras(32, kind, RGBA[:, :, order].tobytes()))
    gray = padded([GRAY[y].tobytes() for y in range(H)])
    write("gray8.ras", ras(8, 1, gray))
    palette = pattern(3, 256, 1).reshape(256, 3)
    write("palette8.ras", ras(8, 1, gray, palette.T.tobytes()))
    write("palette8_short.ras", ras(8, 1, gray, palette[:100].T.tobytes()))
    write("bilevel.ras", ras(1, 1, padded([row.tobytes() for row in np.packbits(GRAY > 100, axis=1)])))
    flat = padded([row.tobytes() for row in np.minimum(GRAY // 64 * 64, 192)])
    packed, at = b"", 0
    while at < len(flat):
        end = at
        while end < len(flat) and flat[end] == flat[at] and end - at < 200:
            end += 1
        packed += bytes([128, end - at - 1, flat[at]]) if end - at > 1 else bytes([128, 0]) if flat[at] == 128 else flat[at: at + 1]
        at = end
    write("palette8_runs.ras", ras(8, 2, packed, palette.T.tobytes()))
    write("rgb24_runs.ras", ras(24, 2, padded(bgr)))
    write("cut.ras", ras(24, 1, padded(bgr))[:300])
    values = RGB[::-1].astype(np.float32) * 1.01 - 0.5
    write("rgb.pfm", f"PF\n{W} {H}\n-1.0\n".encode() + values.astype("<f4").tobytes())
    write("rgb_big_endian.pfm", f"PF\n{W} {H}\n1.0\n".encode() + values.astype(">f4").tobytes())
    write("rgb_scale.pfm", f"PF\n{W} {H}\n-0.5\n".encode() + (values / 2).astype("<f4").tobytes())
    write("gray.pfm", f"Pf\n{W} {H}\n-1\n".encode() + (GRAY[::-1] * 1.3 - 20).astype("<f4").tobytes())
    odd = values.copy()
    odd[0, :4, 0] = [np.nan, np.inf, -np.inf, 1e30]
    write("rgb_not_finite.pfm", f"PF\n{W} {H}\n-1.0\n".encode() + odd.astype("<f4").tobytes())
    write("cut.pfm", f"PF\n{W} {H}\n-1.0\n".encode() + values.astype("<f4").tobytes()[:500])


def qois():
    def qoi(samples):
        height, width, channels = samples.shape
        out = b"qoif" + struct.pack(">IIBB", width, height, channels, 0)
        for pixel in samples.reshape(-1, channels):
            out += (b"\xfe" if channels == 3 else b"\xff") + pixel.tobytes()
        return out + b"\0" * 7 + b"\1"

    write("rgb.qoi", qoi(RGB))
    write("rgba.qoi", qoi(RGBA))


if __name__ == "__main__":
    os.makedirs(FILES, exist_ok=True)
    for old in os.listdir(FILES):
        os.remove(os.path.join(FILES, old))
    for make in (jpegs, orientations, pngs, webps, gifs, tiffs, tiff_variants, pnms, bmps, rasters, qois):
        make()
    sizes = [os.path.getsize(os.path.join(FILES, name)) for name in os.listdir(FILES)]
    print(f"{len(sizes)} files, {sum(sizes)} bytes")
