//! Each file of the corpus against OpenCV's result: the same pixels, or an error in both, or a listed difference with
//! its reason.

use std::collections::HashMap;
use std::path::PathBuf;

use image_feature::{DecodeLimits, ErrorKind, ImageFormat, decode, probe};

use crate::{beside, report, sha256, shared, table};

/// A kind of difference to OpenCV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    /// Both read it, to different pixels.
    Pixels,
    /// Only we read it.
    OnlyWe,
    /// Only OpenCV reads it.
    OnlyOpenCv,
}
use Departure::*;

/// Files with a difference to OpenCV, and its reason. An entry that no longer holds fails the test, too.
const EXCEPTIONS: &[(Departure, &str, &[&str])] = &[
    (
        OnlyWe,
        "16-bit masks other than 555 and 565 or in a longer header, and 2-bit palettes",
        &[
            "image-rs/images/bmp/images/V3_A1_R5_G5_B5.bmp",
            "image-rs/images/bmp/images/V3_A1_R5_G5_B5_Top_Down.bmp",
            "image-rs/images/bmp/images/V3_A4_R4_G4_B4.bmp",
            "image-rs/images/bmp/images/V3_A4_R4_G4_B4_Top_Down.bmp",
            "image-rs/images/bmp/images/V3_R5_G6_B5.bmp",
            "image-rs/images/bmp/images/V3_R5_G6_B5_Top_Down.bmp",
            "image-rs/images/bmp/images/V3_X4_R4_G4_B4.bmp",
            "image-rs/images/bmp/images/V3_X4_R4_G4_B4_Top_Down.bmp",
            "image-rs/images/bmp/images/V4_R5_G6_B5.bmp",
            "image-rs/images/bmp/images/V5_A1_R5_G5_B5.bmp",
            "image-rs/images/bmp/images/pal2.bmp",
            "image-rs/images/bmp/images/pal2color.bmp",
            "image-rs/images/bmp/images/rgb16-231.bmp",
            "image-rs/images/bmp/images/rgba16-1924.bmp",
            "image-rs/images/bmp/images/lenient/rgb16-880.bmp",
            "files/rgb444_masks.bmp",
        ],
    ),
    (
        OnlyWe,
        "run-length codes that leave the row or miss their end: what there is gets shown",
        &[
            "files/rle4_delta.bmp",
            "files/rle4_early_end.bmp",
            "files/rle8_no_end.bmp",
            "files/rle8_too_long.bmp",
            "image-rs/images/bmp/images/lenient/badrle.bmp",
            "image-rs/images/bmp/images/lenient/rle_overflow.bmp",
            "image-rs/images/bmp/images/imagemagick_invalid_run_length_issue_2321.bmp",
            "image-rs/images/bmp/images/pal4rlecut.bmp",
        ],
    ),
    (
        OnlyWe,
        "palettes of more colours than the bits of a pixel can tell",
        &[
            "image-rs/images/bmp/images/lenient/badpalettesize.bmp",
            "image-rs/images/bmp/images/lenient/pal8oversizepal.bmp",
        ],
    ),
    (OnlyWe, "an OS/2 header without compression", &["files/os2_short.bmp"]),
    (
        OnlyWe,
        "Sun rasters with RGB bytes, and with run-length codes",
        &["files/palette8_runs.ras", "files/rgb24_rgb.ras", "files/rgb32_3.ras"],
    ),
    (
        OnlyWe,
        "frames that leave the screen: we cut them off",
        &[
            "files/outside.gif",
            "image-rs/images/gif/anim/oob.gif",
            "image-rs/images/gif/simple/issue_1455_oversized.gif",
        ],
    ),
    (
        OnlyOpenCv,
        "Radiance HDR is not among our formats",
        &[
            "image-rs/images/exr/overexposed gradient.hdr",
            "image-rs/images/hdr/images/image1.hdr",
            "image-rs/images/hdr/images/rgbr4x4.hdr",
            "image-rs/images/hdr/images/scale.hdr",
        ],
    ),
    (
        OnlyWe,
        "progressive JPEG that is cut in a later scan: libjpeg gives up, we show the scans before",
        &[
            "zune_fuzz_jpeg/2fbdd3260011f69f5e2f3a46e367ae81810a2474",
            "zune_fuzz_jpeg/33f9d236b014c8944d6f0e4a0828ad7800f4090d",
            "zune_fuzz_jpeg/3ddcfcaa1784f348a32529fcc4eea782ed74ab3a",
            "zune_fuzz_jpeg/3f401107bb2bdcbe902d589276ee0b09a6c07582",
            "zune_fuzz_jpeg/483fb60332c574ae7bf5daf81f8599c7e8e7f7e0",
            "zune_fuzz_jpeg/54791b59d888e4d94c8996968fc2d125949bfac9",
            "zune_fuzz_jpeg/684ac0b517b7c1ac38e87c8db43c7e5cb6a3c1eb",
            "zune_fuzz_jpeg/7e0e5fed79fe06ab7863a26dfb8b20e5c0c54652",
            "zune_fuzz_jpeg/8946740fd0923c773cca64d32771d1254c251575",
            "zune_fuzz_jpeg/94d48183dea999d6772775a304e70e762f7c1971",
            "zune_fuzz_jpeg/995b3ee8a4bd311d4d81195a1b64834c07c6e4bf",
            "zune_fuzz_jpeg/ab8e3abdeb4bd67e8217b90021edb3ba3bef857c",
            "zune_fuzz_jpeg/c5d8f69a8b1c4da81c4caa218a842bf9078a8d02",
            "zune_fuzz_jpeg/ccfd5afae52e68ad90c84167a5acb19dd212811a",
            "zune_fuzz_jpeg/e95a85ae0585d5517699705e904745fb53152ef3",
            "zune_fuzz_jpeg/fb9352d42052c5bd52f0fe10f8c08bc4fd062384",
        ],
    ),
    (
        Pixels,
        "damaged entropy-coded data: libjpeg guesses on inside the damaged blocks, libjpeg-turbo-rs leaves them gray",
        &[
            "zune_fuzz_jpeg/174e951cbce83a2e518b8204e258ada1af0ed10c",
            "zune_fuzz_jpeg/17d5ca78f3d74f620427694b458b2343fca5252d",
            "zune_fuzz_jpeg/29f514ca2f441432dd1b87467f194ce26da22915",
            "zune_fuzz_jpeg/3161dd0675a12dae61fd67af65f2cd92a51f132b",
            "zune_fuzz_jpeg/7665973689d6d6338fa91004207b7e0fde6340d0",
            "zune_fuzz_jpeg/93275dc1b5299b43583458fe45bc8488c61e53b5",
            "zune_fuzz_jpeg/98df7a7f5ea91a0c0f3f26ef1ac99438b0196472",
            "zune_fuzz_jpeg/a7a92ee4b3f8c88a5aa3f38e5b7708456560dba3",
            "zune_fuzz_jpeg/ade65d9501a24c6746e711f016f370a6a8fbf3a0",
            "zune_fuzz_jpeg/b530e1ef8eeeaa503c208a3fc1aca7fbbfa55a6b",
            "zune_fuzz_jpeg/b6abe12e66e63f59f7207f63c816b0c1fe8f7c6e",
            "zune_fuzz_jpeg/b73d93e48ae55ea19ac1b3274f02c0f0d7ded824",
            "zune_fuzz_jpeg/ba3110577eb75dfbda1153fc50a84c75ec0c2dea",
            "zune_fuzz_jpeg/bacd245ec841cf8f742f74cae413aa9d78a2e862",
            "zune_fuzz_jpeg/bcf52f9d08635e692a73781ea7b9e4b29fbdfed1",
            "zune_fuzz_jpeg/c729f494834a1bad62ef197173691090832e23c0",
            "zune_fuzz_jpeg/d833971276a0b4219c4bb3e3f5cccdd7479f2625",
            "zune_fuzz_jpeg/dc33428deb3b76294a860aa941ac67d58b67cdb6",
            "zune_fuzz_jpeg/df1fcd288fffbbc72730beef4c7246b933a50c56",
        ],
    ),
    (
        Pixels,
        "OpenCV swaps red and blue in PAM files, does not scale them, and turns gray with alpha and bilevel ones black",
        &[
            "files/bilevel.pam",
            "files/gray_alpha16.pam",
            "files/gray_alpha8.pam",
            "files/rgb16.pam",
            "files/rgb8.pam",
            "files/rgb_100.pam",
            "files/rgba16.pam",
            "files/rgba8.pam",
        ],
    ),
    (
        OnlyWe,
        "an animated PNG that ends before its second frame",
        &["zune_fuzz_png/948633673a35fcaf8e7642f084e3e661327304e9.crash"],
    ),
    (OnlyWe, "OpenCV does not read QOI", &["files/rgb.qoi", "files/rgba.qoi", "image-rs/images/qoi/basic-test.qoi"]),
    (
        OnlyWe,
        "16-bit CMYK, which libtiff does not convert",
        &["files/cmyk16.tif", "files/tiled_cmyk16.tif", "files/tiled_planar_cmyk16.tif"],
    ),
    (OnlyWe, "2 and 4 bits of gray, and palettes of 2", &["files/gray2.tif", "files/gray4.tif", "files/palette2.tif"]),
    (OnlyOpenCv, "16-bit CIE Lab", &["files/lab16.tif"]),
    (
        Pixels,
        "OpenCV mixes up tiles that the edge cuts: of gray with alpha or 16 bits, and where the image is turned (tifffile sees what we see)",
        &[
            "files/gray16_tiled.tif",
            "files/tiled_gray16.tif",
            "files/tiled_gray_alpha16.tif",
            "files/tiled_gray_alpha8.tif",
            "files/tiled_orientation_6.tif",
        ],
    ),
    (
        Pixels,
        "an animation whose first frame has colours under full transparency, which compositing does not keep",
        &["image-rs/images/webp/extended_images/anim.webp"],
    ),
];

