//! `image-feature check`, `convert` and `split` in their own mode.

use std::path::Path;

use serde_json::Value;
use temp_dir::TempDir;

use crate::generated::{Files, clean, photo, ppm};
use crate::program::run;

fn write(files: &Files, folder: &Path) {
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn path(folder: &TempDir, below: &str) -> String {
    folder.path().join(below).to_str().unwrap().to_string()
}

/// A clean set with two rows spoilt, in a folder.
fn spoilt() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut files = clean();
    files.get_mut("train.txt").unwrap().extend(b"images/none.ppm 1\r\nimages/t0_0.ppm\t0\n");
    write(&files, &folder.path().join("set"));
    folder
}

#[test]
fn a_clean_set_passes_and_a_spoilt_one_fails() {
    let folder = TempDir::new().unwrap();
    write(&clean(), folder.path());
    let good = run(["check", folder.path().to_str().unwrap(), "--batch-size", "32"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.ends_with("passed: 0 errors, 0 warnings, 0 hints\n"), "{good:?}");
    assert!(good.stdout.contains("60 images, 18 classes, recall@1 of at most 100.0 %"), "{good:?}");

    let folder = spoilt();
    let bad = run(["check", &path(&folder, "set"), "--batch-size", "32"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    for line in [
        "error L009 tab-separator: A tab separates path and label (1)",
        "    train.txt:50:16: a tab separates path and label",
        "error F001 file-missing: A listed file does not exist (1)",
        "hint L006 windows-line-ends: Lines end as on Windows (CRLF) (1)",
        "failed: 2 errors, 1 warning, 1 hint",
    ] {
        assert!(bad.stdout.lines().any(|printed| printed == line), "{line}: {}", bad.stdout);
    }
    assert!(bad.stderr.contains("--fix DIR|ZIP"), "{bad:?}");
}

/// What a training batch or a machine cannot be is refused: so many threads would have the system end the program.
#[test]
fn numbers_out_of_range_are_wrong_usage() {
    let folder = spoilt();
    for (option, value) in [("--threads", "100000"), ("--threads", "0"), ("--batch-size", "0")] {
        let refused = run(["check", &path(&folder, "set"), option, value]);
        assert!(refused.code == Some(2) && refused.stderr.contains(option), "{refused:?}");
    }
    let refused = run(["check", &path(&folder, "set"), "--name-encoding", "klingon"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("no encoding `klingon`; there are gbk"), "{refused:?}");
}

#[test]
fn the_report_is_json_and_one_html_file() {
    let folder = spoilt();
    let output = path(&folder, "out");
    let result = run(["check", &path(&folder, "set"), "--json", "--output", &output, "--quiet"]);
    let json: Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!(
        (&json["schema"], &json["version"], &json["passed"]),
        (&"dataset-report".into(), &1.into(), &false.into())
    );
    let written: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&output).join("report.json")).unwrap()).unwrap();
    assert_eq!(written, json);
    let html = std::fs::read_to_string(Path::new(&output).join("report.html")).unwrap();
    assert!(html.contains("data:image/jpeg;base64,") && html.contains("Content-Security-Policy"));
    assert!(result.stderr.contains("report.html"), "{}", result.stderr);
}

#[test]
fn the_mended_copy_passes_as_folder_and_zip() {
    let folder = spoilt();
    for target in ["copy", "copy.zip"] {
        let target = path(&folder, target);
        let fixed = run(["check", &path(&folder, "set"), "--fix", &target, "--batch-size", "32"]);
        assert_eq!(fixed.code, Some(1), "the original still has its faults: {fixed:?}");
        assert!(fixed.stderr.contains("48 rows") || fixed.stderr.contains("60 rows"), "{}", fixed.stderr);
        assert!(fixed.stderr.contains("2 rows set aside"), "{}", fixed.stderr);
        let again = run(["check", &target, "--batch-size", "32"]);
        assert_eq!(again.code, Some(0), "{again:?}");
    }
    let aside = std::fs::read_to_string(folder.path().join("copy/set_aside.tsv")).unwrap();
    assert_eq!(
        aside,
        "list\tline\tcode\trow\ntrain.txt\t49\tfile-missing\timages/none.ppm 1\ntrain.txt\t50\tduplicate-row\timages/t0_0.ppm\t0\n"
    );
    let refused = run(["check", &path(&folder, "set"), "--fix", &path(&folder, "set")]);
    assert!(refused.code == Some(2) && refused.stderr.contains("not empty"), "never in place: {refused:?}");
    assert!(refused.stdout.is_empty(), "said before the work is done: {refused:?}");
}

#[test]
fn split_is_reproducible_and_keeps_the_old_lists_in_place() {
    let folder = TempDir::new().unwrap();
    write(&clean(), &folder.path().join("set"));
    let split = |target: &str, seed: &str| {
        let result = run([
            "split",
            &path(&folder, "set"),
            "--train",
            "60",
            "--gallery",
            "25",
            "--query",
            "15",
            "--seed",
            seed,
            "--output",
            &path(&folder, target),
        ]);
        assert_eq!(result.code, Some(0), "{result:?}");
        assert!(result.stdout.contains("images for training"), "{result:?}");
        std::fs::read_to_string(folder.path().join(target).join("train.txt")).unwrap()
    };
    let first = split("a", "7");
    assert_eq!(first, split("b", "7"));
    assert_ne!(first, split("c", "8"));

    let result = run(["split", &path(&folder, "set"), "--in-place", "--by", "class", "--json"]);
    let json: Value = serde_json::from_str(&result.stdout).unwrap();
    let rows = ["train", "gallery", "query"].map(|list| json[list].as_u64().unwrap());
    assert_eq!(rows.iter().sum::<u64>(), 60, "{json}");
    let kept = std::fs::read(folder.path().join("set/train.txt.bak")).unwrap();
    assert_eq!(kept, clean()["train.txt"]);
    let check = run(["check", &path(&folder, "set"), "--batch-size", "4", "--json"]);
    assert_eq!(check.code, Some(0), "{check:?}");

    for (arguments, words) in [
        (vec!["--train", "50"], "give --gallery"),
        (vec!["--train", "50", "--gallery", "20", "--query", "20"], "it must be 100"),
        (vec!["--train", "90", "--gallery", "0", "--query", "10"], "queries without a gallery"),
    ] {
        let set = path(&folder, "set");
        let wrong = run([vec!["split", set.as_str(), "--in-place"], arguments].concat());
        assert!(wrong.code == Some(2) && wrong.stderr.contains(words), "{wrong:?}");
    }
}

#[test]
fn folders_become_a_data_set() {
    let folder = TempDir::new().unwrap();
    for (class, index) in (0..3).flat_map(|class| (0..10).map(move |index| (class, index))) {
        let files = [(format!("photos/class {class}/{index}.ppm"), ppm(&photo(10 * class + index)))];
        write(&files.into_iter().collect(), folder.path());
    }
    let target = path(&folder, "set.zip");
    let result = run(["convert", &path(&folder, "photos"), "--from", "folders", "--output", &target]);
    assert_eq!(result.code, Some(0), "{result:?}");
    assert!(result.stdout.contains("15 images for training, 9 in the gallery, 6 queries"), "{result:?}");
    let check = run(["check", &target, "--batch-size", "12"]);
    assert!(check.code == Some(0) && check.stdout.contains("passed: 0 errors, 0 warnings, 2 hints"), "{check:?}");
    let wrong = run(["convert", &path(&folder, "photos"), "--from", "labelme", "--output", &path(&folder, "x")]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("no LabelMe data set"), "{wrong:?}");
}
