//! Data sets beyond the goldens that PaddleX refuses, with the texts of PaddleX, Python and Pillow.

use image_feature::dataset::compat::{
    Beyond, Change, Counts, Exception, Flavor, Place, SampleFormat, ShiTuRec, Stop, Summary, result_json,
};
use image_feature::file_tree::{EntryKind, Memory};
use image_feature::{ErrorKind, Result};

use super::cases::image;

const CHECK_FAILED: &str = "Check dataset failed. We encountered the following error:\n  ";

/// A small data set: four images of two classes, the same three rows in each list; `files` are added or replaced.
fn small(files: &[(&str, &[u8])]) -> Memory {
    let mut all: Vec<(String, Vec<u8>)> =
        ["a", "b", "c", "d"].iter().map(|name| (format!("images/{name}.png"), image(1, 2))).collect();
    for list in ["train", "gallery", "query"] {
        all.push((format!("{list}.txt"), b"images/a.png 0\nimages/b.png 1\nimages/c.png 1\n".to_vec()));
    }
    all.extend(files.iter().map(|(path, bytes)| (path.to_string(), bytes.to_vec())));
    Memory::new("shop", all)
}

fn check_at(tree: &Memory, place: Place<'_>) -> Result<Summary, Exception> {
    let stop = match ShiTuRec::find(tree, place, Flavor::Paddlex3) {
        Ok(dataset) => match dataset.check(&mut |_, _| Ok(())) {
            Ok(verdict) => return verdict,
            Err(stop) => stop,
        },
        Err(stop) => stop,
    };
    match stop {
        Stop::Raised(exception) => Err(exception),
        Stop::Error(error) => panic!("{error}"),
    }
}

fn check(files: &[(&str, &[u8])]) -> Result<Summary, Exception> {
    check_at(&small(files), Place::named("/data/shop"))
}

#[track_caller]
fn fails(files: &[(&str, &[u8])], class: &str, message: &str) {
    let exception = check(files).unwrap_err();
    assert_eq!((exception.class, exception.message.as_str()), (class, message));
}

#[test]
fn rows_that_fail() {
    let list = format!(
        "{CHECK_FAILED}The number of delimiter-separated items in each row in /data/shop/train.txt{}should be 2 (current delimiter is ' ').",
        " ".repeat(37)
    );
    let class = "paddlex.utils.errors.dataset_checker.CheckFailedError";
    for row in ["images/a.png  0\n", "images/a.png 0 \n", "images/a.png\t0\n", "images/a.png\n", "\n", "a b c\n"] {
        fails(&[("train.txt", row.as_bytes())], class, &list);
    }
    let class = "paddlex.utils.errors.dataset_checker.DatasetFileNotFoundError";
    let cases = [
        ("\u{feff}images/a.png 0\n", "/data/shop/\u{feff}images/a.png"),
        ("images\\a.png 0\n", "/data/shop/images\\a.png"),
        ("/data/other/a.png 0\n", "/data/other/a.png"),
        ("images/A.png 0\n", "/data/shop/images/A.png"),
        ("images/a.png/ 0\n", "/data/shop/images/a.png/"),
        ("../shop/images/a.png 0\n", "/data/shop/../shop/images/a.png"),
        ("images/a.png/../b.png 0\n", "/data/shop/images/a.png/../b.png"),
    ];
    for (row, path) in cases {
        fails(&[("train.txt", row.as_bytes())], class, &format!("{CHECK_FAILED}{path} does not exist."));
    }
    fails(&[("query.txt", b" 0\n")], "IsADirectoryError", "[Errno 21] Is a directory: '/data/shop/'");
    fails(&[("query.txt", b"images 0\n")], "IsADirectoryError", "[Errno 21] Is a directory: '/data/shop/images'");
    fails(
        &[("query.txt", b"images/a.png \xb4\xf3\n")],
        "UnicodeDecodeError",
        "'utf-8' codec can't decode byte 0xb4 in position 13: invalid start byte",
    );
}