fn folders() -> HashMap<&'static str, PathBuf> {
    let mut folders = HashMap::from([("files", beside("files"))]);
    if let Some(shared) = shared() {
        folders.insert("torture_images", shared.join("data/torture_images"));
        folders.insert("inputs", shared.join("golden/features/inputs"));
    }
    folders
}

#[test]
fn every_file_decodes_as_in_opencv() {
    let folders = folders();
    let mut expected: HashMap<&str, Departure> =
        EXCEPTIONS.iter().flat_map(|(departure, _, files)| files.iter().map(|&file| (file, *departure))).collect();
    let mut complaints = Vec::new();
    let mut cases = 0;
    for row in table("opencv_decode.tsv") {
        let [path, opencv, width, height, sha] = row.try_into().unwrap();
        let (folder, rest) = path.split_once('/').unwrap();
        let name = if folder == "torture_images" { rest } else { &path };
        let exception = expected.remove(name);
        let Some(folder) = folders.get(folder) else { continue };
        cases += 1;
        let bytes = std::fs::read(folder.join(rest)).unwrap();
        let ours = decode(&bytes, &DecodeLimits::default());
        let departure = match &ours {
            Err(_) if opencv == "error" => None,
            Err(_) => Some(OnlyOpenCv),
            Ok(_) if opencv == "error" => Some(OnlyWe),
            Ok(image) => {
                let same = (image.width().to_string(), image.height().to_string(), sha256(image.pixels()))
                    == (width, height, sha);
                (!same).then_some(Pixels)
            }
        };
        if departure != exception {
            complaints.push(format!("{name}: {departure:?}, expected {exception:?}; we say {ours:?}"));
        }
        if let Ok(image) = ours {
            let info = probe(&bytes).unwrap();
            if (info.width() as usize, info.height() as usize) != (image.width(), image.height()) {
                complaints.push(format!("{name}: probe says {info:?}, decode {image:?}"));
            }
        }
    }
    complaints.extend(expected.keys().map(|name| format!("{name}: an exception for a file that the table has not")));
    report(complaints, cases);
}

