<<<<<<< HEAD
//! `check`, `convert` and `split`.

use std::collections::BTreeMap;
use std::path::Path;

use temp_dir::TempDir;

use super::cases::{Case, compact, image};
use super::common::shared;
use super::program::{Run, files_below, run, text};

fn write_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
=======
//! `image-feature check`, `convert` and `split` in their own mode.

use std::path::Path;

use serde_json::Value;
use temp_dir::TempDir;

use crate::generated::{Files, clean, photo, ppm};
use crate::program::run;

fn write(files: &Files, folder: &Path) {
>>>>>>> 481a731 (Test the audit on planted faults, clean sets and real photos; show it in a report; time it beside Pillow)
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

<<<<<<< HEAD
/// A data set of six images and two classes.
fn shop(folder: &Path) {
    let mut files = BTreeMap::new();
    let mut rows = String::new();
    for (class, k) in (0..2).flat_map(|class| (0..3).map(move |k| (class, k))) {
        files.insert(format!("images/{class}_{k}.png"), image(class, k));
        rows += &format!("images/{class}_{k}.png {class}\n");
    }
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        files.insert(list.into(), rows.clone().into_bytes());
    }
    write_files(folder, &files);
}

/// Converts, divides and checks a golden's data set; gives the last run, and whether it was the check.
fn run_case(case: &Case, dataset: &str, output: &str, release: &str) -> (Run, bool) {
    if let Some(form) = case.convert() {
        let mut arguments = vec!["convert", dataset, "--compat", release, "--in-place", "--json"];
        arguments.extend(form.map(|form| ["--from", form]).into_iter().flatten());
        let run = run(arguments);
        if run.code != Some(0) {
            return (run, false);
        }
    }
    if let Some(percents) = case.split() {
        let seed = case.seed.to_string();
        let mut arguments = vec!["split", dataset, "--compat", release, "--in-place", "--json", "--seed", &seed];
        for (name, percent) in ["--train", "--gallery", "--query"].into_iter().zip(percents) {
            arguments.extend(percent.map(|percent| [name, percent]).into_iter().flatten());
        }
        let run = run(arguments);
        if run.code != Some(0) {
            return (run, false);
        }
    }
    (run(["check", dataset, "--compat", release, "--output", output, "--json"]), true)
}