#[test]
fn rows_that_pass() {
    let rows: &[(&str, usize)] = &[
        ("images/./a.png 0\nimages//b.png 0\n./images/c.png 0\n", 1),
        ("images/../images/a.png 0\n", 1),
        ("/data/shop/images/a.png 0\n", 1),
        ("images/a.png 1\rimages/b.png +1\r\nimages/c.png 01", 1),
        ("images/a.png 1_0\nimages/b.png 10\nimages/c.png -0\nimages/d.png ０\n", 2),
        ("images/a.png 123456789012345678901234567890\n", 1),
        ("", 0),
    ];
    for (text, classes) in rows {
        let summary = check(&[("train.txt", text.as_bytes())]).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        let images = text.split(['\n', '\r']).filter(|row| !row.is_empty()).count();
        assert_eq!(summary.counts[0], Counts { images, classes: *classes }, "{text:?}");
    }
}

/// Labels are checked last, after all lists and samples.
#[test]
fn labels_that_fail() {
    for (label, message) in
        [("cat", "'cat'"), ("1.0", "'1.0'"), ("it's", "\"it's\""), ("", "''"), ("1\u{200b}", "'1\\u200b'")]
    {
        let row = format!("images/a.png {label}\n");
        let message = format!("invalid literal for int() with base 10: {message}");
        fails(&[("train.txt", row.as_bytes())], "ValueError", &message);
    }
    fails(
        &[("train.txt", b"images/a.png cat\n"), ("query.txt", b"images/zzz.png 0\n")],
        "paddlex.utils.errors.dataset_checker.DatasetFileNotFoundError",
        &format!("{CHECK_FAILED}/data/shop/images/zzz.png does not exist."),
    );
}

#[test]
fn images_that_pillow_does_not_open() {
    let jpeg = include_bytes!("../image/files/baseline_420.jpg");
    let row: &[u8] = b"images/a.png 0\n";
    let with = |bytes: &'static [u8]| [("train.txt", row), ("images/a.png", bytes)];
    let unidentified = "cannot identify image file '/data/shop/images/a.png'";
    fails(&with(b""), "PIL.UnidentifiedImageError", unidentified);
    fails(&with(b"<svg xmlns='x'/>"), "PIL.UnidentifiedImageError", unidentified);
    fails(&with(&jpeg[..jpeg.len() - 20]), "OSError", "image file is truncated (0 bytes not processed)");
    fails(
        &with(b"P6 20000 20000 255\n"),
        "PIL.Image.DecompressionBombError",
        "Image size (400000000 pixels) exceeds limit of 178956970 pixels, could be decompression bomb DOS attack.",
    );
    fails(&with(b"P5 2 2 255\nabcd"), "ValueError", "font size must be greater than 0, not 0");
    let row: &[u8] = b"images/it's 0\n";
    let files: [(&str, &[u8]); 2] = [("train.txt", row), ("images/it's", b"text")];
    fails(&files, "PIL.UnidentifiedImageError", "cannot identify image file \"/data/shop/images/it's\"");
}

#[test]
fn drawings_are_named_and_saved_by_the_file_name() {
    let png = image(0, 0);
    let files: [(&str, &[u8]); 4] = [
        ("images/x/a.JPG", &png),
        ("images/y/a.JPG", &png),
        ("train.txt", b"images/x/a.JPG 0\nimages/y/a.JPG 1\n"),
        ("images/psd.png", b"8BPS\0\x01"),
    ];
    let tree = small(&files);
    let dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3).ok().unwrap();
    let mut samples = Vec::new();
    let verdict = dataset.check(&mut |sample, _| {
        samples.push((sample.name.clone(), sample.label.clone(), sample.format));
        Ok(())
    });
    let summary = verdict.ok().unwrap().unwrap();
    assert_eq!(summary.samples[0], ["check_dataset/demo_img/a.JPG"; 2]);
    assert_eq!(samples[0], ("a.JPG".into(), "1".into(), SampleFormat::Jpeg));
    assert_eq!(samples.len(), 8);

    fails(&[("train.txt", b"images/a 0\n"), ("images/a", &png)], "ValueError", "unknown file extension: ");
    assert!(check(&[("train.txt", b"images/psd.png 0\n"), ("images/psd.png", b"8BPS\0\x01")]).is_ok());
}

