//! Everyday inputs of all commands: links, odd names, hidden folders, files that are something else, addresses.

use std::path::Path;
use std::process::{Command, Stdio};

use image_feature::gallery::Gallery;
use serde_json::Value;

use super::bench::Bench;
use super::photos::{photo, write};
use super::program::{Run, finish, program};

impl Bench {
    /// Runs a command in the folder.
    fn here(&self, arguments: &[&str]) -> Run {
        finish(program().args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()))
    }

    /// Runs a command that computes, with the small model.
    fn computing(&self, arguments: &[&str]) -> Run {
        let mut command: Command = program();
        command.args(arguments).args(["--device", "cpu", "--threads", "2", "--model"]).arg(&self.model);
        finish(command.current_dir(self.folder.path()).stdin(Stdio::null()))
    }

    /// Writes photos, each another one.
    fn photos(&self, paths: &[&str]) {
        for (kind, path) in paths.iter().enumerate() {
            write(&self.path(path), &photo(kind));
        }
    }

    /// The paths that `predict` reads, and the run.
    fn predicted(&self, inputs: &[&str]) -> (Vec<String>, Run) {
        let run = self.computing(&[&["predict", "--json"], inputs].concat());
        let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (lines.map(|line| line["input_path"].as_str().unwrap().to_string()).collect(), run)
    }

    /// Builds a gallery: its ids and labels, and the run.
    fn built(&self, inputs: &[&str]) -> (Vec<(String, String)>, Run) {
        let run = self.computing(&[&["gallery", "build", "--output", "g.safetensors", "--force"], inputs].concat());
        let Ok(gallery) = Gallery::open(self.path("g.safetensors")) else { return (Vec::new(), run) };
        let entries = gallery.iter().map(|(entry, _)| (entry.id.clone(), entry.label.clone().unwrap_or_default()));
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        (entries, run)
    }

    /// Converts class folders: the names of the classes, the number of images, and the run.
    fn converted(&self, folder: &str) -> (Vec<String>, usize, Run) {
        let _ = std::fs::remove_dir_all(self.path("converted"));
        let run = self.here(&["convert", folder, "--from", "folders", "--output", "converted"]);
        let classes = std::fs::read_to_string(self.path("converted/label.txt")).unwrap_or_default();
        let rows = ["train.txt", "gallery.txt", "query.txt"]
            .map(|list| std::fs::read_to_string(self.path("converted").join(list)).unwrap_or_default().lines().count());
        (classes.lines().map(String::from).collect(), rows.iter().sum(), run)
    }
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, label)| (id.to_string(), label.to_string())).collect()
}