#[test]
fn every_golden_on_a_disk() {
    for (golden, release) in [("v372", "paddlex"), ("beta1", "paddlex-beta")] {
        let Some(folder) = shared(&format!("golden/check_dataset/{golden}")) else { return };
        let mut failures = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() || path.ends_with("index.json") {
                continue;
            }
            let case = Case::parse(&std::fs::read_to_string(path).unwrap());
            let root = TempDir::new().unwrap();
            let dataset = root.path().join(&case.folder);
            let output = root.path().join("_output");
            write_files(&dataset, &case.files);
            let (run, is_checked) = run_case(&case, text(&dataset), text(&output), release);

            let mut expect = |what: &str, is_met: bool| {
                if !is_met {
                    failures.push(format!("{golden} {}: {what}: {run:?}", case.name));
                }
            };
            expect("exit code", run.code.map(i64::from) == Some(case.exit_code));
            let json = if run.stdout.is_empty() { String::new() } else { compact(&run.stdout) };
            expect("result", case.has_result(&json.replace(text(root.path()), "<ROOT>")));
            if is_checked {
                let file = std::fs::read_to_string(output.join("check_dataset_result.json")).unwrap();
                expect("result file", run.stdout == format!("{file}\n"));
                expect("files", files_below(&output) == case.out_files);
            }
            for (list, text) in &case.lists_after {
                let after = std::fs::read_to_string(dataset.join(list)).unwrap_or_default();
                expect(list, after == *text);
            }
            if dataset.exists() {
                let lists = files_below(&dataset).into_iter().filter(|path| !path.contains('/')).count();
                expect("number of lists", lists == case.lists_after.len());
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

#[test]
fn what_a_check_prints_and_draws() {
    let root = TempDir::new().unwrap();
    shop(root.path());
    let output = root.path().join("out");
    let folder = text(root.path());
    let printed = run(["check", folder, "--compat", "paddlex", "--output", text(&output)]).good();
    assert_eq!(printed, "Check dataset passed !\n");
    let pixels = |path: &str| {
        let bytes = std::fs::read(output.join("check_dataset").join(path)).unwrap();
        image_feature::decode(&bytes, &image_feature::DecodeLimits::default()).unwrap()
    };
    let histogram = pixels("histogram.png");
    assert_eq!((histogram.width(), histogram.height()), (1920, 1440));
    let demo = pixels("demo_img/1_2.png");
    assert_eq!((demo.width(), demo.height()), (64, 48));
    assert_eq!(demo.pixels()[3 * (64 * 3 + 3)..][..3], [255, 0, 0], "no label");

    std::fs::write(root.path().join("query.txt"), "images/0_0.png\n").unwrap();
    let failed = run(["check", folder, "--compat", "paddlex"]);
    failed.fails(
        1,
        &["paddlex.utils.errors.dataset_checker.CheckFailedError: Check dataset failed. We encountered the following error:"],
    );
    assert!(failed.stdout.is_empty() && failed.stderr.contains("\n  The number of delimiter-separated"), "{failed:?}");

    let missing = run(["check", "/nonexistent", "--compat", "paddlex"]);
    missing.fails(1, &["error: AssertionError"]);
    assert!(missing.stderr.contains("exactly one `images`"), "{missing:?}");
}

/// What lists name by absolute paths and through links is where the file system has it.
#[cfg(unix)]
#[test]
fn images_elsewhere() {
    let root = TempDir::new().unwrap();
    let dataset = root.path().join("shop");
    shop(&dataset);
    let elsewhere = root.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(dataset.join("images/0_0.png"), elsewhere.join("z.png")).unwrap();
    std::fs::rename(dataset.join("images/0_1.png"), elsewhere.join("0_1.png")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dataset.join("linked")).unwrap();
    let rows = format!("{}/z.png 0\nlinked/0_1.png 0\n../elsewhere/z.png 0\n", text(&elsewhere));
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        std::fs::write(dataset.join(list), &rows).unwrap();
    }
    assert!(run(["check", text(&dataset), "--compat", "paddlex"]).good().contains("passed"));
}

#[test]
fn copies_leave_the_data_set_alone() {
    let root = TempDir::new().unwrap();
    let dataset = root.path().join("shop");
    shop(&dataset);
    let before = files_below(&dataset);
    let percents = ["--train", "50", "--gallery", "30", "--query", "20", "--compat", "paddlex"];
    let split = |output: &Path, more: &[&str]| {
        let mut arguments = vec!["split", text(&dataset), "--output", text(output)];
        arguments.extend(percents);
        arguments.extend(more);
        run(arguments)
    };
    let folder = root.path().join("divided");
    assert_eq!(split(&folder, &[]).good(), "Split dataset successfully !\n");
    assert_eq!(files_below(&dataset), before);
    let mut expected = before.clone();
    expected.extend(["train.txt.bak", "gallery.txt.bak", "query.txt.bak"].map(String::from));
    expected.sort();
    assert_eq!(files_below(&folder), expected);
    let read = |path: &Path| std::fs::read(path).unwrap();
    assert_eq!(read(&folder.join("images/1_2.png")), read(&dataset.join("images/1_2.png")));
    assert_eq!(read(&folder.join("train.txt.bak")), read(&dataset.join("train.txt")));
    assert!(run(["check", text(&folder), "--compat", "paddlex"]).good().contains("passed"));

    let zip = root.path().join("divided.ZIP");
    let json: serde_json::Value = serde_json::from_str(&split(&zip, &["--json"]).good()).unwrap();
    assert_eq!(json["lists"], serde_json::json!({ "train.txt": 9, "gallery.txt": 5, "query.txt": 4 }));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).unwrap()).unwrap();
    let mut names: Vec<String> =
        archive.file_names().map(|name| name.unwrap().into_owned()).filter(|name| !name.ends_with('/')).collect();
    names.sort();
    assert_eq!(names, expected);
    let mut bytes = Vec::new();
    std::io::copy(&mut archive.by_name("query.txt").unwrap(), &mut bytes).unwrap();
    assert_eq!(bytes, read(&folder.join("query.txt")), "the same seed divides in the same way");

    let other = root.path().join("other");
    split(&other, &["--seed", "7"]).good();
    assert_ne!(read(&other.join("query.txt")), bytes);
    split(&dataset, &[]).fails(2, &["is the data set itself"]);
}

