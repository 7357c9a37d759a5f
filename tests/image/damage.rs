//! Damaged files: any bytes give an image within the limits or an error, never a panic.

use std::path::{Path, PathBuf};

use image_feature::{DecodeLimits, DecodeOptions, Error, ErrorKind, decode, decode_with, probe};
use proptest::prelude::*;

use crate::{beside, report, shared};

/// Limits so small that thousands of decodes take seconds.
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1 << 20, max_bytes: 1 << 25 };

/// Whether an error tells of a fault of this crate, or of a decoder that panicked.
fn is_ours(error: &Error) -> bool {
    error.kind() == ErrorKind::Internal || error.to_string().contains("the decoder failed on this file")
}

/// Whether `probe` and `decode` agree, and no decoder panicked.
fn survives(bytes: &[u8]) -> bool {
    match (probe(bytes), decode(bytes, &LIMITS)) {
        (Ok(info), Ok(image)) => (info.width() as usize, info.height() as usize) == (image.width(), image.height()),
        (Err(_), Ok(_)) => false,
        (Ok(_), Err(error)) => !is_ours(&error),
        (Err(header), Err(error)) => !is_ours(&header) && !is_ours(&error),
    }
}

fn files_under(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_under(&path, files) } else { files.push(path) }
    }
}

/// The small files beside the tests, and those of the corpus, in a fixed order.
fn corpus() -> Vec<PathBuf> {
    let mut files = Vec::new();
    files_under(&beside("files"), &mut files);
    if let Some(shared) = shared() {
        files_under(&shared.join("data/torture_images"), &mut files);
    }
    files.sort();
    files
}

#[test]
fn files_cut_at_any_byte_do_no_harm() {
    let mut complaints = Vec::new();
    let mut cases = 0;
    for path in corpus() {
        let bytes = std::fs::read(&path).unwrap();
        // each byte of the header, then some ten places in the data
        let step = (bytes.len() / 10).max(1);
        for len in (0..bytes.len().min(24)).chain((24..bytes.len()).step_by(step)) {
            cases += 1;
            if !survives(&bytes[..len]) {
                complaints.push(format!("{} cut to {len} bytes", path.display()));
            }
        }
    }
    report(complaints, cases);
}

/// A channel that is smaller than the decoder takes it to be made it panic.
#[test]
fn damaged_jpeg_data_in_a_tiff_is_told() {
    let whole = std::fs::read(beside("files/rgb8_jpeg.tif")).unwrap();
    assert_eq!(decode_with(&whole, &DecodeOptions::default()).unwrap().damage, None);
    let mut cut = whole.clone();
    let scan = whole.windows(2).rposition(|mark| mark == [0xff, 0xda]).unwrap();
    cut[scan + 30..][..2].copy_from_slice(&[0xff, 0xd9]);
    let decoded = decode_with(&cut, &DecodeOptions::default()).unwrap();
    assert!(decoded.damage.is_some());
}

#[test]
fn cmyk_with_any_sampling_factors_does_no_harm() {
    let bytes = std::fs::read(beside("files/cmyk.jpg")).unwrap();
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let mut complaints = Vec::new();
    let factors: Vec<u8> =
        (1..=4).flat_map(|horizontal| (1..=4).map(move |vertical| horizontal << 4 | vertical)).collect();
    for channels in 1..16u8 {
        for &factor in &factors {
            let mut changed = bytes.clone();
            for channel in (0..4).filter(|channel| channels >> channel & 1 == 1) {
                changed[frame + 11 + 3 * channel] = factor;
            }
            if !survives(&changed) {
                complaints.push(format!("channels {channels:04b} with {factor:#04x}"));
            }
        }
    }
    report(complaints, 15 * factors.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_do_no_harm(file in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        thread_local!(static CORPUS: Vec<PathBuf> = corpus());
        let (path, mut bytes) = CORPUS.with(|corpus| {
            let path = file.get(corpus).clone();
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        });
        if !bytes.is_empty() {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            prop_assert!(survives(&bytes), "{}", path.display());
        }
    }

    #[test]
    fn noise_after_a_signature_does_no_harm(
        magic in prop::sample::select(vec![
            &b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L", b"RIFF\x40\0\0\0WEBPVP8X",
            b"GIF89a", b"BM", b"\x59\xa6\x6a\x95", b"PF\n9 9\n-1\n", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0", b"P2 ", b"P7\n", b"qoif",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert!(survives(&[magic, &noise[..]].concat()));
    }
}