/// A zip of the files below a folder.
fn zip_of(folder: &Path) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for file in super::program::files_below(folder) {
        zip.start_file(&file, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(folder.join(&file)).unwrap()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_nobody_means_is_passed_over_by_all() {
    let bench = Bench::new();
    bench.photos(&[
        "set/tea/1.ppm",
        "set/cup/2.ppm",
        "set/tea/.ipynb_checkpoints/1-checkpoint.ppm",
        "set/@eaDir/2.ppm",
        "set/.git/3.ppm",
        "set/$RECYCLE.BIN/4.ppm",
        "set/__MACOSX/5.ppm",
        "set/cup/._2.ppm",
    ]);
    write(&bench.path("set.zip"), &zip_of(&bench.path("set")));
    let names = |front: &str| ["cup/2.ppm", "tea/1.ppm"].map(|name| format!("{front}/{name}"));
    assert_eq!(bench.predicted(&["set"]).0, names("set"));
    assert_eq!(bench.predicted(&["set/**/*.ppm"]).0, names("set"));
    assert_eq!(bench.predicted(&["set.zip"]).0, names("set.zip"));
    let (entries, _) = bench.built(&["set"]);
    assert_eq!(entries, pairs(&[("cup/2.ppm", "cup"), ("tea/1.ppm", "tea")]));
    for set in ["set", "set.zip"] {
        let (classes, images, _) = bench.converted(set);
        assert_eq!((classes, images), (vec!["cup".to_string(), "tea".into()], 2), "{set}");
    }
    // a folder that is named itself is meant
    assert_eq!(bench.predicted(&["set/.git"]).0, ["set/.git/3.ppm"]);
    assert_eq!(bench.predicted(&["set/.g*/*.ppm"]).0, ["set/.git/3.ppm"]);
    bench.photos(&["only/.photos/1.ppm"]);
    write(&bench.path("only.zip"), &zip_of(&bench.path("only")));
    for input in ["only", "only.zip"] {
        bench
            .here(&["predict", input])
            .fails(1, &["holds no images", "; hidden images, such as .photos/1.ppm, are read"]);
    }
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        write(&bench.path("set").join(list), b"tea/1.ppm 0\n");
    }
    let check = bench.here(&["check", "set", "--quiet"]);
    assert!(check.stdout.contains("F004 unlisted-image: No list names an image (1)"), "{check:?}");
}

#[test]
fn first_bytes_tell_images_and_the_rest_is_told() {
    let bench = Bench::new();
    bench.photos(&["set/tea/1.ppm", "set/tea/2.HEIC", "set/cup/noext"]);
    write(&bench.path("set/cup/3.HEIC"), b"\0\0\0\x1cftypheic....");
    write(&bench.path("set/cup/notes.txt"), b"notes");
    write(&bench.path("set.zip"), &zip_of(&bench.path("set")));
    let told = "passed over 1 file that is no image that can be read: ";
    for set in ["set", "set.zip"] {
        let (paths, run) = bench.predicted(&[set]);
        assert_eq!(paths, ["cup/noext", "tea/1.ppm", "tea/2.HEIC"].map(|name| format!("{set}/{name}")), "{run:?}");
        assert!(run.stderr.contains(&format!("note: {told}{set}/cup/3.HEIC (a HEIC image)")), "{run:?}");
        assert_eq!(run.code, Some(0));
        let (classes, images, run) = bench.converted(set);
        assert_eq!((classes.len(), images), (2, 3), "{run:?}");
        assert!(run.stderr.contains(&format!("{told}cup/3.HEIC (a HEIC image)")), "{run:?}");
    }
    let (_, run) = bench.predicted(&["set/cup/*"]);
    assert!(run.stderr.contains("set/cup/3.HEIC (a HEIC image)"), "{run:?}");
    let (entries, run) = bench.built(&["set"]);
    assert_eq!(entries, pairs(&[("cup/noext", "cup"), ("tea/1.ppm", "tea"), ("tea/2.HEIC", "tea")]), "{run:?}");
    assert!(run.stderr.contains(told), "{run:?}");
    std::fs::remove_file(bench.path("set/cup/noext")).unwrap();
    let run = bench.here(&["predict", "set/cup"]);
    run.fails(1, &["set/cup: the folder holds no images at any depth", "passed over 1 file", "3.HEIC (a HEIC image)"]);
}

#[test]
fn class_folders_are_given_one_by_one() {
    let bench = Bench::new();
    bench.photos(&["r/tea/1.ppm", "r/tea/2.ppm", "r/cup/1.ppm", "s/tea/1.ppm"]);
    let (entries, run) = bench.built(&["r/tea", "r/cup/"]);
    assert_eq!(entries, pairs(&[("cup/1.ppm", "cup"), ("tea/1.ppm", "tea"), ("tea/2.ppm", "tea")]), "{run:?}");
    assert_eq!(run.code, Some(0));
    let (entries, _) = bench.built(&["r/tea", "s/tea"]);
    let expected = [("r/tea/1.ppm", "tea"), ("r/tea/2.ppm", "tea"), ("s/tea/1.ppm", "tea")];
    assert_eq!(entries, pairs(&expected));
    let (entries, _) = bench.built(&["r/tea/1.ppm", "r/cup/1.ppm"]);
    assert_eq!(entries, pairs(&[("cup/1.ppm", "cup"), ("tea/1.ppm", "tea")]));
    write(&bench.path("tea.zip"), &zip_of(&bench.path("r/tea")));
    let (entries, run) = bench.built(&["tea.zip", "r/cup"]);
    assert_eq!(entries, pairs(&[("cup/1.ppm", "cup"), ("tea/1.ppm", "tea"), ("tea/2.ppm", "tea")]), "{run:?}");
    // one folder keeps its names
    assert_eq!(bench.built(&["r"]).0, pairs(&[("cup/1.ppm", "cup"), ("tea/1.ppm", "tea"), ("tea/2.ppm", "tea")]));
    assert_eq!(bench.built(&["r/tea"]).0, pairs(&[("1.ppm", ""), ("2.ppm", "")]));
}

#[test]
fn known_images_are_left_out() {
    let bench = Bench::new();
    bench.photos(&["r/tea/1.ppm", "r/tea/2.ppm", "r/cup/1.ppm"]);
    bench.built(&["r"]);
    write(&bench.path("r/cup/2.ppm"), &photo(9));
    let add = |inputs: &[&str]| bench.computing(&[&["gallery", "add", "g.safetensors"], inputs].concat());
    let run = add(&["r"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("3 images are in the gallery already"), "{run:?}");
    assert!(run.stderr.contains("1 images added, 4 in all") && !run.stderr.contains("error"), "{run:?}");
    let run = add(&["r"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("4 images are in the gallery already") && !run.stderr.contains("added"), "{run:?}");
    // the same files, which would have other names now
    let run = add(&["r/tea"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("2 images are in the gallery already") && !run.stderr.contains("added"), "{run:?}");
    // the same photos in another place are the same; another photo of a known name is not lost without a word
    std::fs::rename(bench.path("r"), bench.path("moved")).unwrap();
    write(&bench.path("moved/cup/2.ppm"), &photo(5));
    let run = add(&["moved"]);
    run.fails(1, &["moved/cup/2.ppm: the gallery has this id already; remove it first"]);
    assert!(run.stderr.contains("3 images are in the gallery already"), "{run:?}");
}

#[test]
fn folders_with_brackets_are_folders() {
    let bench = Bench::new();
    bench.photos(&["r/[2024] x/1.ppm", "r/{a,b}/2.ppm", "r/2/3.ppm", "[c]/4.ppm"]);
    assert_eq!(bench.predicted(&["r/[2024] x/*.ppm"]).0, ["r/[2024] x/1.ppm"]);
    assert_eq!(bench.predicted(&["r/{a,b}/*.pp?"]).0, ["r/{a,b}/2.ppm"]);
    assert_eq!(bench.predicted(&["r/[0-9]/*.ppm"]).0, ["r/2/3.ppm"]);
    assert_eq!(bench.predicted(&["[c]/**/*.ppm", "./r/[0-9]/*.ppm"]).0, ["[c]/4.ppm", "./r/2/3.ppm"]);
    assert_eq!(bench.predicted(&["*/*/*.ppm"]).0, ["r/2/3.ppm", "r/[2024] x/1.ppm", "r/{a,b}/2.ppm"]);
    let absolute = bench.path("r/[2024] x/*.ppm").to_str().unwrap().to_string();
    assert_eq!(bench.predicted(&[&absolute]).0, [absolute.replace('*', "1")]);
}

#[test]
fn the_other_form_of_unicode_is_the_same_name() {
    let bench = Bench::new();
    let (apart, one) = ("images/cafe\u{301}.ppm", "images/caf\u{e9}.ppm");
    for (on_disk, written) in [(apart, one), (one, apart)] {
        let _ = std::fs::remove_dir_all(bench.path("set"));
        write(&bench.path("set").join(on_disk), &photo(1));
        for list in ["train.txt", "gallery.txt", "query.txt"] {
            write(&bench.path("set").join(list), format!("{written} 0\n").as_bytes());
        }
        let check = bench.here(&["check", "set", "--fix", "mended.zip", "--quiet"]);
        assert!(check.stdout.contains("error F006 unicode-form: "), "{check:?}");
        assert!(!check.stdout.contains("file-missing") && !check.stdout.contains("unlisted"), "{check:?}");
        assert!(check.stderr.contains("mended.zip with 3 rows") && !check.stderr.contains("set aside"), "{check:?}");
        let again = bench.here(&["check", "mended.zip", "--quiet"]);
        assert!(!again.stdout.contains("unicode-form"), "{again:?}");
        std::fs::remove_file(bench.path("mended.zip")).unwrap();
        // PaddleX takes the two for different names, and so does its check
        bench.here(&["check", "set", "--compat", "paddlex"]).fails(1, &["DatasetFileNotFoundError"]);
        assert_eq!(bench.predicted(&[&format!("set/{written}")]).0, [format!("set/{on_disk}")]);
        write(&bench.path("list.txt"), format!("set/{written} tea\n").as_bytes());
        let (entries, run) = bench.built(&["list.txt"]);
        assert_eq!(entries, pairs(&[(&format!("set/{written}"), "tea")]), "{run:?}");
        std::fs::remove_file(bench.path("g.safetensors")).unwrap();
    }
}

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n";

#[test]
fn files_in_the_place_of_others_are_named() {
    let bench = Bench::new();
    bench.photos(&["a.ppm"]);
    let kinds: [(&[u8], &str, &str); 5] = [
        (POINTER, "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>403</html>", "an HTML page", "download the file again"),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML text", "download the file again"),
        (b"{\"error\": \"Invalid credentials\"}", "a JSON text", "download the file again"),
        (b"", "empty", ""),
    ];
    for (bytes, name, remedy) in kinds {
        let is_empty = bytes.is_empty();
        write(&bench.path("p.npy"), bytes);
        let import = bench.here(&["gallery", "import", "p.npy", "--output", "o.safetensors"]);
        import.fails(1, &["p.npy: no .npy file but", name, remedy]);
        for file in ["p.jpg", "p.safetensors", "export/inference.pdiparams", "p.zip"] {
            write(&bench.path(file), bytes);
        }
        write(&bench.path("export/inference.json"), b"{}");
        bench.here(&["predict", "p.jpg"]).fails(1, &["p.jpg: not an image", name, remedy]);
        let model = bench.here(&["predict", "a.ppm", "--model", "p.safetensors"]);
        model.fails(1, &["p.safetensors: not a model but", name, remedy]);
        let gallery = bench.here(&["gallery", "info", "p.safetensors"]);
        gallery.fails(1, &["p.safetensors: ", if is_empty { "truncated" } else { name }, remedy]);
        if !is_empty {
            bench.here(&["model", "info", "export"]).fails(1, &["inference.pdiparams: not a model but", name, remedy]);
            bench.here(&["check", "p.zip"]).fails(1, &["p.zip: not an archive but", name, remedy]);
        }
    }
}

#[test]
fn archives_that_are_not_read_are_named() {
    let bench = Bench::new();
    bench.photos(&["a.ppm"]);
    let kinds: [(&[u8], &str); 5] = [
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a rar archive"),
        (b"\x28\xb5\x2f\xfd\0", "a zstd archive"),
        (b"\xfd7zXZ\0\0", "an xz archive"),
        (b"BZh91AY", "a bzip2 archive"),
    ];
    for (bytes, name) in kinds {
        write(&bench.path("p.7z"), bytes);
        let remedy = ", which is not read; unpack it, or pack it as .zip or .tar.gz";
        for command in [
            &["predict", "p.7z"][..],
            &["predict", "*.7z"],
            &["check", "p.7z"],
            &["check", "p.7z", "--compat", "paddlex"],
            &["convert", "p.7z", "--from", "folders", "--output", "o"],
            &["split", "p.7z", "--output", "o"],
            &["evaluate", "p.7z"],
            &["predict", "a.ppm", "--model", "p.7z"],
        ] {
            bench.here(command).fails(1, &["p.7z", name, remedy]);
        }
        let run = bench.here(&["gallery", "build", "p.7z", "--output", "g.safetensors"]);
        assert!(run.code == Some(1) && run.stderr.contains(&format!("p.7z: {name}{remedy}")), "{run:?}");
    }
}

#[test]
fn addresses_are_to_be_downloaded() {
    let bench = Bench::new();
    bench.photos(&["a.ppm"]);
    bench.built(&["a.ppm"]);
    let address = "https://example.org/data.zip?w=2";
    let remedy = "this is an address, and only files are read; download it first: curl -L -o 'data.zip' 'https://example.org/data.zip?w=2'";
    for command in [
        &["predict", address][..],
        &["gallery", "search", "g.safetensors", address],
        &["gallery", "add", "g.safetensors", address],
    ] {
        bench.computing(command).fails_all(&[&format!("{address}: {remedy}")]);
    }
    for command in [
        &["predict", "a.ppm", "--model", address][..],
        &["check", address],
        &["check", address, "--compat", "paddlex"],
        &["convert", address, "--from", "csv", "--output", "o"],
        &["split", address, "--output", "o"],
        &["evaluate", address],
        &["gallery", "info", address],
        &["gallery", "remove", address, "a.ppm"],
        &["gallery", "search", address, "a.ppm"],
        &["gallery", "add", address, "a.ppm"],
        &["gallery", "export", address, "--output", "o"],
        &["gallery", "import", address, "--output", "o.safetensors"],
        &["model", "info", address],
    ] {
        bench.here(command).fails(2, &[address, remedy]);
    }
    let list = ["gallery", "build", "https://example.org/list.txt", "--output", "o.safetensors"];
    bench.here(&list).fails(2, &["curl -L -o 'list.txt' 'https://example.org/list.txt'"]);
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_by_all() {
        let bench = Bench::new();
        bench.photos(&["store/tea/1.ppm", "store/tea/2.ppm", "set/cup/1.ppm"]);
        symlink("../store/tea", bench.path("set/tea")).unwrap();
        symlink("../../store/tea/1.ppm", bench.path("set/cup/3.ppm")).unwrap();
        symlink("..", bench.path("set/cup/round")).unwrap();
        let names = ["cup/1.ppm", "cup/3.ppm", "tea/1.ppm", "tea/2.ppm"];
        let (paths, run) = bench.predicted(&["set"]);
        assert_eq!(paths, names.map(|name| format!("set/{name}")));
        assert_eq!(run.code, Some(0), "a link that leads back is no failure: {run:?}");
        assert!(run.stderr.contains("note: set/cup/round: a link that leads back to a folder it is in"), "{run:?}");
        assert_eq!(bench.predicted(&["set/t*/*.ppm"]).0, ["set/tea/1.ppm", "set/tea/2.ppm"]);
        let (entries, _) = bench.built(&["set"]);
        assert_eq!(
            entries,
            pairs(&[("cup/1.ppm", "cup"), ("cup/3.ppm", "cup"), ("tea/1.ppm", "tea"), ("tea/2.ppm", "tea"),])
        );
        let (classes, images, run) = bench.converted("set");
        assert_eq!((classes, images, run.code), (vec!["cup".to_string(), "tea".into()], 4, Some(0)), "{run:?}");
        assert!(run.stderr.contains("cup/round: a link that leads back"), "{run:?}");

        // a data set whose folder of images is a link
        std::fs::create_dir(bench.path("linked")).unwrap();
        symlink("../store/tea", bench.path("linked/images")).unwrap();
        for list in ["train.txt", "gallery.txt", "query.txt"] {
            write(&bench.path("linked").join(list), b"images/1.ppm 0\n");
        }
        let check = bench.here(&["check", "linked", "--quiet"]);
        assert!(!check.stdout.contains("file-missing"), "{check:?}");
        bench.here(&["check", "linked", "--compat", "paddlex", "--output", "o"]).good();
        // PaddleX does not look for `images` below a link
        write(&bench.path("raw/images/1.ppm"), &photo(1));
        symlink("../raw", bench.path("linked/raw")).unwrap();
        bench.here(&["check", "linked", "--compat", "paddlex", "--output", "o"]).good();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let bench = Bench::new();
        bench.photos(&["set/cup/1.ppm"]);
        symlink("../nowhere", bench.path("set/tea")).unwrap();
        let (paths, run) = bench.predicted(&["set", "--quiet"]);
        assert_eq!((paths.len(), run.code), (2, Some(1)));
        run.fails_all(&["set/tea: a link that leads nowhere", "1 of 2 inputs failed"]);
        assert_eq!(bench.predicted(&["set/c*/*.ppm", "--quiet"]).1.code, Some(0), "the pattern does not mean the link");
        let (_, images, run) = bench.converted("set");
        assert_eq!(images, 1);
        run.fails(1, &["set: tea: a link that leads nowhere"]);
    }

    #[test]
    fn names_in_other_encodings_are_read() {
        let bench = Bench::new();
        // 绿茶 in GBK
        let tea = OsStr::from_bytes(b"\xc2\xcc\xb2\xe8");
        write(&bench.path("set").join(tea).join("1.ppm"), &photo(1));
        write(&bench.path("set/cup/2.ppm"), &photo(2));
        let (paths, run) = bench.predicted(&["set"]);
        assert_eq!((paths, run.code), (vec!["set/cup/2.ppm".to_string(), "set/绿茶/1.ppm".into()], Some(0)));
        let (entries, _) = bench.built(&["set"]);
        assert_eq!(entries, pairs(&[("cup/2.ppm", "cup"), ("绿茶/1.ppm", "绿茶")]));
        let (classes, images, run) = bench.converted("set");
        assert_eq!((classes, images, run.code), (vec!["cup".to_string(), "绿茶".into()], 2, Some(0)), "{run:?}");
        assert!(run.stderr.contains("the name is not UTF-8") && run.stderr.contains("read as `绿茶`"), "{run:?}");

        for list in ["train.txt", "gallery.txt", "query.txt"] {
            write(&bench.path("set").join(list), "绿茶/1.ppm 0\ncup/2.ppm 1\n".as_bytes());
        }
        let check = bench.here(&["check", "set", "--quiet"]);
        assert!(!check.stdout.contains("file-missing"), "{check:?}");
        assert!(check.stdout.contains("warning A003 folder-oddity: "), "{check:?}");
        // a file that is named itself
        let mut command = program();
        command.args(["predict", "--json", "--device", "cpu", "--model"]).arg(&bench.model);
        let run = finish(command.arg(bench.path("set").join(tea).join("1.ppm")).stdin(Stdio::null()));
        assert!(run.code == Some(0) && run.stdout.contains("/set/") && !run.stdout.contains('\u{fffd}'), "{run:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_listed_does_not_end_the_others() {
        use std::os::unix::fs::PermissionsExt;
        let bench = Bench::new();
        bench.photos(&["set/cup/1.ppm", "set/shut/2.ppm"]);
        let shut = bench.path("set/shut");
        std::fs::set_permissions(&shut, PermissionsExt::from_mode(0o000)).unwrap();
        let is_root = std::fs::read_dir(&shut).is_ok();
        if is_root {
            println!("skipped: root can list every folder");
        } else {
            let (paths, run) = bench.predicted(&["set"]);
            assert_eq!(paths, ["set/shut", "set/cup/1.ppm"]);
            run.fails_all(&["set/shut: it cannot be looked at", "1 of 2 inputs failed"]);
            let (classes, images, run) = bench.converted("set");
            assert_eq!((classes, images), (vec!["cup".to_string()], 1));
            run.fails(1, &["set: shut: it cannot be looked at"]);
            for list in ["train.txt", "gallery.txt", "query.txt"] {
                write(&bench.path("set").join(list), b"cup/1.ppm 0\n");
            }
            let check = bench.here(&["check", "set", "--quiet"]);
            assert!(check.stdout.contains("error I001 unreadable: ") && check.stdout.contains("shut"), "{check:?}");
        }
        std::fs::set_permissions(&shut, PermissionsExt::from_mode(0o700)).unwrap();
    }
}
