//! `predict` on real images, against what PaddleX computed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::common::{golden, max_abs_diff, shared};
use super::program::{Run, files_below, finish, program, run, run_with_stdin, text};

const TOLERANCE: f32 = 2e-5;

/// A model and a place for output; `None` without the golden data.
struct Bench {
    model: PathBuf,
    inputs: PathBuf,
    folder: temp_dir::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        Some(Bench {
            model: shared("golden/models/PP-ShiTuV2_rec_infer_pir")?,
            inputs: shared("golden/features/inputs")?,
            folder: temp_dir::TempDir::new().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with these bytes below the folder.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn image(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.inputs.join(name)).unwrap()
    }

    fn predict<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        finish(
            program()
                .args(["predict", "--device", "cpu", "--model"])
                .arg(&self.model)
                .args(arguments)
                .stdin(Stdio::null()),
        )
    }
}

/// The objects printed by `--json`.
fn objects(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn feature(object: &Value) -> Vec<f32> {
    object["feature"].as_array().expect("a feature").iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn file_name(object: &Value) -> String {
    Path::new(object["input_path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_string()
}

#[test]
fn all_four_formats_give_paddlexs_features() {
    let Some(bench) = Bench::new() else { return };
    let golden_features = golden("features/PP-ShiTuV2_rec_features.safetensors").unwrap();
    let safetensors = bench.path("model.safetensors");
    run(["model", "convert", text(&bench.model), "--output", text(&safetensors)]).good();
    let models = bench.model.parent().unwrap();
    let mut images: Vec<PathBuf> =
        std::fs::read_dir(&bench.inputs).unwrap().map(|entry| entry.unwrap().path()).collect();
    images.sort();
    assert_eq!(images.len(), 7);
    let mut failures = Vec::new();
    for model in [
        bench.model.clone(),
        models.join("PP-ShiTuV2_rec_infer_pdmodel"),
        models.join("PP-ShiTuV2_rec_random.pdparams"),
        safetensors,
    ] {
        let predict =
            finish(program().arg("predict").args(&images).args(["--json", "--device", "cpu", "--model"]).arg(&model));
        let stderr = predict.stderr.clone();
        let objects = objects(&predict.good());
        assert!(stderr.starts_with("PP-ShiTuV2_rec: 512 dimensions, on cpu"), "{stderr}");
        for (image, object) in images.iter().zip(&objects) {
            assert_eq!(object["input_path"], text(image), "the order of the arguments is kept");
            assert!(object["page_index"].is_null());
            let expected = &golden_features[&format!("{}/predict/feature", file_name(object))];
            let difference = max_abs_diff(&feature(object), expected);
            if difference.is_nan() || difference > TOLERANCE {
                failures.push(format!("{} with {}: {difference}", image.display(), model.display()));
            }
        }
        assert_eq!(objects.len(), images.len());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn results_look_as_paddlex_prints_and_saves_them() {
    let Some(bench) = Bench::new() else { return };
    let golden = shared("golden/predict/v3312").unwrap();
    let image = bench.inputs.join("chelsea.png");
    let printed = bench.predict([text(&image), "--save", text(&bench.path("out"))]).good();

    let log: Value = serde_json::from_str(&std::fs::read_to_string(golden.join("log.json")).unwrap()).unwrap();
    let theirs = log["print()"][0].as_str().unwrap().replace("WORK/golden/features/inputs/chelsea.png", text(&image));
    // equal except for the last digits of the two numbers
    let numbers = |line: &str| -> Vec<f32> {
        let inside = line.split("array([").nth(1).unwrap().split(']').next().unwrap();
        inside.split(", ..., ").map(|number| number.trim().parse().unwrap()).collect()
    };
    let frame = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(frame(printed.trim_end()), frame(&theirs));
    assert!(max_abs_diff(&numbers(&printed), &numbers(&theirs)) <= TOLERANCE, "{printed}");

    assert_eq!(files_below(&bench.path("out")), ["chelsea_res.json"]);
    let ours = std::fs::read_to_string(bench.path("out/chelsea_res.json")).unwrap();
    let theirs = std::fs::read_to_string(golden.join("all/chelsea_res.json")).unwrap();
    let (ours_json, theirs_json): (Value, Value) =
        (serde_json::from_str(&ours).unwrap(), serde_json::from_str(&theirs).unwrap());
    assert!(max_abs_diff(&feature(&ours_json), &feature(&theirs_json)) <= TOLERANCE);
    // everything else is equal, byte by byte
    let frame = |text: &str, path: &str| text.replace(path, "").replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(frame(&ours, text(&image)), frame(&theirs, "WORK/golden/features/inputs/chelsea.png"));
}

#[test]
fn the_good_are_done_and_the_bad_are_listed() {
    let Some(bench) = Bench::new() else { return };
    let chelsea = bench.image("chelsea.png");
    bench.write("in/1_good.png", &chelsea);
    bench.write("in/2_cut.png", &chelsea[..chelsea.len() / 2]);
    bench.write("in/3_text.jpg", b"hello, world");
    bench.write("in/4_empty.jpg", b"");
    bench.write("in/5_bomb.ppm", b"P6 65535 65535 255\n");
    bench.write("in/6_good.jpg", &bench.image("china.jpg"));
    let folder = bench.path("in");
    for batch_size in ["1", "2", "8"] {
        let run = bench.predict([text(&folder), "nosuch.png", "--json", "--batch-size", batch_size]);
        assert_eq!(run.code, Some(1), "{run:?}");
        let objects = objects(&run.stdout);
        let kinds: Vec<(String, &str)> =
            objects.iter().map(|object| (file_name(object), object["kind"].as_str().unwrap_or("good"))).collect();
        let expected = [
            ("1_good.png", "good"),
            ("2_cut.png", "decode"),
            ("3_text.jpg", "decode"),
            ("4_empty.jpg", "decode"),
            ("5_bomb.ppm", "limit"),
            ("6_good.jpg", "good"),
            ("nosuch.png", "io"),
        ];
        assert_eq!(kinds, expected.map(|(name, kind)| (name.to_string(), kind)), "{run:?}");
        let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 6, "{run:?}");
        assert!(errors[1].contains("3_text.jpg: not an image"), "{run:?}");
        assert!(errors[4].contains("nosuch.png: no such file or folder"), "{run:?}");
        assert_eq!(errors[5], "error: 5 of 7 inputs failed, see above");
    }
}

#[test]
fn folders_patterns_and_archives_give_the_same() {
    let Some(bench) = Bench::new() else { return };
    let (tiny, tall) = (bench.image("tiny_3x2.png"), bench.image("tall_37x401.png"));
    bench.write("in/x.png", &tiny);
    bench.write("in/sub/x.png", &tall);
    bench.write("in/notes.txt", b"no image");

    let mut tar = tar::Builder::new(Vec::new());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    // a hostile archive: names that lead out, a link, a text that calls itself an image
    for (name, bytes) in [("x.png", &tiny), ("../../sub/x.png", &tall), ("/etc/bad.png", &b"text".to_vec())] {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes()); // the library refuses such names
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, &bytes[..]).unwrap();
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "link.png", "/etc/passwd").unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    bench.write("a.tar", &tar);
    bench.write("b.tar.gz", &gzip.finish().unwrap());
    bench.write("c.zip", &zip.finish().unwrap().into_inner());

    let of = |run: &Run, name: &str| -> Vec<f32> {
        let object =
            objects(&run.stdout).into_iter().find(|object| object["input_path"].as_str().unwrap().ends_with(name));
        feature(&object.unwrap_or_else(|| panic!("no {name} in {run:?}")))
    };
    let folder = bench.predict([text(&bench.path("in")), "--json", "--save", text(&bench.path("out/folder"))]);
    assert_eq!(folder.code, Some(0), "{folder:?}");
    assert_eq!(files_below(&bench.path("out/folder")), ["sub/x_res.json", "x_res.json"]);
    let expected = (of(&folder, "in/x.png"), of(&folder, "in/sub/x.png"));

    let pattern = bench.predict([text(&bench.path("in/**/*.png")), "--json"]);
    assert_eq!((of(&pattern, "in/x.png"), of(&pattern, "in/sub/x.png")), expected);

    for archive in ["a.tar", "b.tar.gz", "c.zip"] {
        let out = bench.path(&format!("out/deep/er/{archive}"));
        let run = bench.predict([text(&bench.path(archive)), "--json", "--save", text(&out)]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(objects(&run.stdout).len(), 3, "{run:?}");
        assert_eq!((of(&run, &format!("{archive}/x.png")), of(&run, "sub/x.png")), expected, "{archive}");
        assert!(run.stderr.contains("etc/bad.png: not an image"), "{run:?}");
        assert_eq!(files_below(&out), ["sub/x_res.json", "x_res.json"], "{archive}");
    }
    let outside: Vec<String> =
        files_below(&bench.path("out")).into_iter().filter(|file| !file.contains("x_res.json")).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn no_result_replaces_another() {
    let Some(bench) = Bench::new() else { return };
    let tiny = bench.image("tiny_3x2.png");
    for name in ["a/x.png", "b/x.png", "a/x.jpg"] {
        bench.write(name, &tiny);
    }
    let save = |first: &str, second: &str| {
        let out = bench.path("out");
        let run = bench.predict([text(&bench.path(first)), text(&bench.path(second)), "--save", text(&out)]);
        assert_eq!(run.code, Some(0), "{run:?}");
        (files_below(&out), run.stderr)
    };
    let (files, stderr) = save("a/x.png", "b/x.png");
    assert_eq!(files, ["x.png_res.json", "x_res.json"]);
    assert!(!stderr.contains("replaced"), "{stderr}");
    let (files, stderr) = save("a/x.png", "a/x.jpg");
    assert_eq!(files, ["x.jpg_res.json", "x.png_res.json", "x_res.json"]);
    assert!(stderr.contains("(1 files of an earlier run replaced)"), "{stderr}");
}

#[test]
fn stdin_takes_one_image() {
    let Some(bench) = Bench::new() else { return };
    let image = bench.image("china.jpg");
    let arguments = ["predict", "-", "--device", "cpu", "--json", "--model", text(&bench.model)];
    let objects = objects(&run_with_stdin(&arguments, &image).good());
    assert_eq!(objects[0]["input_path"], "-");
    let expected = &golden("features/PP-ShiTuV2_rec_features.safetensors").unwrap()["china.jpg/predict/feature"];
    assert!(max_abs_diff(&feature(&objects[0]), expected) <= TOLERANCE);

    run_with_stdin(&arguments, b"").fails(1, &["-: stdin is empty"]);
    run_with_stdin(&arguments, b"hello").fails(1, &["-: not an image"]);
}

#[test]
fn npy_is_what_numpy_reads() {
    let Some(bench) = Bench::new() else { return };
    bench.write("in/a, b.png", &bench.image("tiny_3x2.png"));
    bench.write("in/bad.png", b"no image");
    bench.write("in/c.png", &bench.image("exact_224.png"));
    let out = bench.path("out");
    let run = bench.predict([text(&bench.path("in")), "--json", "--save", text(&out), "--format", "npy"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(files_below(&out), ["features.csv", "features.npy"]);

    let bytes = std::fs::read(out.join("features.npy")).unwrap();
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0);
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert_eq!(header.trim_end_matches(['\n', ' ']), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 512), }");
    assert!(header.ends_with('\n'));
    let values: Vec<f32> =
        bytes[10 + length..].chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect();
    let printed: Vec<f32> =
        objects(&run.stdout).iter().filter(|object| object["error"].is_null()).flat_map(feature).collect();
    assert_eq!(values, printed);

    let list = std::fs::read_to_string(out.join("features.csv")).unwrap();
    let folder = bench.path("in");
    assert_eq!(list, format!("row,input_path\n0,\"{0}/a, b.png\"\n1,{0}/c.png\n", folder.display()));
}

#[test]
fn batches_threads_and_regions() {
    let Some(bench) = Bench::new() else { return };
    // a region of a PPM is another PPM
    let pixel = |x: usize, y: usize| [(x * 9) as u8, (y * 11) as u8, (x * y) as u8];
    let ppm = |left: usize, top: usize, width: usize, height: usize| {
        let mut file = format!("P6 {width} {height} 255\n").into_bytes();
        file.extend((0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(left + x, top + y))));
        file
    };
    bench.write("in/a.ppm", &ppm(0, 0, 28, 20));
    bench.write("in/b.ppm", &ppm(5, 0, 20, 20));
    bench.write("in/c.ppm", &ppm(3, 4, 10, 8));
    let folder = bench.path("in");
    let features = |more: &[&str]| -> Vec<Vec<f32>> {
        objects(&bench.predict([text(&folder), "--json"].iter().chain(more)).good()).iter().map(feature).collect()
    };
    let plain = features(&[]);
    for more in [
        &["--batch-size", "1"][..],
        &["--batch-size", "2", "--threads", "1"],
        &["--batch-size", "512", "--threads", "3"],
    ] {
        for (ours, reference) in features(more).iter().zip(&plain) {
            assert!(max_abs_diff(ours, reference) <= 1e-6, "{more:?}");
        }
    }
    let cut = bench.predict([text(&bench.path("in/a.ppm")), "--json", "--roi", "3,4,10,8"]).good();
    assert!(max_abs_diff(&feature(&objects(&cut)[0]), &plain[2]) <= 1e-6);
    bench.predict([text(&bench.path("in/c.ppm")), "--roi", "3,4,10,8"]).fails(1, &["c.ppm", "10"]);
}

#[test]
fn quiet_says_nothing_but_results() {
    let Some(bench) = Bench::new() else { return };
    let run = bench.predict([text(&bench.inputs.join("tiny_3x2.png")), "--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let Some(bench) = Bench::new() else { return };
    for index in 0..40 {
        bench.write(&format!("in/{index}.png"), &bench.image("tiny_3x2.png"));
    }
    let mut child = program()
        .args(["predict", "--device", "cpu", "--quiet", "--batch-size", "1", "--model"])
        .arg(&bench.model)
        .arg(bench.path("in"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{'res': "), "{line}");
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn saving_goes_on_when_nobody_reads() {
    let Some(bench) = Bench::new() else { return };
    for index in 0..12 {
        bench.write(&format!("in/{index:02}.png"), &bench.image("tiny_3x2.png"));
    }
    let out = bench.path("out");
    let mut child = program()
        .args(["predict", "--device", "cpu", "--quiet", "--batch-size", "1", "--save", text(&out), "--model"])
        .arg(&bench.model)
        .arg(bench.path("in"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(files_below(&out).len(), 12);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_half_file() {
    let Some(bench) = Bench::new() else { return };
    for index in 0..200 {
        bench.write(&format!("in/{index}.png"), &bench.image("tiny_3x2.png"));
    }
    let out = bench.path("out");
    let mut child = program()
        .args(["predict", "--device", "cpu", "--batch-size", "1", "--save", text(&out), "--format", "npy", "--model"])
        .arg(&bench.model)
        .arg(bench.path("in"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert_eq!(files_below(&out).len(), 2, "the unfinished files");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).ends_with("interrupted\n"));
    assert_eq!(files_below(&out), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let Some(bench) = Bench::new() else { return };
    let blocked = bench.write("file", b"");
    let image = bench.inputs.join("tiny_3x2.png");
    bench.predict([text(&image), "--save", text(&blocked)]).fails(1, &["file", "the folder cannot be made"]);
}