#[test]
fn probe_reads_the_header() {
    let cases = [
        ("rgba8.png", (ImageFormat::Png, 21, 13, 1, 8, 4)),
        ("gray16.png", (ImageFormat::Png, 21, 13, 1, 16, 1)),
        ("exif_6.jpg", (ImageFormat::Jpeg, 13, 21, 6, 8, 3)),
        ("ycck.jpg", (ImageFormat::Jpeg, 32, 24, 1, 8, 4)),
        ("exif_3.webp", (ImageFormat::WebP, 21, 13, 1, 8, 3)),
        ("plain.gif", (ImageFormat::Gif, 21, 13, 1, 8, 4)),
        ("rgb24.bmp", (ImageFormat::Bmp, 21, 13, 1, 8, 3)),
        ("orientation_8.tif", (ImageFormat::Tiff, 13, 21, 8, 8, 3)),
        ("bilevel.tif", (ImageFormat::Tiff, 21, 13, 1, 1, 1)),
        ("p5_65535.pgm", (ImageFormat::Pnm, 21, 13, 1, 16, 1)),
        ("rgba.qoi", (ImageFormat::Qoi, 21, 13, 1, 8, 4)),
        ("palette8.ras", (ImageFormat::SunRaster, 21, 13, 1, 8, 3)),
        ("gray.pfm", (ImageFormat::Pfm, 21, 13, 1, 32, 1)),
    ];
    let mut complaints = Vec::new();
    for (name, expected) in &cases {
        let info = probe(&std::fs::read(beside("files").join(name)).unwrap()).unwrap();
        let found =
            (info.format(), info.width(), info.height(), info.orientation(), info.bits_per_sample(), info.channels());
        if found != *expected {
            complaints.push(format!("{name}: {found:?}, expected {expected:?}"));
        }
    }
    report(complaints, cases.len());
}

