//! `check`, `convert` and `split`.

use std::collections::BTreeMap;
use std::path::Path;

use temp_dir::TempDir;

use super::cases::{Case, compact, image};
use super::common::shared;
use super::program::{Run, files_below, run, text};

fn write_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

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
    run(["check", folder, "--compat", "paddlex", "--html", "report.html"]).fails(2, &["--html", "--compat"]);
    run(["split", folder, "--compat", "paddlex"]).fails_with_usage("--output");
    run(["split", folder, "--in-place", "--compat", "paddlex", "--train", "many"]).fails_with_usage("percent");
    run(["check", folder, "--compat", "caffe"]).fails_with_usage("paddlex-beta");
}
