//! `gallery`: building, adding, removing, searching, describing and exchanging; and concurrent changes of its file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use image_feature::gallery::{Entry, Gallery, Metric, Storage};
use serde_json::Value;

use super::bench::Bench;
use super::common::shared;
use super::photos::{model_file, photo, write};
use super::program::{Run, files_below, finish, program, run, text};

impl Bench {
    /// With folders of photos: `photos/<label>/<n>.ppm`.
    fn with_photos() -> Self {
        let bench = Bench::new();
        for (kind, name) in ["tea/0.ppm", "tea/1.ppm", "cup/2.ppm", "cup/3.ppm", "4.ppm"].into_iter().enumerate() {
            write(&bench.path("photos").join(name), &photo(kind));
        }
        bench
    }

    /// Prepares a command that needs the model; it runs in the folder.
    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut program = program();
        program.args(["gallery", command]).args(arguments).args(["--device", "cpu", "--threads", "2", "--model"]);
        program.arg(&self.model).current_dir(self.folder.path()).stdin(Stdio::null());
        program
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Run {
        finish(&mut self.command(command, arguments))
    }

    /// Builds `g.safetensors` of all photos.
    fn build(&self) -> Gallery {
        self.run("build", &["photos", "--output", "g.safetensors"]).good();
        self.gallery()
    }

    fn gallery(&self) -> Gallery {
        Gallery::open(self.path("g.safetensors")).unwrap()
    }
}

fn ids(gallery: &Gallery) -> Vec<&str> {
    gallery.iter().map(|(entry, _)| entry.id.as_str()).collect()
}

#[test]
fn a_folder_becomes_a_gallery_and_is_searched() {
    let bench = Bench::with_photos();
    let built = bench.run("build", &["photos", "--output", "g.safetensors"]);
    assert!(built.stderr.contains("5 images in g.safetensors"), "{built:?}");
    let gallery = bench.gallery();
    assert_eq!(ids(&gallery), ["4.ppm", "cup/2.ppm", "cup/3.ppm", "tea/0.ppm", "tea/1.ppm"]);
    let labels: Vec<Option<&str>> = gallery.iter().map(|(entry, _)| entry.label.as_deref()).collect();
    assert_eq!(labels, [None, Some("cup"), Some("cup"), Some("tea"), Some("tea")]);
    assert_eq!(gallery.get("tea/1.ppm").unwrap().metadata["path"], text(&bench.path("photos/tea/1.ppm")));
    assert_eq!(gallery.model().unwrap().name, "small");

    // fields for programs, the query itself first
    let fields = bench.run("search", &["g.safetensors", "photos/tea/1.ppm", "-k", "3", "--quiet"]);
    assert_eq!(fields.stderr, "");
    let lines: Vec<Vec<&str>> = fields.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0][0], lines[0][2], lines[0][3]), ("photos/tea/1.ppm", "tea", "tea/1.ppm"));
    assert!((lines[0][1].parse::<f32>().unwrap() - 1.0).abs() < 1e-6);

    let json = |more: &[&str]| -> Vec<Value> {
        let arguments = [&["g.safetensors", "photos/cup/2.ppm", "photos/4.ppm", "--json"], more].concat();
        bench.run("search", &arguments).good().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = json(&[]);
    assert_eq!(found[0]["query"], "photos/cup/2.ppm");
    assert_eq!(found[0]["hits"][0]["id"], "cup/2.ppm");
    assert_eq!(found[1]["hits"].as_array().unwrap().len(), 5);
    let found = json(&["--label", "tea"]);
    assert_eq!(found[1]["hits"].as_array().unwrap().len(), 2);
    let only = format!("path={}", bench.path("photos/cup/3.ppm").display());
    assert_eq!(json(&["--where", &only])[0]["hits"][0]["id"], "cup/3.ppm");
    assert_eq!(json(&["--threshold", "1.1"])[0]["hits"].as_array().unwrap().len(), 0);
    assert_eq!(json(&["-k", "0"])[0]["hits"].as_array().unwrap().len(), 0);

    bench.run("search", &["g.safetensors", "photos/cup", "--html", "hits.html", "-k", "2"]).good();
    let page = std::fs::read_to_string(bench.path("hits.html")).unwrap();
    assert_eq!(page.matches("<section>").count(), 2);
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 6, "a query and two hits, twice");
    assert!(page.contains("1.0000 cup cup/2.ppm"), "{page}");
}