/// OpenCV misreads some tiles. Strips of the same pixels must be the same.
#[test]
fn tiles_hold_the_pixels_of_their_planes() {
    let read =
        |name: &str| decode(&std::fs::read(beside("files").join(name)).unwrap(), &DecodeLimits::default()).unwrap();
    // the first channel of all these patterns is the same
    for bits in [8, 16] {
        let gray = read(&format!("tiled_gray{bits}.tif"));
        assert!(read(&format!("tiled_gray_alpha{bits}.tif")) == gray);
        let rgb = read(&format!("tiled_rgb{bits}.tif"));
        let near = |(a, b): (&[u8; 3], &[u8; 3])| a[0].abs_diff(b[0]) <= 1;
        assert!(gray.pixels().as_chunks().0.iter().zip(rgb.pixels().as_chunks().0).all(near));
    }
    let (upright, turned) = (read("tiled_rgb8.tif"), read("tiled_orientation_6.tif"));
    assert_eq!((turned.width(), turned.height()), (upright.height(), upright.width()));
    for y in 0..upright.height() {
        for x in 0..upright.width() {
            let at = |image: &image_feature::RgbImage, x: usize, y: usize| {
                image.pixels()[3 * (y * image.width() + x)..][..3].to_vec()
            };
            assert_eq!(at(&upright, x, y), at(&turned, upright.height() - 1 - y, x));
        }
    }
}

/// OpenCV does not read QOI. It is lossless: its pixels must be those of the PNG.
#[test]
fn qoi_holds_the_pixels_of_its_png_twin() {
    for (qoi, png) in [("rgb.qoi", "rgb8.png"), ("rgba.qoi", "rgba8.png")] {
        let [qoi, png] = [qoi, png]
            .map(|name| decode(&std::fs::read(beside("files").join(name)).unwrap(), &DecodeLimits::default()).unwrap());
        assert!(qoi == png);
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let text = decode(b"hello, world", &DecodeLimits::default()).unwrap_err();
    assert_eq!(
        text.to_string(),
        "not an image (first bytes 68 65 6c 6c 6f 2c 20 77); JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, PFM, Sun raster and QOI are read"
    );
    let float = decode(&std::fs::read(beside("files/rgb_float.tif")).unwrap(), &DecodeLimits::default()).unwrap_err();
    assert_eq!(float.kind(), ErrorKind::Unsupported);
    assert!(float.to_string().starts_with("TIFF with samples of format"), "{float}");
    let cut = decode(&std::fs::read(beside("files/cut.png")).unwrap(), &DecodeLimits::default()).unwrap_err();
    assert!(cut.is_decode() && cut.to_string().starts_with("PNG: "), "{cut}");
}
