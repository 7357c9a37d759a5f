//! Lists in the encodings and with the separators that people use, on every command that reads lists.

use std::path::Path;

use temp_dir::TempDir;

use super::generated::{clean, photo, ppm};
use super::program::{run, text};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The text in GBK, of ASCII and of three Chinese characters.
fn gbk(text: &str) -> Vec<u8> {
    let bytes = |c: char| match c {
        '绿' => vec![0xc2, 0xcc],
        '茶' => vec![0xb2, 0xe8],
        '红' => vec![0xba, 0xec],
        ascii => vec![u8::try_from(ascii).unwrap()],
    };
    text.chars().flat_map(bytes).collect()
}

/// A clean data set whose images lie in a folder with a Chinese name, with lists of this encoding.
fn set_in(folder: &Path, encode: fn(&str) -> Vec<u8>) {
    for (path, bytes) in clean() {
        let path = folder.join(path.replace("images/", "images/绿茶/"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let is_list = path.extension().is_some_and(|extension| extension == "txt");
        let text = || String::from_utf8(bytes.clone()).unwrap().replace("images/", "images/绿茶/");
        std::fs::write(path, if is_list { encode(&text()) } else { bytes }).unwrap();
    }
}

#[test]
fn lists_that_are_not_utf8_are_read_and_mended() {
    let marked = |text: &str| [&b"\xff\xfe"[..], &utf16(text)].concat();
    type Encoded = fn(&str) -> Vec<u8>;
    let cases: [(Encoded, &str); 3] =
        [(marked, "the list is UTF-16LE"), (utf16, "the list is UTF-16LE"), (gbk, "the row is read as GBK")];
    for (encode, told) in cases {
        let root = TempDir::new().unwrap();
        let [set, copy] = ["set", "copy"].map(|name| root.path().join(name));
        set_in(&set, encode);
        let check = run(["check", text(&set), "--batch-size", "32", "--fix", text(&copy)]);
        assert!(check.code == Some(1) && check.stdout.contains(told), "{check:?}");
        assert!(check.stdout.contains("L004") && !check.stdout.contains("F001"), "{check:?}");
        let read_as = format!("note: gallery.txt is read as {}", told.rsplit(' ').next().unwrap());
        assert!(check.stderr.contains(&read_as), "{check:?}");
        let again = run(["check", text(&copy), "--batch-size", "32"]);
        assert_eq!(again.code, Some(0), "{again:?}");
        let split = run(["split", text(&set), "--output", text(&root.path().join("divided"))]);
        assert!(split.stderr.contains(&read_as), "{split:?}");
        assert!(!copy.join("set_aside.tsv").exists());

        let evaluated = run(["evaluate", text(&set), "--no-cache"]);
        assert!(evaluated.code == Some(0) && evaluated.stdout.contains("recall@1"), "{evaluated:?}");
        assert!(evaluated.stderr.contains(told), "{evaluated:?}");
    }
}

#[test]
fn a_gallery_is_built_of_a_list_in_an_old_encoding() {
    let root = TempDir::new().unwrap();
    std::fs::write(root.path().join("a.ppm"), ppm(&photo(1))).unwrap();
    std::fs::write(root.path().join("茶.ppm"), ppm(&photo(2))).unwrap();
    let cases = [gbk("a.ppm 绿茶\n茶.ppm 红茶\n"), utf16("a.ppm 绿茶\n茶.ppm 红茶\n"), gbk("a.ppm 绿茶\n")];
    for (at, list) in cases.into_iter().enumerate() {
        let [path, gallery] = ["txt", "safetensors"].map(|ending| root.path().join(format!("{at}.{ending}")));
        std::fs::write(&path, list).unwrap();
        let built = run(["gallery", "build", text(&path), "--output", text(&gallery)]);
        assert!(built.code == Some(0) && built.stderr.contains("is read as"), "{built:?}");
        let found = run(["gallery", "search", text(&gallery), text(&root.path().join("a.ppm")), "-k", "1", "--json"]);
        assert!(found.good().contains("\"label\":\"绿茶\""));
    }
}

#[test]
fn nothing_of_many_rows_that_are_set_aside_is_lost() {
    let root = TempDir::new().unwrap();
    let [set, copy] = ["set", "copy"].map(|name| root.path().join(name));
    std::fs::create_dir_all(set.join("images")).unwrap();
    std::fs::write(set.join("images/1.ppm"), ppm(&photo(1))).unwrap();
    let rows: Vec<Vec<u8>> =
        (0..1500).map(|at| [b"images/\xc2\xcc", format!("{at}.jpg {at}\t").as_bytes()].concat()).collect();
    std::fs::write(set.join("train.txt"), rows.iter().flat_map(|row| [row, &b"\n"[..]].concat()).collect::<Vec<u8>>())
        .unwrap();
    for list in ["gallery.txt", "query.txt"] {
        std::fs::write(set.join(list), "images/1.ppm 0\n").unwrap();
    }
    let check = run(["check", text(&set), "--fix", text(&copy), "--quiet"]);
    assert!(check.stderr.contains("1500 rows set aside"), "{check:?}");
    let table = std::fs::read(copy.join("set_aside.tsv")).unwrap();
    let lines: Vec<&[u8]> = table.split(|&byte| byte == b'\n').skip(1).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1500);
    for (at, (line, row)) in lines.iter().zip(&rows).enumerate() {
        let place = format!("train.txt\t{}\tfile-missing\t", at + 1);
        assert_eq!(line.strip_prefix(place.as_bytes()), Some(row.as_slice()), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn separators_of_other_keyboards_are_named_and_mended() {
    for separator in ["|", " | ", "\u{3000}", "\u{a0}", "，", "\t"] {
        let root = TempDir::new().unwrap();
        let [set, copy] = ["set", "copy"].map(|name| root.path().join(name));
        for (path, bytes) in clean() {
            let path = set.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let is_list = path.extension().is_some_and(|extension| extension == "txt");
            let text = || String::from_utf8(bytes.clone()).unwrap().replace(' ', separator);
            std::fs::write(path, if is_list { text().into_bytes() } else { bytes }).unwrap();
        }
        let check = run(["check", text(&set), "--batch-size", "32", "--fix", text(&copy)]);
        let code = if separator == "\t" { "L009" } else { "L012" };
        assert!(check.code == Some(1) && check.stdout.contains(code), "{separator}: {check:?}");
        assert_eq!(run(["check", text(&copy), "--batch-size", "32"]).code, Some(0), "{separator}");
    }
}

/// A clean data set with the names of its classes, in a file of whatever usual name.
fn named_set(folder: &Path, file: &str) {
    set_in(folder, |text| text.as_bytes().into());
    std::fs::write(folder.join(file), gbk("绿茶\n红茶\n")).unwrap();
}

#[test]
fn names_of_classes_are_kept_by_repair_and_division() {
    let names = gbk("绿茶\n红茶\n");
    for file in ["label.txt", "Labels.txt", "class_id_map.txt"] {
        let root = TempDir::new().unwrap();
        let path = |name: &str| root.path().join(name);
        let set = path("set");
        named_set(&set, file);
        run(["check", text(&set), "--batch-size", "32", "--fix", text(&path("fixed"))]).good();
        run(["check", text(&set), "--batch-size", "32", "--fix", text(&path("fixed.zip"))]).good();
        run(["split", text(&set), "--output", text(&path("divided"))]).good();
        run(["split", text(&set), "--output", text(&path("divided.zip"))]).good();
        run(["split", text(&set), "--in-place"]).good();
        for folder in ["set", "fixed", "divided"] {
            assert_eq!(std::fs::read(path(folder).join(file)).unwrap(), names, "{folder}/{file}");
            assert!(std::fs::metadata(path(folder).join("train.txt")).unwrap().len() > 0);
        }
        for archive in ["fixed.zip", "divided.zip"] {
            let mut zip = zip::ZipArchive::new(std::fs::File::open(path(archive)).unwrap()).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut zip.by_name(file).unwrap(), &mut bytes).unwrap();
            assert_eq!(bytes, names, "{archive}/{file}");
        }
    }
}

#[test]
fn further_columns_of_rows_that_are_kept_go_to_the_rows_set_aside() {
    let root = TempDir::new().unwrap();
    let [set, copy] = ["set", "copy"].map(|name| root.path().join(name));
    for (path, bytes) in clean() {
        let path = set.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let train = std::fs::read_to_string(set.join("train.txt")).unwrap();
    let (first, rest) = train.split_once('\n').unwrap();
    let spoilt = [first.as_bytes(), b" tea \xc2\xcc\n", rest.as_bytes()].concat();
    std::fs::write(set.join("train.txt"), spoilt).unwrap();
    let check = run(["check", text(&set), "--batch-size", "32", "--fix", text(&copy)]);
    assert!(check.stderr.contains("1 row without further columns (whole in set_aside.tsv)"), "{check:?}");
    assert!(!check.stderr.contains("row set aside"), "{check:?}");
    let table = std::fs::read(copy.join("set_aside.tsv")).unwrap();
    let expected =
        [b"list\tline\tcode\trow\ntrain.txt\t1\textra-column\t", first.as_bytes(), b" tea \xc2\xcc\n"].concat();
    assert_eq!(table, expected, "{}", String::from_utf8_lossy(&table));
    assert_eq!(std::fs::read_to_string(copy.join("train.txt")).unwrap().lines().count(), train.lines().count());
    run(["check", text(&copy), "--batch-size", "32"]).good();
}
