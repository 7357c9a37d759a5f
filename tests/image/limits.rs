//! Files whose header announces more than the limits are refused before pixels are allocated.

use std::time::{Duration, Instant};

use image_feature::{DecodeLimits, ErrorKind, decode};

use crate::{beside, report};

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = !0u32;
    for &byte in name.iter().chain(body) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb88320 } else { crc >> 1 };
        }
    }
    [&(body.len() as u32).to_be_bytes(), &name[..], body, &(!crc).to_be_bytes()].concat()
}

/// A file of some hundred bytes for each format, with a header that announces `side` x `side` pixels.
fn bombs(side: u16) -> Vec<(&'static str, Vec<u8>)> {
    let (be, le) = (side.to_be_bytes(), side.to_le_bytes());
    let (be4, le4) = (u32::from(side).to_be_bytes(), u32::from(side).to_le_bytes());
    let file = |name: &str| std::fs::read(beside("files").join(name)).unwrap();

    let mut baseline = file("1x1.jpg");
    let sof = baseline.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    baseline[sof + 5..sof + 9].copy_from_slice(&[be, be].concat());
    let mut progressive = file("progressive_420.jpg");
    let sof = progressive.windows(2).position(|marker| marker == [0xff, 0xc2]).unwrap();
    progressive[sof + 5..sof + 9].copy_from_slice(&[be, be].concat());

    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[&be4[..], &be4, &[16, 6, 0, 0, 0]].concat()),
        chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat();
    let mut gif = file("plain.gif");
    gif[6..10].copy_from_slice(&[le, le].concat());
    let mut bmp = file("rgb24.bmp");
    bmp[18..26].copy_from_slice(&[le4, le4].concat());
    let mut tiff = file("gray4.tif");
    let directory = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize + 2;
    for entry in [0, 1, 7] {
        // width, height, and rows in the one strip, all as 32-bit values
        tiff[directory + 12 * entry + 2..][..10].copy_from_slice(&[&[4, 0, 1, 0, 0, 0][..], &le4].concat());
    }
    tiff[directory + 12 * 2 + 8] = 8;
    let mut qoi = file("rgba.qoi");
    qoi[4..12].copy_from_slice(&[be4, be4].concat());
    // VP8X has sides of 24 bits, minus one
    let minus = u32::from(side - 1).to_le_bytes();
    let vp8x =
        [&b"VP8X\x0a\0\0\0\0\0\0\0"[..], &minus[..3], &minus[..3], b"VP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0"].concat();
    let webp = [b"RIFF", &((vp8x.len() + 4) as u32).to_le_bytes()[..], b"WEBP", &vp8x].concat();
    vec![
        ("baseline JPEG", baseline),
        ("progressive JPEG", progressive),
        ("PNG", png),
        ("GIF", gif),
        ("BMP", bmp),
        ("TIFF", tiff),
        ("QOI", qoi),
        ("WebP", webp),
        ("PNM", format!("P6 {side} {side} 255\n").into_bytes()),
        ("plain PNM", format!("P2 {side} {side} 65535\n").into_bytes()),
        (
            "PAM",
            format!("P7\nWIDTH {side}\nHEIGHT {side}\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\n")
                .into_bytes(),
        ),
    ]
}

#[test]
fn absurd_sizes_are_refused_at_once() {
    let bombs = bombs(65535);
    let mut complaints = Vec::new();
    for (name, bytes) in &bombs {
        let start = Instant::now();
        let error = decode(bytes, &DecodeLimits::default()).unwrap_err();
        if !error.is_limit()
            || !error.to_string().contains("65535x65535")
            || start.elapsed() > Duration::from_millis(200)
        {
            complaints.push(format!("{name}: {error:?} after {:?}", start.elapsed()));
        }
    }
    report(complaints, bombs.len());
}

#[test]
fn memory_is_limited_apart_from_pixels() {
    let limits = DecodeLimits { max_pixels: u64::MAX, max_bytes: 1 << 20 };
    let bombs = bombs(2000);
    let mut complaints = Vec::new();
    for (name, bytes) in &bombs {
        let error = decode(bytes, &limits).unwrap_err();
        if !error.is_limit() || !error.to_string().contains("max_bytes") {
            complaints.push(format!("{name}: {error:?}"));
        }
    }
    report(complaints, bombs.len());
}

#[test]
fn the_message_names_the_limit() {
    let limits = DecodeLimits { max_pixels: 100, ..DecodeLimits::default() };
    let error = decode(&std::fs::read(beside("files/rgb8.png")).unwrap(), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(
        error.to_string(),
        "PNG image of 21x13 = 273 pixels exceeds the limit of 100 pixels; raise DecodeLimits::max_pixels if you trust the file"
    );
}

/// A gray TIFF of one column, with a row in each of its strips, which all are the same bytes of the file.
fn shared_strip(rows: u32, strip: &[u8], compression: u32, fill_order: u32) -> Vec<u8> {
    let mut file = [&b"II*\0\0\0\0\0"[..], strip].concat();
    let mut lists = [0; 2];
    for (list, value) in lists.iter_mut().zip([8, strip.len() as u32]) {
        *list = file.len() as u32;
        (0..rows).for_each(|_| file.extend(value.to_le_bytes()));
    }
    let directory = file.len() as u32;
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    let entries = [
        (256, 1, 1),
        (257, 1, rows),
        (258, 1, 8),
        (259, 1, compression),
        (262, 1, 1),
        (266, 1, fill_order),
        (273, rows, lists[0]),
        (277, 1, 1),
        (278, 1, 1),
        (279, rows, lists[1]),
    ];
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, count, value) in entries {
        file.extend([(tag as u16).to_le_bytes(), 4u16.to_le_bytes()].concat());
        file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn strips_that_share_all_of_a_large_file_take_no_time() {
    let started = Instant::now();
    let (rows, pack_bits) = (60_000, 32773);
    let image = decode(&shared_strip(rows, &[1; 4 << 20], 1, 2), &DecodeLimits::default()).unwrap();
    assert_eq!((image.height(), image.pixels()[0]), (60_000, 0x80));
    // codes that give nothing, before one that does
    let empty = [&[128; 4 << 20][..], &[0, 7]].concat();
    assert!(decode(&shared_strip(rows, &empty, pack_bits, 1), &DecodeLimits::default()).unwrap_err().is_decode());
    let jpeg = std::fs::read(beside("files/gray.jpg")).unwrap();
    let error = decode(&shared_strip(rows, &jpeg, 7, 1), &DecodeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("which is larger"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
