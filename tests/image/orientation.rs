//! Orientations, by format, place and form of the EXIF data, against OpenCV 4.10.

use image_feature::{DecodeOptions, Orient, decode_with, probe_with};

use crate::{beside, report, table};

/// The orientation of a file: of its pixels, which are higher than wide where they were turned, and of its header.
fn orientation(bytes: &[u8], orient: Orient) -> String {
    let image = decode_with(bytes, &DecodeOptions { orient, ..DecodeOptions::default() }).unwrap().image;
    let info = probe_with(bytes, orient).unwrap();
    assert_eq!((info.width() as usize, info.height() as usize), (image.width(), image.height()));
    assert_eq!(image.height() > image.width(), info.orientation() > 4);
    info.orientation().to_string()
}

#[test]
fn files_are_turned_as_by_opencv_or_not_at_all() {
    let mut complaints = Vec::new();
    let rows = table("orientation.tsv");
    for row in &rows {
        let [name, expected, _] = row.as_slice() else { panic!("{row:?}") };
        let bytes = std::fs::read(beside("files").join(name)).unwrap();
        if expected == "error" {
            assert!(decode_with(&bytes, &DecodeOptions::default()).is_err(), "{name}");
            continue;
        }
        let found = orientation(&bytes, Orient::OpenCv);
        if found != *expected {
            complaints.push(format!("{name}: {found}, OpenCV {expected}"));
        }
        let never = orientation(&bytes, Orient::Never);
        if never != "1" {
            complaints.push(format!("{name}: {never} where no orientation is wanted"));
        }
    }
    assert!(rows.len() > 60);
    report(complaints, rows.len());
}

/// Files that OpenCV 4.10 leaves as they are, although their EXIF data says how to turn them.
#[test]
fn all_exif_is_followed_where_that_is_wanted() {
    let turned = [
        "turned_after_xmp.jpg",
        "turned_damaged_then_good.jpg",
        "turned_long_value_big.jpg",
        "turned_offset_outside.jpg",
        "turned_before_data.png",
        "turned_after_data.png",
        "turned_before_data_header.png",
        "turned_chunk.webp",
        "turned_chunk_header.webp",
        "turned_chunk_before_data.webp",
        "turned_chunk_no_flag.webp",
        "turned_chunk_simple.webp",
    ];
    let upright =
        ["turned_value_9.jpg", "turned_after_scan.jpg", "turned_chunk_cut.webp", "turned_before_data_bad_checksum.png"];
    let complaints = turned.map(|name| (name, "6")).into_iter().chain(upright.map(|name| (name, "1")));
    let complaints = complaints.filter_map(|(name, expected)| {
        let found = orientation(&std::fs::read(beside("files").join(name)).unwrap(), Orient::Exif);
        (found != expected).then(|| format!("{name}: {found}, expected {expected}"))
    });
    report(complaints.collect(), turned.len() + upright.len());
}

#[test]
fn the_tag_of_a_tiff_turns_it_unless_that_is_not_wanted() {
    for value in 1..=8 {
        let bytes = std::fs::read(beside("files").join(format!("orientation_{value}.tif"))).unwrap();
        assert_eq!(orientation(&bytes, Orient::OpenCv), value.to_string());
        assert_eq!(orientation(&bytes, Orient::Exif), value.to_string());
        assert_eq!(orientation(&bytes, Orient::Never), "1");
    }
}