#[test]
fn a_conversion_to_a_zip() {
    let root = TempDir::new().unwrap();
    let dataset = root.path().join("labelled");
    let annotation = br#"{"imagePath": "../images/a.png", "flags": {"cat": true}}"#.to_vec();
    let files =
        [("images/a.png", image(0, 0)), ("label.txt", b"dog\ncat\n".to_vec()), ("annotations/a.json", annotation)];
    write_files(&dataset, &files.map(|(path, bytes)| (path.to_string(), bytes)).into());
    let zip = root.path().join("shop.zip");
    let convert = |more: &[&str]| {
        let mut arguments = vec!["convert", text(&dataset), "--compat", "paddlex"];
        arguments.extend(more);
        run(arguments)
    };
    assert_eq!(convert(&["--from", "labelme", "--output", text(&zip)]).good(), "Convert dataset successfully !\n");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).unwrap()).unwrap();
    let mut list = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("train.txt").unwrap(), &mut list).unwrap();
    assert_eq!(list, "", "round(0.5) is 0");
    assert!(archive.by_name("images/a.png").is_ok() && archive.by_name("annotations/a.json").is_ok());
    assert!(!dataset.join("train.txt").exists());

    convert(&["--from", "coco", "--in-place"])
        .fails(1, &["ConvertFailedError: 数据格式转换失败！不支持coco格式数据集。"]);
    convert(&["--in-place"]).fails(1, &["TypeError: 'in <string>' requires string"]);
    convert(&["--from", "labelme"]).fails_with_usage("--output");
}

#[test]
fn archives_are_checked_and_divided_as_they_are() {
    let root = TempDir::new().unwrap();
    let dataset = root.path().join("in/shop");
    shop(&dataset);
    let tar = root.path().join("shop.tar.gz");
    let gz = flate2::write::GzEncoder::new(std::fs::File::create(&tar).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    builder.append_dir_all("shop", &dataset).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    let zip = root.path().join("divided.zip");
    let arguments = ["--train", "50", "--gallery", "30", "--query", "20", "--compat", "paddlex"];
    let split = |more: [&str; 2]| run([&["split", text(&tar)], &arguments[..], &more].concat());
    split(["--output", text(&zip)]).good();
    split(["--in-place", "--json"]).fails(2, &["only folders can be changed in place"]);

    for (archive, train) in [(&tar, 6), (&zip, 9)] {
        let output = root.path().join("out");
        let json = run(["check", text(archive), "--compat", "paddlex", "--output", text(&output), "--json"]).good();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["attributes"]["train_samples"], train);
        assert_eq!(json["dataset_path"], "shop");
        assert!(output.join("check_dataset/demo_img/0_0.png").is_file());
    }
    // what lies beside an archive is none of its business
    std::fs::write(dataset.join("train.txt"), format!("{}/images/0_0.png 0\n", text(&dataset))).unwrap();
    assert!(run(["check", text(&dataset), "--compat", "paddlex"]).good().contains("passed"));
    let copy = root.path().join("copy.zip");
    let arguments =
        ["split", text(&dataset), "--output", text(&copy), "--train", "98", "--gallery", "1", "--query", "1"];
    run([&arguments[..], &["--compat", "paddlex"]].concat()).good();
    run(["check", text(&copy), "--compat", "paddlex"]).fails(1, &["DatasetFileNotFoundError: Check dataset failed."]);
    let broken = root.path().join("broken.zip");
    std::fs::write(&broken, "no archive").unwrap();
    run(["check", text(&broken), "--compat", "paddlex"]).fails(1, &["broken.zip"]);
}

#[test]
fn wrong_usage() {
    let root = TempDir::new().unwrap();
    shop(root.path());
    let folder = text(root.path());
    run(["check", folder]).fails(2, &["--compat"]);
    run(["split", folder, "--compat", "paddlex"]).fails_with_usage("--output");
    run(["split", folder, "--in-place", "--compat", "paddlex", "--train", "many"]).fails_with_usage("percent");
    run(["check", folder, "--compat", "caffe"]).fails_with_usage("paddlex-beta");
=======
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
        assert!(result.stdout.contains("36 images for training"), "{result:?}");
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
>>>>>>> 481a731 (Test the audit on planted faults, clean sets and real photos; show it in a report; time it beside Pillow)
}
