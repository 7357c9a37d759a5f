//! `convert`: divisions, columns, faults, and folders that appear when they are complete.

use std::path::{Path, PathBuf};

use temp_dir::TempDir;

use super::generated::{photo, ppm};
use super::program::{files_below, run, text};

/// Small images at these paths.
fn images<P: AsRef<Path>>(root: &Path, paths: impl IntoIterator<Item = P>) {
    let image = ppm(&photo(1));
    for path in paths {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &image).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn folders_of_divisions_become_lists() {
    let root = TempDir::new().unwrap();
    let (source, target) = (root.path().join("pets"), root.path().join("out"));
    for (division, class) in [("Train", "cat"), ("Train", "dog"), ("val", "cat"), ("val", "dog")] {
        images(&source, (1..=5).map(|at| format!("{division}/{class}/{at}.ppm")));
    }
    let convert = |source: &Path, target: &Path, more: &[&str]| {
        run([&["convert", text(source), "--from", "folders", "--output", text(target)], more].concat())
    };
    let converted = convert(&source, &target, &[]);
    assert_eq!(converted.code, Some(0), "{converted:?}");
    for told in ["train -> train.txt (10 images)", "val -> gallery.txt and query.txt, divided 60 : 40 (10 images)"] {
        assert!(converted.stderr.contains(told), "{converted:?}");
    }
    assert_eq!(read(target.join("label.txt")), "cat\ndog\n");
    assert_eq!(read(target.join("train.txt")).lines().filter(|row| row.contains("/Train/")).count(), 10);
    let rows = ["gallery.txt", "query.txt"].map(|list| read(target.join(list)).lines().count());
    assert_eq!(rows, [6, 4]);

    let quiet = convert(&source, &root.path().join("quiet"), &["--quiet"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    let json = convert(&source, &root.path().join("out.zip"), &["--json", "-q"]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["train"], json["notes"].as_array().unwrap().len()), (&10.into(), 2));

    images(&source, ["bird/1.ppm"]);
    let asked = convert(&source, &root.path().join("x"), &[]);
    asked.fails(1, &["pets", "`Train`, `val` may be divisions", "--divisions no", "--divisions yes"]);
    let classes = convert(&source, &root.path().join("classes"), &["--divisions", "no"]);
    assert_eq!(classes.code, Some(0), "{classes:?}");
    assert_eq!(read(root.path().join("classes/label.txt")), "Train\nbird\nval\n");
    let divisions = convert(&source, &root.path().join("divisions"), &["--divisions", "yes"]);
    assert!(divisions.stderr.contains("`bird/` is no division: 1 images"), "{divisions:?}");
    convert(&source, &root.path().join("y"), &["--divisions", "maybe"]).fails_with_usage("auto, yes and no");
    assert_eq!(names(root.path()), ["classes", "divisions", "out", "out.zip", "pets", "quiet"]);
}

#[test]
fn a_table_is_converted_by_its_columns_and_all_its_faults_are_told() {
    let root = TempDir::new().unwrap();
    let set = root.path().join("set");
    images(&set, ["1.ppm", "2.ppm", "3.ppm"]);
    std::fs::write(set.join("more.csv"), "another\n").unwrap();
    let table = set.join("labels.csv");
    std::fs::write(&table, "id,kind,path,label\n7,a,1.ppm,tea\n8,b,2.ppm,tea\n9,a,3.ppm,cup\n").unwrap();
    let convert = |source: &Path, target: &str, more: &[&str]| {
        let target = root.path().join(target);
        let all = ["convert", text(source), "--from", "csv", "--train", "100", "--gallery", "0", "--query", "0"];
        run([&all[..], &["--output", text(&target)], more].concat())
    };
    convert(&set, "no", &[]).fails(1, &["several .csv files", "`labels.csv`"]);
    let converted = convert(&table, "a", &[]);
    let told = "the first row names the columns; path is `path`, label is `label`, not used: `id`, `kind`";
    assert!(converted.stderr.contains(told), "{converted:?}");
    assert_eq!(read(root.path().join("a/label.txt")), "cup\ntea\n");
    assert_eq!(read(root.path().join("a/train.txt")), "images/3.ppm 0\nimages/1.ppm 1\nimages/2.ppm 1\n");
    assert_eq!(convert(&table, "b", &["--label-column", "kind"]).code, Some(0));
    assert_eq!(read(root.path().join("b/label.txt")), "a\nb\n");
    convert(&table, "c", &["--label-column", "sort"]).fails(2, &["no column `sort`", "`kind`"]);

    let rows: String = (10..40).map(|at| format!("7,a,{at}.ppm,tea\n")).collect();
    std::fs::write(&table, format!("id,kind,path,label\n7,a,1.ppm,tea\n{rows}")).unwrap();
    let faulty = convert(&table, "d", &[]);
    faulty.fails(1, &["labels.csv:3: `10.ppm` does not exist", "30 faults in all", "--skip-faulty"]);
    assert!(
        faulty.stderr.contains("  labels.csv:22: `29.ppm`") && faulty.stderr.contains("… and 10 more"),
        "{faulty:?}"
    );
    let skipped = convert(&table, "e", &["--skip-faulty"]);
    assert!(skipped.code == Some(0) && skipped.stderr.contains("left out because of faults: 30"), "{skipped:?}");
    assert_eq!(names(root.path()), ["a", "b", "e", "set"], "a failed conversion leaves a folder");
}

#[test]
fn split_and_paddlexs_conversions_are_quiet_where_that_is_asked_for() {
    let root = TempDir::new().unwrap();
    let set = root.path().join("set");
    images(&set, (0..20).map(|at| format!("images/{at}.ppm")));
    let rows: String = (0..20).map(|at| format!("images/{at}.ppm {}\n", at % 2)).collect();
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        std::fs::write(set.join(list), &rows).unwrap();
    }
    for (at, more) in [&["--ignore-copies"][..], &["--compat", "paddlex"]].into_iter().enumerate() {
        let target = root.path().join(format!("out{at}"));
        let shares = ["--train", "50", "--gallery", "30", "--query", "20"];
        let split = run([&["split", text(&set), "--quiet", "--output", text(&target)], &shares[..], more].concat());
        assert_eq!((split.code, split.stderr.as_str()), (Some(0), ""), "{more:?}");
        assert!(!split.stdout.is_empty() && target.join("train.txt").is_file());
    }
}

/// A disk that is full: here files of more than 100 KiB cannot be written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let source = root.path().join("pets");
    images(&source, (1..=3).map(|at| format!("cat/{at}.ppm")));
    let mut large = b"P6 300 300 255\n".to_vec();
    large.resize(large.len() + 300 * 300 * 3, 7);
    std::fs::write(source.join("cat/9.ppm"), large).unwrap();
    let empty = root.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for target in ["new", "deep/er/new", "empty", "new.zip"] {
        let target = root.path().join(target);
        let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" convert \"$1\" --from folders --output \"$2\"";
        let program = env!("CARGO_BIN_EXE_image-feature");
        let mut bash = std::process::Command::new("bash");
        let run = bash.args(["-c", script, program, text(&source), text(&target)]).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("error: "), "{run:?}");
        assert_eq!(names(root.path()), ["empty", "pets"]);
        assert!(names(&empty).is_empty());
    }
}

/// After Ctrl-C at any time, the folder is whole or not there.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_a_whole_folder_or_none() {
    let root = TempDir::new().unwrap();
    let source = root.path().join("pets");
    images(&source, (0..600).map(|at| format!("cat/{at}.ppm")));
    let mut interrupted = 0;
    for attempt in 0..8u64 {
        let target = root.path().join(format!("out{attempt}"));
        let mut child = super::program::program();
        let child = child.args(["convert", text(&source), "--from", "folders", "--quiet", "--output", text(&target)]);
        let mut child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5 + 10 * attempt));
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        if target.exists() {
            assert_eq!(files_below(&target).len(), 604, "{status:?}");
            std::fs::remove_dir_all(&target).unwrap();
        } else {
            interrupted += 1;
        }
        assert_eq!(names(root.path()), ["pets"], "{status:?}");
    }
    eprintln!("{interrupted} of 8 were interrupted before the end");
}