/// Lists can name files outside of the data set's folder.
#[test]
fn paths_that_leave_the_data_set() {
    struct Outside;
    impl Beyond for Outside {
        fn find(&self, path: &str) -> Option<EntryKind> {
            (path == "/photos/z.png" || path == "/data/shop/../z.png").then_some(EntryKind::File)
        }

        fn read(&self, _: &str, _: u64) -> Result<Vec<u8>> {
            Ok(image(3, 3))
        }
    }
    let tree = small(&[("train.txt", b"/photos/z.png 0\n../z.png 0\n")]);
    let place = Place { given: "shop", absolute: "/data/shop", beyond: Some(&Outside) };
    let summary = check_at(&tree, place).unwrap();
    assert_eq!(summary.samples[0], ["check_dataset/demo_img/z.png"; 2]);
    assert_eq!(summary.dataset_path, "shop");
    assert!(check_at(&tree, Place::named("/data/shop")).is_err());
}

#[test]
fn the_root_is_named_as_it_was_given() {
    let cases = [
        ("shop", "/home/me/shop", "shop"),
        ("./data//shop/", "/home/me/data/shop", "shop"),
        (".", "/home/me/shop", "."),
        ("..", "/home/me/shop/..", ".."),
    ];
    for (given, absolute, path) in cases {
        let tree = small(&[]);
        let place = Place { given, absolute, beyond: None };
        assert_eq!(check_at(&tree, place).unwrap().dataset_path, path, "{given}");
        let beta = ShiTuRec::find(&tree, place, Flavor::Beta).ok().unwrap();
        assert_eq!(beta.check(&mut |_, _| Ok(())).ok().unwrap().unwrap().dataset_path, given);
    }
}

fn convert(files: &[(&str, &[u8])]) -> Result<Vec<Change>, Exception> {
    let tree = Memory::new("shop", files.iter().map(|(path, bytes)| (*path, bytes.to_vec())));
    let mut dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3).ok().unwrap();
    match dataset.convert(Some("LabelMe")) {
        Ok(()) => Ok(dataset.changes()),
        Err(Stop::Raised(exception)) => Err(exception),
        Err(Stop::Error(error)) => panic!("{error}"),
    }
}

#[test]
fn conversions_that_fail() {
    let cases: [(&str, &str, &str); 6] = [
        ("{\"imagePath\": \"../images/a.png\", \"flags\": {\"fox\": true}}", "KeyError", "'fox'"),
        ("{\"imagePath\": \"a.png\", \"flags\": {}}", "IndexError", "list index out of range"),
        ("{\"imagePath\": \"../images/a.png\"}", "KeyError", "'flags'"),
        ("{\"flags\": {}}", "KeyError", "'imagePath'"),
        ("", "json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"),
        ("[]", "TypeError", "list indices must be integers or slices, not str"),
    ];
    for (annotation, class, message) in cases {
        let files: [(&str, &[u8]); 3] =
            [("images/a.png", b""), ("label.txt", b"cat\n"), ("annotations/a.json", annotation.as_bytes())];
        let exception = convert(&files).unwrap_err();
        assert_eq!((exception.class, exception.message.as_str()), (class, message));
    }
    let nested: [(&str, &[u8]); 3] = [("images/a.png", b""), ("label.txt", b"cat\n"), ("annotations/x/a.json", b"{}")];
    assert_eq!(convert(&nested).unwrap_err().message, "[Errno 21] Is a directory: 'shop/annotations/x'");
    let file: [(&str, &[u8]); 3] = [("images/a.png", b""), ("label.txt", b"cat\n"), ("annotations", b"")];
    assert_eq!(convert(&file).unwrap_err().message, "[Errno 20] Not a directory: 'shop/annotations'");
}