#[test]
fn info_tells_what_is_in_it() {
    let bench = Bench::with_photos();
    bench.build();
    let info = run(["gallery", "info", text(&bench.path("g.safetensors"))]).good();
    for line in
        ["vectors    5 of 24 values", "metric     cosine", "storage    f32", "labels     2, 1 vectors without one"]
    {
        assert!(info.contains(line), "{info}");
    }
    assert!(info.contains("model      small ("), "{info}");
    let json = run(["gallery", "info", text(&bench.path("g.safetensors")), "--json"]).good();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["count"], &json["labels"], &json["unlabelled"]), (&5.into(), &2.into(), &1.into()));
    assert_eq!((&json["model"]["name"], json["model"]["hash"].as_str().unwrap().len()), (&"small".into(), 64));
}

#[test]
fn images_are_added_and_removed_all_or_none() {
    let bench = Bench::with_photos();
    bench.build();
    write(&bench.path("more/5.ppm"), &photo(5));
    write(&bench.path("more/4.ppm"), &photo(6));
    write(&bench.path("more/bad.ppm"), b"P6 9 9 255\nshort");
    let added = bench.run("add", &["g.safetensors", "more"]);
    assert_eq!(added.code, Some(1), "{added:?}");
    assert!(added.stderr.contains("more/4.ppm: the gallery has this id already; remove it first"), "{added:?}");
    assert!(added.stderr.contains("more/bad.ppm: "), "{added:?}");
    assert!(added.stderr.contains("1 images added, 6 in all"), "{added:?}");
    assert_eq!(ids(&bench.gallery()).last(), Some(&"5.ppm"));

    let file = bench.path("g.safetensors");
    let before = std::fs::read(&file).unwrap();
    run(["gallery", "remove", text(&file), "5.ppm", "nosuch"]).fails(1 + 1, &["g.safetensors", "no id `nosuch`"]);
    assert_eq!(std::fs::read(&file).unwrap(), before, "all or none");
    run(["gallery", "remove", text(&file), "5.ppm", "tea/0.ppm"]).good();
    assert_eq!(ids(&bench.gallery()), ["4.ppm", "cup/2.ppm", "cup/3.ppm", "tea/1.ppm"]);
    let left: Vec<String> = files_below(bench.folder.path()).into_iter().filter(|file| file.contains("/.")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_folder_added_to_a_gallery_of_folders_is_a_label() {
    let bench = Bench::with_photos();
    let both = ["photos/tea", "photos/cup"];
    bench.run("build", &[&both[..], &["--output", "whole.safetensors"]].concat()).good();
    let whole = Gallery::open(bench.path("whole.safetensors")).unwrap();
    let names = |gallery: &Gallery| -> Vec<(String, Option<String>)> {
        let mut names: Vec<_> = gallery.iter().map(|(entry, _)| (entry.id.clone(), entry.label.clone())).collect();
        names.sort();
        names
    };
    write(&bench.path("photos/pot/6.ppm"), &photo(6));
    bench.run("build", &[&both[..], &["--output", "g.safetensors"]].concat()).good();
    let added = bench.run("add", &["g.safetensors", "photos/pot"]);
    assert!(added.code == Some(0) && added.stderr.contains("get that folder's name"), "{added:?}");
    let mut expected = names(&whole);
    expected.push(("pot/6.ppm".into(), Some("pot".into())));
    expected.sort();
    assert_eq!(names(&bench.gallery()), expected);
    assert!(bench.run("add", &["g.safetensors", "photos/pot"]).stderr.contains("1 images are in the gallery already"));

    // a folder of folders keeps its ids, and options decide
    write(&bench.path("more/can/7.ppm"), &photo(7));
    write(&bench.path("plain/8.ppm"), &photo(8));
    bench.run("add", &["g.safetensors", "more"]).good();
    bench.run("add", &["g.safetensors", "plain", "--folder-names", "never"]).good();
    let gallery = bench.gallery();
    assert!(gallery.vector("can/7.ppm").is_some() && gallery.vector("8.ppm").is_some(), "{:?}", ids(&gallery));
    bench.run("build", &["photos/tea", "--folder-names", "always", "--output", "one.safetensors"]).good();
    let one = Gallery::open(bench.path("one.safetensors")).unwrap();
    assert_eq!(ids(&one), ["tea/0.ppm", "tea/1.ppm"]);
    bench.run("build", &["photos/tea", "--output", "two.safetensors"]).good();
    assert_eq!(ids(&Gallery::open(bench.path("two.safetensors")).unwrap()), ["0.ppm", "1.ppm"]);
}

#[test]
fn images_in_archives_that_are_known_are_not_embedded() {
    let bench = Bench::with_photos();
    let zip = |name: &str, entries: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(bench.path(name)).unwrap());
        for (entry, bytes) in entries {
            zip.start_file(*entry, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, bytes).unwrap();
        }
        zip.finish().unwrap();
    };
    let picture = |name: &str| std::fs::read(bench.path("photos").join(name)).unwrap();
    zip("a.zip", &[("tea/0.ppm", &picture("tea/0.ppm"))]);
    bench.run("build", &["a.zip", "--output", "g.safetensors"]).good();
    // the known one would fail if it were decoded
    zip("a.zip", &[("tea/0.ppm", b"no image"), ("cup/2.ppm", &picture("cup/2.ppm"))]);
    let added = bench.run("add", &["g.safetensors", "a.zip"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(added.stderr.contains("1 images are in the gallery already"), "{added:?}");
    assert!(added.stderr.contains("1 images added, 2 in all"), "{added:?}");
    // in another archive the same name may be another picture: the same one is known, another one is refused
    zip("b.zip", &[("tea/0.ppm", &picture("tea/0.ppm")), ("cup/2.ppm", &picture("tea/1.ppm"))]);
    let other = bench.run("add", &["g.safetensors", "b.zip"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.stderr.contains("cup/2.ppm") && other.stderr.contains("1 images are in the gallery already"),
        "{other:?}"
    );
}

#[test]
fn lists_name_images_and_labels() {
    let bench = Bench::with_photos();
    let list = "\u{feff}photos/gone/0.ppm green tea\n\nphotos/tea/0.ppm green tea\nphotos/4.ppm\tnot blue\nphotos/tea/1.ppm 7\n";
    write(&bench.path("list.txt"), list.as_bytes());
    bench
        .run("build", &["list.txt", "--output", "g.safetensors", "--storage", "bit", "--metric", "hamming"])
        .fails(1, &["photos/gone/0.ppm green: No such file"]);
    // the label follows the tab as in PaddleClas's lists, the last blank as in PaddleX's, or a path of which there is a file
    let gallery = bench.gallery();
    assert_eq!(gallery.metric(), Metric::Hamming);
    let labels: Vec<(&str, &str)> =
        gallery.iter().map(|(entry, _)| (&*entry.id, entry.label.as_deref().unwrap())).collect();
    assert_eq!(labels, [("photos/tea/0.ppm", "green tea"), ("photos/4.ppm", "not blue"), ("photos/tea/1.ppm", "7")]);
    write(&bench.path("list.txt"), b"photos/4.ppm\n");
    bench.run("build", &["list.txt", "--output", "h.safetensors"]).fails(2, &["list.txt: line 1: `PATH LABEL`"]);
    assert!(!bench.path("h.safetensors").exists());
}

#[test]
fn another_model_is_refused() {
    let bench = Bench::with_photos();
    bench.build();
    let before = std::fs::read(bench.path("g.safetensors")).unwrap();
    // the same network with other weights
    let mut model = super::common::small_model(24);
    let mut shift = model.tensors.get("neck.feat_bn.bias").unwrap().clone();
    shift.values[0] += 1.0;
    model.tensors.insert("neck.feat_bn.bias", shift);
    let other = bench.path("other.safetensors");
    write(&other, &model.to_safetensors(image_feature::Dtype::F32).unwrap());
    let narrow = model_file(bench.folder.path(), 16);
    let with = |model: &Path, command: &str, more: &[&str]| {
        let arguments = [&["g.safetensors", "photos/4.ppm"], more].concat();
        let mut program = program();
        program.args(["gallery", command]).args(arguments).args(["--device", "cpu", "--model"]).arg(model);
        finish(program.current_dir(bench.folder.path()))
    };
    for command in ["search", "add"] {
        let run = with(&other, command, &[]);
        run.fails(
            2,
            &["g.safetensors: the gallery was made by another model, small (", "not by small (", "--any-model"],
        );
        with(&narrow, command, &[]).fails(2, &["made by another model"]);
        with(&narrow, command, &["--any-model"]).fails(2, &["vectors of 16 values, the gallery's have 24"]);
    }
    let found = with(&other, "search", &["--any-model"]).good();
    assert_eq!(found.lines().count(), 5);
    assert_eq!(std::fs::read(bench.path("g.safetensors")).unwrap(), before);
    // the same model under another name, in another file, is the same
    let mut model = super::common::small_model(24);
    model.description.name = "renamed".into();
    write(&other, &model.to_safetensors(image_feature::Dtype::F32).unwrap());
    with(&other, "search", &[]).good();
    // an exported and imported gallery knows its model, and without it refuses all
    run(["gallery", "export", text(&bench.path("g.safetensors")), "--output", text(&bench.path("g.jsonl"))]).good();
    let import = ["gallery", "import", text(&bench.path("g.jsonl")), "--output", text(&bench.path("g.safetensors"))]
        .map(String::from);
    run(&import).fails(2, &["g.safetensors: is there already; --force replaces it"]);
    let again = || run(import.iter().map(String::as_str).chain(["--force"]));
    again().good();
    assert_eq!(with(&bench.model, "search", &[]).good().lines().count(), 5);
    with(&narrow, "search", &[]).fails(2, &["made by another model"]);
    let nameless: String = std::fs::read_to_string(bench.path("g.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("model").unwrap();
            line.to_string() + "\n"
        })
        .collect();
    write(&bench.path("g.jsonl"), nameless.as_bytes());
    let note = again();
    assert!(note.stderr.contains("--model here writes it down"), "{note:?}");
    let unknown = std::fs::read(bench.path("g.safetensors")).unwrap();
    for command in ["search", "add"] {
        with(&bench.model, command, &[])
            .fails(2, &["does not know which model", "gallery import FILE --model", "--any-model"]);
    }
    with(&narrow, "search", &["--any-model"]).fails(2, &["vectors of 16 values, the gallery's have 24"]);
    assert_eq!(with(&bench.model, "search", &["--any-model"]).good().lines().count(), 5);
    assert_eq!(std::fs::read(bench.path("g.safetensors")).unwrap(), unknown);
    // the model is written down, and then known
    let name = |model: &Path, output: &str| {
        let output = bench.path(output);
        run([
            "gallery",
            "import",
            text(&bench.path("g.safetensors")),
            "--output",
            text(&output),
            "--model",
            text(model),
        ])
    };
    name(&narrow, "named.safetensors").fails(2, &["has vectors of 24 values, and small (", "makes 16"]);
    name(&bench.model, "named.safetensors").good();
    let named = Gallery::open(bench.path("named.safetensors")).unwrap();
    assert_eq!((named.len(), named.model().unwrap().name.as_str()), (5, "small"));
    std::fs::rename(bench.path("named.safetensors"), bench.path("g.safetensors")).unwrap();
    with(&bench.model, "search", &[]).good();
    let mut model = super::common::small_model(24);
    let mut shift = model.tensors.get("neck.feat_bn.bias").unwrap().clone();
    shift.values[0] += 1.0;
    model.tensors.insert("neck.feat_bn.bias", shift);
    write(&other, &model.to_safetensors(image_feature::Dtype::F32).unwrap());
    name(&other, "named.safetensors").fails(2, &["says that small (", "leave --model out"]);
}

#[test]
fn galleries_go_out_and_come_back() {
    let bench = Bench::with_photos();
    let original = bench.build();
    let file = bench.path("g.safetensors");
    for output in ["lines.jsonl", "out.npy", "out"] {
        let (there, back) = (bench.path(output), bench.path("back.safetensors"));
        run(["gallery", "export", text(&file), "--output", text(&there)]).good();
        run(["gallery", "import", text(&there), "--output", text(&back), "--metric", "cosine", "--force"]).good();
        let back = Gallery::open(&back).unwrap();
        assert_eq!(back.model(), original.model(), "{output}");
        let vectors = |gallery: &Gallery| -> Vec<Vec<f32>> { gallery.iter().map(|(_, v)| v.into_owned()).collect() };
        assert_eq!(vectors(&back), vectors(&original), "{output}");
        let entries = |gallery: &Gallery| -> Vec<Entry> { gallery.iter().map(|(entry, _)| entry.clone()).collect() };
        if output == "out" {
            // PaddleX has numbers and labels, and nothing else
            let labels: Vec<_> = back.iter().map(|(entry, _)| (&*entry.id, entry.label.as_deref().unwrap())).collect();
            assert_eq!(labels, [("0", "4.ppm"), ("1", "cup"), ("2", "cup"), ("3", "tea"), ("4", "tea")]);
        } else {
            assert_eq!(entries(&back), entries(&original), "{output}");
        }
    }
    assert_eq!(files_below(&bench.path("out")), ["id_map.yaml", "vector.index"]);
    // files that are there stay
    for (output, part) in [
        ("lines.jsonl", "lines.jsonl: is there already"),
        ("lines.npy", "lines.jsonl: is there already"),
        ("out", "id_map.yaml: is there already"),
    ] {
        run(["gallery", "export", text(&file), "--output", text(&bench.path(output))]).fails(2, &[part, "--force"]);
    }
    assert!(!bench.path("lines.npy").exists());
    run(["gallery", "export", text(&file), "--output", text(&bench.path("out")), "--force"]).good();
    write(&bench.path("out/id_map.pkl"), b"");
    run(["gallery", "export", text(&file), "--output", text(&bench.path("out")), "--force"])
        .fails(2, &["has a id_map.pkl"]);
    let Some(golden) = shared("golden/index/IP_HNSW32") else { return };
    let imported = run(["gallery", "import", text(&golden), "--output", text(&bench.path("p.safetensors"))]);
    assert!(imported.stderr.contains("7 vectors in "), "{imported:?}");
    assert_eq!(Gallery::open(bench.path("p.safetensors")).unwrap().metric(), Metric::InnerProduct);
}

/// Errors name the file without vectors, and an existing gallery stays.
#[test]
fn vectors_that_are_none_are_refused() {
    let bench = Bench::with_photos();
    bench.build();
    let file = bench.path("g.safetensors");
    let before = std::fs::read(&file).unwrap();
    let npy = |values: &[f32]| {
        let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 2), }}", values.len() / 2);
        head += &" ".repeat(117 - head.len());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [&b"\x93NUMPY\x01\x00v\x00"[..], head.as_bytes(), b"\n", &bytes].concat()
    };
    for (name, bytes, code, parts) in [
        ("nan.npy", npy(&[1.0, 0.0, f32::NAN, 1.0]), 1, ["nan.npy: row 1", "NaN"]),
        ("inf.npy", npy(&[f32::INFINITY, 0.0]), 1, ["inf.npy: row 0", "inf"]),
        ("zero.npy", npy(&[0.0, 0.0]), 1, ["zero.npy: row 0", "no direction"]),
        ("cut.npy", npy(&[1.0, 0.0, 2.0, 1.0])[..140].to_vec(), 1, ["cut.npy", ""]),
        (
            "nan.jsonl",
            b"{\"id\":\"a\",\"feature\":[1,2]}\n{\"id\":\"b\",\"feature\":[NaN,2]}".to_vec(),
            1,
            ["line 2", "not a vector"],
        ),
        ("huge.jsonl", b"{\"id\":\"b\",\"feature\":[1e39,2]}".to_vec(), 1, ["line 1", "inf"]),
        (
            "long.jsonl",
            b"{\"id\":\"a\",\"feature\":[1,2]}\n{\"id\":\"b\",\"feature\":[1,2,3]}".to_vec(),
            1,
            ["line 2", "3 values"],
        ),
        (
            "same.jsonl",
            b"{\"id\":\"a\",\"feature\":[1,2]}\n{\"id\":\"a\",\"feature\":[1,2]}".to_vec(),
            1,
            ["line 2", "already"],
        ),
        ("endless.jsonl", vec![b'x'; 17 << 20], 1, ["line 1", "at most"]),
        ("latin.jsonl", b"{\"id\":\"\xe9\"}".to_vec(), 1, ["line 1", "UTF-8"]),
        ("empty.jsonl", Vec::new(), 1, ["empty.jsonl", "no vectors"]),
    ] {
        let input = bench.path(name);
        write(&input, &bytes);
        run(["gallery", "import", text(&input), "--output", text(&file), "--force"]).fails(code, &parts);
        assert_eq!(std::fs::read(&file).unwrap(), before, "{name}");
    }
    run(["gallery", "import", text(&bench.path("nosuch.jsonl")), "--output", text(&file), "--force"])
        .fails(1, &["nosuch.jsonl"]);
}

