//! Decodes any bytes: gives an image within the limits or an error, and `probe` gives the size of the image.
#![no_main]

use image_feature::{DecodeLimits, ErrorKind, decode, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = DecodeLimits { max_pixels: 1 << 20, max_bytes: 1 << 26 };
    let info = probe(bytes);
    match decode(bytes, &limits) {
        Ok(image) => {
            let info = info.expect("what decodes has a header");
            assert_eq!((info.width() as usize, info.height() as usize), (image.width(), image.height()));
            assert!(image.width() * image.height() <= limits.max_pixels as usize);
        }
        // a panic inside a decoder is reported as an error of the file
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Internal);
            assert!(!error.to_string().contains("the decoder failed on this file"), "{error}");
        }
    }
});
