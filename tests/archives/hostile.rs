//! Archives with one planted fault each. The good entry beside it is always read.

use image_feature::file_tree::{Archive, FileTree};
#[cfg(not(target_arch = "wasm32"))]
use image_feature::file_tree::{ArchiveOptions, name_decoder};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(not(target_arch = "wasm32"))]
use super::build::deflate;
use super::build::{Zipped, described, gzip, tar, tarred, zip};

/// From memory natively, from a Blob in the browser.
fn open(bytes: Vec<u8>) -> image_feature::Result<Archive> {
    let bytes = super::source(bytes);
    Archive::from_source("x", bytes)
}

/// A good entry, which must be read in each case.
fn good() -> Zipped {
    Zipped::new("good.txt", b"good", true)
}

fn check(cases: Vec<(&str, Vec<u8>, &[&str])>) {
    let mut complaints = Vec::new();
    for (case, bytes, expected) in cases {
        let found = match open(bytes) {
            Ok(archive) => described(&archive),
            Err(error) => vec![format!("refused: {error}")],
        };
        if found != expected {
            complaints.push(format!("{case}: {found:?}\n    not {expected:?}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn names_never_lead_out() {
    let named = |name: &[u8]| zip(&[Zipped::new(name, b"bad", false), good()]);
    let deep = "d/".repeat(80) + "a.png";
    check(vec![
        ("parent", named(b"../up.png"), &["good.txt = good", "path-escapes #1"]),
        ("parent inside", named(b"a/../../up.png"), &["good.txt = good", "path-escapes #1"]),
        ("root", named(b"/etc/up.png"), &["etc/up.png = bad", "good.txt = good", "path-absolute #1"]),
        ("drive", named(b"C:\\a\\up.png"), &["a/up.png = bad", "good.txt = good", "path-drive #1"]),
        ("share", named(b"\\\\s\\up.png"), &["good.txt = good", "s/up.png = bad", "path-absolute #1"]),
        ("backslashes", named(b"a\\up.png"), &["a/up.png = bad", "good.txt = good", "path-backslash #1"]),
        ("zero", named(b"a\0.png"), &["good.txt = good", "name-invalid #1"]),
        ("new line", named(b"a\n.png"), &["good.txt = good", "name-invalid #1"]),
        ("none", named(b""), &["good.txt = good", "name-invalid #1"]),
        ("long", named(&[b'x'; 5000]), &["good.txt = good", "name-too-long #1"]),
        ("deep", named(deep.as_bytes()), &["good.txt = good", "name-too-long #1"]),
        ("bytes", named(b"\xc4\xe3.png"), &["%C4%E3.png = bad", "good.txt = good", "name-encoding #1"]),
        ("nested", named(b"more.TAR.GZ"), &["good.txt = good", "more.TAR.GZ = bad", "nested-archive #1"]),
    ]);
}

#[test]
fn names_that_meet() {
    let entry = |name: &str, content: &str| Zipped::new(name, content.as_bytes(), false);
    check(vec![
        (
            "twice",
            zip(&[entry("a", "1"), entry("b", "x"), entry("./a", "2")]),
            &["a = 2", "b = x", "name-duplicate #1"],
        ),
        ("case", zip(&[entry("A/x", "1"), entry("a/X", "2")]), &["A/x = 1", "a/X = 2", "name-case #2"]),
        ("folder", zip(&[entry("a", "1"), entry("a/b", "2")]), &["a/b = 2", "name-folder #1"]),
        ("listed folder", zip(&[entry("a/", ""), entry("a/b", "2"), entry("a/", "")]), &["a/b = 2"]),
    ]);
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
fn encodings_are_told_or_found() {
    let names: [&[u8]; 2] = [b"\xcd\xbc\xc6\xac/\xc6\xbb\xb9\xfb.jpg", b"\xcd\xbc\xc6\xac/\xcf\xe3\xbd\xb6.jpg"]; // GBK
    let bytes = zip(&names.map(|name| Zipped::new(name, b"x", false)));
    for label in [None, Some("gbk")] {
        let decoder = name_decoder(label).unwrap();
        let options = ArchiveOptions { decode_names: Some(&*decoder) };
        let archive = Archive::with_options("x", bytes.clone(), &options).unwrap();
        let paths: Vec<&str> = archive.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["图片", "图片/苹果.jpg", "图片/香蕉.jpg"]);
        let problems = archive.problems();
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].entry.as_deref(), Some("\\xcd\\xbc\\xc6\\xac/\\xc6\\xbb\\xb9\\xfb.jpg"));
        assert!(problems[0].message().ends_with("(read as GBK: `图片/苹果.jpg`)"), "{}", problems[0]);
    }
    // one of these names is valid UTF-8 by accident, and so are all names of the second archive
    let accident: &[u8] = b"\xc4\xa3/1.jpg";
    let bytes = zip(&[names[0], names[1], accident].map(|name| Zipped::new(name, b"x", false)));
    let guess = name_decoder(None).unwrap();
    let options = ArchiveOptions { decode_names: Some(&*guess) };
    let listed = [
        "图片/苹果.jpg = x",
        "图片/香蕉.jpg = x",
        "模/1.jpg = x",
        "name-encoding #1",
        "name-encoding #2",
        "name-encoding #3",
    ];
    assert_eq!(described(&Archive::with_options("x", bytes, &options).unwrap()), listed);
    let bytes = zip(&[Zipped::new(accident, b"x", false)]);
    assert_eq!(described(&Archive::with_options("x", bytes.clone(), &options).unwrap()), ["ģ/1.jpg = x"]);
    let told = name_decoder(Some("gbk")).unwrap();
    let options = ArchiveOptions { decode_names: Some(&*told) };
    let read = described(&Archive::with_options("x", bytes, &options).unwrap());
    assert_eq!(read, ["模/1.jpg = x", "name-encoding #1"]);
    // names marked as UTF-8 are not decoded, and names that fit no other encoding are read as before
    let mut marked = Zipped::new("ģ/1.jpg", b"x", false);
    marked.flags = 1 << 11;
    let bytes = zip(&[marked, Zipped::new(names[1], b"x", false)]);
    let read = described(&Archive::with_options("x", bytes, &options).unwrap());
    assert_eq!(read, ["ģ/1.jpg = x", "图片/香蕉.jpg = x", "name-encoding #2"]);
    let bytes = zip(&[Zipped::new("€\u{ff}.jpg", b"x", false), Zipped::new(names[1], b"x", false)]);
    let read = described(&Archive::with_options("x", bytes, &options).unwrap());
    assert_eq!(read, ["€ÿ.jpg = x", "图片/香蕉.jpg = x", "name-encoding #2"]);
    // in Shift_JIS, the second byte of a letter may be a backslash
    let decoder = name_decoder(Some("shift_jis")).unwrap();
    let options = ArchiveOptions { decode_names: Some(&*decoder) };
    let bytes = zip(&[Zipped::new(b"\x95\x5c.png", b"x", false)]);
    assert_eq!(described(&Archive::with_options("x", bytes, &options).unwrap()), ["表.png = x", "name-encoding #1"]);
    // a decoder that returns nothing, or too few names, is ignored
    let decoder = |_: &[&[u8]]| Some(image_feature::file_tree::DecodedNames { encoding: "x".into(), names: vec![] });
    let options = ArchiveOptions { decode_names: Some(&decoder) };
    let bytes = zip(&[Zipped::new(b"\xff.png", b"x", false)]);
    assert_eq!(described(&Archive::with_options("x", bytes, &options).unwrap()), ["%FF.png = x", "name-encoding #1"]);
    // a name in UTF-8 beside the one in an old encoding
    let old = Zipped::new(b"\x95\x5c.png", b"x", false);
    let mut extra = b"up\x0c\0\x01".to_vec();
    extra.extend(super::build::crc32(&old.name).to_le_bytes());
    extra.extend("表.png".as_bytes());
    assert_eq!(described(&Archive::from_source("x", zip(&[old.with(|e| e.extra = extra)])).unwrap()), ["表.png = x"]);
}

#[test]
fn entries_that_are_not_files_or_cannot_be_read() {
    let bad = || Zipped::new("bad.png", b"bad content", true);
    let with = |change: &dyn Fn(&mut Zipped)| {
        let mut bad = bad();
        change(&mut bad);
        zip(&[bad, good()])
    };
    check(vec![
        ("link", with(&|e| e.mode = 0o120_777), &["good.txt = good", "symbolic-link #1"]),
        (
            "device",
            zip(&[Zipped::new("d", b"", false).with(|e| e.mode = 0o060_600), good()]),
            &["good.txt = good", "special-file #1"],
        ),
        ("piped", with(&|e| e.mode = 0o010_600), &["bad.png = bad content", "good.txt = good"]),
        ("encrypted", with(&|e| e.flags = 1), &["bad.png = ! encrypted", "good.txt = good", "encrypted #1"]),
        ("lzma", with(&|e| e.method = 14), &["bad.png = ! method", "good.txt = good", "method #1"]),
        ("zip64 without", with(&|e| e.size = u32::MAX), &["bad.png = ! zip64", "good.txt = good", "zip64 #1"]),
        (
            "zip64",
            with(&|e| {
                e.extra = [&b"\x01\0\x08\0"[..], &11u64.to_le_bytes()].concat();
                e.size = u32::MAX;
            }),
            &["bad.png = bad content", "good.txt = good"],
        ),
        (
            "descriptor",
            with(&|e| (e.descriptor, e.flags, e.local_sizes) = (true, 8, [0; 3])),
            &["bad.png = bad content", "good.txt = good"],
        ),
        ("too short", with(&|e| e.size += 1), &["bad.png = ! content-size", "good.txt = good"]),
        ("too long", with(&|e| e.size -= 1), &["bad.png = ! content-size", "good.txt = good"]),
        ("impossible", with(&|e| e.size = 100_000), &["bad.png = ! content-size", "good.txt = good"]),
        ("checksum", with(&|e| e.crc ^= 1), &["bad.png = ! checksum", "good.txt = good"]),
        (
            "header's sizes",
            with(&|e| e.local_sizes[2] = 1),
            &["bad.png = bad content", "good.txt = good", "header-sizes #1"],
        ),
        (
            "header's name",
            with(&|e| e.local_name = b"Bad.png".into()),
            &["bad.png = ! header-mismatch", "good.txt = good"],
        ),
        ("nonsense", with(&|e| e.packed[0] = 0xff), &["bad.png = ! compressed-data", "good.txt = good"]),
        (
            "offset",
            with(&|e| e.offset = Some(7)),
            &["bad.png = ! header-mismatch", "good.txt = good", "header-mismatch #1"],
        ),
        (
            "far offset",
            with(&|e| e.offset = Some(1 << 30)),
            &["bad.png = ! header-mismatch", "good.txt = good", "header-mismatch #1"],
        ),
        (
            "packed beyond",
            with(&|e| e.packed_size = 1 << 30),
            &["bad.png = ! overlap", "good.txt = good", "overlap #1"],
        ),
        ("method of nothing", zip(&[Zipped::new("0", b"", false).with(|e| e.method = 8)]), &["0 = "]),
    ]);
}

#[test]
#[cfg(not(target_arch = "wasm32"))] // making these archives takes minutes there
fn bombs_do_not_go_off() {
    let zeros = vec![0; 160 << 20];
    let packed = deflate(&zeros);
    let bomb = |name: &str| Zipped {
        packed: packed.clone(),
        packed_size: packed.len() as u32,
        size: zeros.len() as u32,
        crc: super::build::crc32(&zeros),
        ..Zipped::new(name, b"", true)
    };
    // one large entry, with any announced size
    let modest = bomb("b").with(|e| e.size = 1000);
    check(vec![
        ("one", zip(&[bomb("b"), good()]), &["b = ! entry-bomb", "good.txt = good", "entry-bomb #1"]),
        ("a lie", zip(&[modest, good()]), &["b = ! content-size", "good.txt = good"]),
    ]);

    // many entries that are small enough each, but not together
    let content = vec![0; 100 << 20];
    let part = Zipped::new("", &content, true);
    let mut many: Vec<Zipped> = (0..12)
        .map(|at| {
            part.clone().with(|e| (e.name, e.local_name) = (format!("{at:02}").into(), format!("{at:02}").into()))
        })
        .collect();
    many.push(good());
    let archive = Archive::from_source("x", zip(&many)).unwrap();
    let codes: Vec<String> =
        archive.problems().iter().map(|one| format!("{} {}", one.code.as_str(), one.position.unwrap())).collect();
    assert_eq!(codes, ["total-bomb 11", "total-bomb 12"]);
    assert_eq!(archive.read(archive.find("good.txt").unwrap(), 10).unwrap(), b"good");

    // many entries that share one content: all headers are in the content of the first entry
    let inner: Vec<Zipped> = (0..400).map(|at| Zipped::new(format!("{at:03}"), b"x", false)).collect();
    let mut bytes = zip(&inner);
    let size = bytes.len() as u32;
    let first = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    for at in 0..400 {
        // each content ends where the directory begins
        let header = first + at * 49;
        let from = u32::from_le_bytes(bytes[header + 42..header + 46].try_into().unwrap());
        let length = first as u32 - from - 33;
        for field in [20, 24] {
            bytes[header + field..header + field + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
    assert_eq!(bytes.len() as u32, size);
    let archive = Archive::from_source("x", bytes).unwrap();
    assert_eq!(archive.problems().iter().filter(|one| one.code.as_str() == "overlap").count(), 399);

    // a large entry of a compressed tar, even where it is not read: listing unpacks the whole stream
    let mut header = tarred(b"zeros", b'0', b"");
    header[124..136].copy_from_slice(b"20000000000\0"); // 2 GiB
    let sum: u32 = header[..148].iter().chain(&[b' '; 8]).chain(&header[156..]).map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let member = gzip(&vec![0; 1 << 20]);
    let bomb = [gzip(&tarred(b"good.txt", b'0', b"good")), gzip(&header), member.repeat(2048)].concat();
    let zeros = "zeros = ! zeros: more than 67108864 bytes, which is the most that is read";
    check(vec![("tar.gz", bomb, &["good.txt = good", zeros, "archive-bomb"])]);
}

#[test]
fn directories_that_lie() {
    let two = || zip(&[Zipped::new("a", b"1", false), good()]);
    let end = two().len() - 22;
    let with = |at: usize, bytes: &[u8]| {
        let mut archive = two();
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        archive
    };
    let mut trailing = two();
    trailing.extend(b"and more");
    check(vec![
        ("trailing", trailing, &["a = 1", "good.txt = good", "trailing-bytes"]),
        ("count", with(end + 10, &[9, 0]), &["a = 1", "good.txt = good", "entry-count"]),
        (
            "volume",
            with(end + 4, &[1, 0, 1, 0, 2, 0, 2, 0, 99, 0, 0, 0, 0xff, 0xff, 0xff, 0]),
            &["refused: x: one of several volumes of an archive; join them (`zip -s 0 parts.zip --out whole.zip`)"],
        ),
        // of these, Python's zipfile refuses the ones with a wrong size, and the 64-bit one
        ("one of two volumes", with(end + 4, &[1, 0, 1, 0]), &["a = 1", "good.txt = good", "multi-volume"]),
        ("directory of another size", with(end + 12, &[46]), &["a = 1", "good.txt = good", "directory-damaged"]),
        ("directory of no size", with(end + 8, &[0; 8]), &["directory-damaged"]),
        ("empty zip", zip(&[]), &[]),
        ("volumes of 64 bits", in_64_bits(&two(), 2), &["a = 1", "good.txt = good", "multi-volume"]),
        ("one volume of 64 bits", in_64_bits(&two(), 1), &["a = 1", "good.txt = good"]),
        (
            "no end",
            two()[..end].to_vec(),
            &["refused: x: the archive is damaged: its end is missing; copy it again, whole"],
        ),
        (
            "no directory",
            with(end + 16, &[0xff, 0xff, 0xff, 0]),
            &["refused: x: the archive is damaged: a part of its directory cannot be read; copy or pack it again"],
        ),
    ]);
}

/// A zip with its end record in 64 bits, which says this number of volumes.
fn in_64_bits(zip: &[u8], volumes: u32) -> Vec<u8> {
    let (mut bytes, end) = (zip[..zip.len() - 22].to_vec(), &zip[zip.len() - 22..]);
    let place = bytes.len() as u64;
    let field = |at: usize, length: usize| {
        let mut wide = [0; 8];
        wide[..length].copy_from_slice(&end[at..at + length]);
        wide
    };
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([field(8, 2), field(10, 2), field(12, 4), field(16, 4)].as_flattened());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(place.to_le_bytes());
    bytes.extend(volumes.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([0xff; 12]);
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn tars_of_all_kinds() {
    let good = || tarred(b"good.txt", b'0', b"good");
    let pax = |record: &str| {
        let length = (record.len() + 4).to_string();
        tarred(b"pax", b'x', format!("{length} {record}\n").as_bytes())
    };
    let broken = || {
        let mut entry = tarred(b"lost.png", b'0', &[1; 600]);
        entry[3] ^= 1;
        entry
    };
    let long = "l/".repeat(60) + "a.png";
    let long_line = format!("{long} = 1");
    check(vec![
        (
            "links",
            tar(&[
                tarred(b"s", b'2', b""),
                tarred(b"h", b'1', b""),
                tarred(b"d", b'3', b""),
                tarred(b"p", b'6', b""),
                good(),
            ]),
            &["good.txt = good", "symbolic-link #1", "hard-link #2", "special-file #3", "special-file #4"],
        ),
        (
            "old folder",
            tar(&[tarred(b"f/", b'0', b""), tarred(b"f/a", 0, b"1"), good()]),
            &["f/a = 1", "good.txt = good"],
        ),
        (
            "gnu name",
            tar(&[tarred(b"././@LongLink", b'L', long.as_bytes()), tarred(b"short", b'0', b"1"), good()]),
            &["good.txt = good", &long_line],
        ),
        (
            "endless gnu name",
            tar(&[tarred(b"././@LongLink", b'L', &[b'x'; 100_000]), tarred(b"short", b'0', b"1"), good()]),
            &["good.txt = good", "name-invalid #1"],
        ),
        (
            "pax name",
            tar(&[pax("path=other"), tarred(b"short", b'0', b"1"), good()]),
            &["good.txt = good", "other = 1"],
        ),
        (
            "sparse",
            tar(&[pax("GNU.sparse.major=1"), tarred(b"s", b'0', b"1"), good()]),
            &["good.txt = good", "s = ! sparse-file", "sparse-file #1"],
        ),
        ("label", tar(&[tarred(b"label", b'V', b""), good()]), &["good.txt = good"]),
        (
            "escapes",
            tar(&[tarred(b"../up", b'0', b"1"), tarred(b"/abs", b'0', b"2"), good()]),
            &["abs = 2", "good.txt = good", "path-escapes #1", "path-absolute #2"],
        ),
        (
            "a header is lost",
            tar(&[tarred(b"a", b'0', b"1"), broken(), good()]),
            &["a = 1", "good.txt = good", "header-damaged"],
        ),
        ("no end mark", good(), &["good.txt = good", "no-end-mark"]),
        (
            "first header",
            tar(&[broken(), good()]),
            &["refused: x: not an archive that is read; expected a .zip, .tar or .tar.gz"],
        ),
        (
            "cut",
            tar(&[good(), tarred(b"z", b'0', &[1; 600])])[..2000].to_vec(),
            &["good.txt = good", "z = ! truncated", "truncated #2"],
        ),
        (
            "cut gz",
            {
                let noise: Vec<u8> = (0..600u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
                let mut bytes = gzip(&tar(&[good(), tarred(b"z", b'0', &noise)]));
                bytes.truncate(bytes.len() - 100);
                bytes
            },
            &["good.txt = good", "z = ! end-missing", "end-missing"],
        ),
        (
            "checksum of gz",
            {
                let mut bytes = gzip(&tar(&[good()]));
                let at = bytes.len() - 8;
                bytes[at] ^= 1;
                bytes
            },
            &["good.txt = good", "stream-checksum"],
        ),
        ("trailing gz", [gzip(&tar(&[good()])), vec![0; 100]].concat(), &["good.txt = good", "trailing-bytes"]),
        ("two streams", [gzip(&good()), gzip(&[0; 1024])].concat(), &["good.txt = good"]),
        ("empty", vec![0; 10240], &[]),
        ("zeros", vec![0; 1000], &["refused: x: not an archive that is read; expected a .zip, .tar or .tar.gz"]),
        ("empty gz", gzip(&[0; 1024]), &[]),
    ]);
}

#[test]
fn problems_have_a_bound() {
    let bytes = zip(&(0..30_000).map(|at| Zipped::new(format!("../{at}"), b"", false)).collect::<Vec<_>>());
    let problems = open(bytes).unwrap().problems();
    assert_eq!((problems.len(), problems[0].code.as_str()), (10_001, "more-problems"));
}