/// Each true flag gives a row, and an image without flags gives none. The rest of the 5 rows goes to the queries.
#[test]
fn rows_of_a_conversion() {
    let annotation = |image: &str, flags: &str| format!("{{\"imagePath\": \" {image}\", \"flags\": {{{flags}}}}}");
    let first = annotation("../images/deep/a.png", "\"cat\": true, \"dog\": 1, \"bird\": \"x\"");
    let second = annotation("../images/b.png", "\"cat\": false, \"dog\": null");
    let third = annotation("/x/c.png", "\"dog\": true, \"cat\": true");
    let files: [(&str, &[u8]); 5] = [
        ("images/a.png", b""),
        ("label.txt", b"cat\n dog\r\nbird\ncat"),
        ("annotations/1.json", first.as_bytes()),
        ("annotations/2.json", second.as_bytes()),
        ("annotations/3", third.as_bytes()),
    ];
    let changes = convert(&files).unwrap();
    // 5 rows: round(2.5) = 2 and round(1.5) = 2, half to even
    let text = |path: &str| {
        changes.iter().find_map(|change| match change {
            Change::Write { path: written, bytes } if written == path => {
                Some(String::from_utf8(bytes.clone()).unwrap())
            }
            _ => None,
        })
    };
    assert_eq!(text("train.txt").unwrap(), "images/deep 3\nimages/deep 1\n");
    assert_eq!(text("gallery.txt").unwrap(), "images/deep 2\nimages/c.png 1\n");
    assert_eq!(text("query.txt").unwrap(), "images/c.png 3\n");
    assert_eq!(changes.len(), 3);
}

#[test]
fn divisions_that_fail_change_nothing() {
    let tree = small(&[]);
    let cases: [([Option<&str>; 3], &str, &str); 7] = [
        ([None; 3], "TypeError", "unsupported operand type(s) for +: 'NoneType' and 'NoneType'"),
        ([Some("70"), None, None], "TypeError", "unsupported operand type(s) for +: 'int' and 'NoneType'"),
        ([None, Some("7"), None], "TypeError", "unsupported operand type(s) for +: 'NoneType' and 'int'"),
        ([Some("7"), Some("1.5"), None], "TypeError", "unsupported operand type(s) for +: 'float' and 'NoneType'"),
        (
            [Some("50.0"), Some("30"), Some("10")],
            "AssertionError",
            "The sum of train_rate(50.0), gallery_rate(30), query_rate(10) should equal 100!",
        ),
        (
            [Some("120"), Some("-30"), Some("10")],
            "AssertionError",
            "The train_rate(120) and gallery_rate(-30) and query_rate(10) should be greater than 0!",
        ),
        (
            [Some("1e-7"), Some("30"), Some("10")],
            "AssertionError",
            "The sum of train_rate(1e-07), gallery_rate(30), query_rate(10) should equal 100!",
        ),
    ];
    for (percents, class, message) in cases {
        let mut dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Beta).ok().unwrap();
        match dataset.split(percents.map(|percent| percent.map(|text| text.parse().unwrap())), 0) {
            Err(Stop::Raised(exception)) => assert_eq!((exception.class, exception.message.as_str()), (class, message)),
            _ => panic!("{percents:?}"),
        }
        assert!(dataset.changes().is_empty());
    }
}

/// PaddleX reads such lists as GBK, and refuses its own result.
#[test]
fn lists_in_other_encodings_are_an_error_of_ours() {
    let tree = small(&[("train.txt", b"images/\xb4\xf3.png 0\n")]);
    let mut dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3).ok().unwrap();
    let percents = ["70", "20", "10"].map(|text| Some(text.parse().unwrap()));
    match dataset.split(percents, 0) {
        Err(Stop::Error(error)) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().starts_with("shop/train.txt: the file is not in UTF-8"), "{error}");
        }
        _ => panic!("it was divided"),
    }
}

#[test]
fn a_failure_as_json() {
    let json = result_json(&check(&[("train.txt", b"images/a.png \"x\n")]));
    let expected = "{\n  \"done_flag\": false,\n  \"err_type\": \"<class 'ValueError'>\",\n  \"err_msg\": \"invalid literal for int() with base 10: '\\\"x'\"\n}";
    assert_eq!(json, expected);
}