#[test]
fn a_damaged_file_is_told_and_left_alone() {
    let bench = Bench::with_photos();
    bench.build();
    let file = bench.path("g.safetensors");
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 4;
    for (bytes, part) in [
        (&whole[..whole.len() - 7], "truncated"),
        (&whole[..5], "truncated"),
        (&[], "truncated"),
        (&flipped, "checksum"),
        (&std::fs::read(&bench.model).unwrap(), "no gallery"),
    ] {
        write(&file, bytes);
        for run in [
            bench.run("search", &["g.safetensors", "photos/4.ppm"]),
            bench.run("add", &["g.safetensors", "photos/4.ppm"]),
            run(["gallery", "remove", text(&file), "4.ppm"]),
            run(["gallery", "info", text(&file)]),
            run(["gallery", "export", text(&file), "--output", text(&bench.path("out.jsonl"))]),
        ] {
            run.fails(1, &["g.safetensors: ", part]);
        }
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
    assert!(!bench.path("out.jsonl").exists());
    bench.run("search", &["nosuch.safetensors", "photos/4.ppm"]).fails(1, &["nosuch.safetensors"]);
    // an output that cannot be written is reported before the work
    for (output, code, part) in [
        ("nosuch/g.safetensors", 1, "no such folder"),
        ("photos", 2, "is a folder"),
        ("g.safetensors", 2, "is there already; --force replaces it"),
    ] {
        let run = bench.run("build", &["photos", "--output", output]);
        run.fails(code, &[output, part]);
        assert!(!run.stderr.contains("dimensions"), "{run:?}");
    }
}

#[test]
fn nonsense_is_wrong_usage() {
    let bench = Bench::with_photos();
    bench.build();
    let file = bench.path("g.safetensors");
    for (arguments, part) in [
        (vec!["search", text(&file)], "QUERY"),
        (vec!["search", text(&file), "x.png", "--threshold", "nan"], "`nan` is not a number"),
        (vec!["search", text(&file), "x.png", "--where", "shelf"], "KEY=VALUE"),
        (vec!["search", text(&file), "x.png", "-k", "-1"], "-1"),
        (vec!["build", "photos"], "--output"),
        (vec!["build", "photos", "--output", "x", "--metric", "manhattan"], "cosine, ip, l2 and hamming"),
        (vec!["remove", text(&file)], "ID"),
    ] {
        run([vec!["gallery"], arguments].concat()).fails_with_usage(part);
    }
    bench.run("build", &["photos", "--output", "x", "--metric", "l2", "--storage", "bit"]).fails(2, &["storage bit"]);
    bench
        .run("build", &["nosuch", "--output", "x"])
        .fails_all(&["nosuch: no such file or folder", "no gallery is written"]);
    assert!(!bench.path("x").exists());
}

/// Several programs add at the same time, and the gallery has all their vectors in the end.
#[test]
fn those_who_add_at_once_lose_nothing() {
    let bench = Bench::with_photos();
    bench.build();
    let photos: Vec<String> = (0..6).map(|number| format!("more-{number}.ppm")).collect();
    for (number, name) in photos.iter().enumerate() {
        write(&bench.path(name), &photo(10 + number));
    }
    let mut children: Vec<_> =
        photos.iter().map(|name| bench.command("add", &["g.safetensors", name, "--quiet"]).spawn().unwrap()).collect();
    let removed = run(["gallery", "remove", text(&bench.path("g.safetensors")), "tea/0.ppm"]);
    removed.good();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let gallery = bench.gallery();
    assert_eq!(gallery.len(), 5 - 1 + photos.len());
    assert!(photos.iter().all(|name| gallery.get(name).is_some()), "{:?}", ids(&gallery));
}

/// After a kill at any time, the gallery is the old or the new one, and the next program can change it.
#[cfg(unix)]
#[test]
fn a_kill_leaves_a_whole_gallery() {
    let bench = Bench::with_photos();
    bench.build();
    // enough vectors that saving takes a while
    let mut large = Gallery::new(24, Metric::Cosine, Storage::F32).unwrap();
    large.set_model(bench.gallery().model().cloned());
    for id in 0..40_000 {
        let vector: Vec<f32> = (0..24).map(|at| ((id * 31 + at * 17) % 101) as f32 - 50.0).collect();
        large.add(Entry::new(format!("old {id}")), &vector).unwrap();
    }
    large.save(bench.path("g.safetensors")).unwrap();
    write(&bench.path("new.ppm"), &photo(9));
    let started = Instant::now();
    bench.run("add", &["g.safetensors", "new.ppm"]).good();
    let whole_run = started.elapsed();
    let mut outcomes = [0, 0];
    for round in 0..16u32 {
        large.save(bench.path("g.safetensors")).unwrap();
        let mut child = bench.command("add", &["g.safetensors", "new.ppm", "--quiet"]).spawn().unwrap();
        std::thread::sleep(whole_run * (round + 4) / 18);
        let _ = child.kill();
        child.wait().unwrap();
        let gallery = bench.gallery();
        assert!((40_000..=40_001).contains(&gallery.len()), "round {round}: {} vectors", gallery.len());
        outcomes[gallery.len() - 40_000] += 1;
    }
    eprintln!("{} killed before it was saved, {} after", outcomes[0], outcomes[1]);
    large.save(bench.path("g.safetensors")).unwrap();
    bench.run("add", &["g.safetensors", "new.ppm"]).good();
    assert_eq!(bench.gallery().len(), 40_001);
}

#[test]
fn a_closed_pipe_ends_a_search_quietly() {
    let bench = Bench::with_photos();
    bench.build();
    for kind in 0..200 {
        write(&bench.path(&format!("many/{kind}.ppm")), &photo(kind));
    }
    let mut child = bench
        .command("search", &["g.safetensors", "many", "--quiet", "--batch-size", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("many/0.ppm\t"), "{line}");
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(0), "".into()));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_half_gallery() {
    let bench = Bench::with_photos();
    for kind in 0..2000 {
        write(&bench.path(&format!("many/{kind}.ppm")), &photo(kind));
    }
    let mut child = bench
        .command("build", &["many", "--output", "g.safetensors", "--batch-size", "1"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}");
    assert!(!bench.path("g.safetensors").exists());
    assert!(files_below(bench.folder.path()).iter().all(|file| !file.starts_with('.')));
}
