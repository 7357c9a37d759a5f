//! Errors of `predict` before it begins. These tests need no backend.

use super::program::{run, run_with_stdin, text};

fn folder() -> temp_dir::TempDir {
    let folder = temp_dir::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
    std::fs::write(folder.path().join("image.ppm"), b"P6 1 1 255\n\x01\x02\x03").unwrap();
    let mut tar = tar::Builder::new(std::fs::File::create(folder.path().join("no_images.tar")).unwrap());
    tar.append_path_with_name(folder.path().join("notes.txt"), "notes.txt").unwrap();
    tar.finish().unwrap();
    std::fs::write(folder.path().join("broken.zip"), b"PK\x03\x04 and no more").unwrap();
    folder
}

#[test]
fn each_kind_of_missing_input_has_its_sentence() {
    let folder = folder();
    let cases = [
        ("nosuch.png", "nosuch.png: no such file or folder"),
        ("empty", "empty: the folder holds no images at any depth (looked for .jpg"),
        ("*.gif", "*.gif: the pattern matches no file"),
        ("*.txt", "*.txt: the pattern matches 1 files, none of them an image"),
    ];
    for (input, sentence) in cases {
        // this error does not need a model
        run(["predict", text(&folder.path().join(input))]).fails(1, &[sentence]);
    }
}

#[test]
fn several_missing_inputs_are_all_named() {
    let folder = folder();
    let run = run(["predict", text(&folder.path().join("a.png")), text(&folder.path().join("b.png")), "--json"]);
    assert_eq!(run.code, Some(1));
    let errors: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(errors.len(), 3, "{run:?}");
    assert!(errors[0].contains("a.png: no such file") && errors[1].contains("b.png: no such file"), "{run:?}");
    assert_eq!(errors[2], "error: 2 of 2 inputs failed, see above");
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["kind"], "io");
    assert_eq!(lines[1]["error"], "no such file or folder");
}

#[test]
fn a_pattern_that_is_none_is_wrong_usage() {
    run(["predict", "photos/{a,b"]).fails(2, &["photos/{a,b", "not a pattern"]);
    run_with_stdin(&["predict", "-", "-"], b"").fails(2, &["stdin", "twice"]);
}

#[test]
fn a_model_that_is_not_there_is_said_where_to_find() {
    let folder = folder();
    let image = folder.path().join("image.ppm");
    let archive = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2/PP-ShiTuV2_rec_infer.tar";
    run(["predict", text(&image), "--model", "PP-ShiTuV2_rec"])
        .fails(1, &["PP-ShiTuV2_rec: not in PaddleX's cache", "/nonexistent/official_models/PP-ShiTuV2_rec", archive]);
    run(["predict", text(&image), "--model", "nosuch.tar"])
        .fails(1, &["nosuch.tar: no such file", "model list", archive]);
    run(["predict", text(&image), "--model", text(&folder.path().join("notes.txt"))]).fails(1, &["notes.txt"]);
    run(["predict", text(&image), "--model", text(&folder.path().join("empty"))]).fails(1, &["empty"]);
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let run = run(["predict", "\u{1b}]0;evil\nerror: forged.png"]);
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    run.fails(1, &["\\u{1b}]0;evil\\nerror: forged.png: no such file"]);
}
