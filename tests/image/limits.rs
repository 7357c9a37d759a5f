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
