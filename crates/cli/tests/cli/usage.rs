//! Wrong usage, and help.

use super::program::run;

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [vec!["--help"], vec!["predict", "--help"], vec!["model", "--help"], vec!["help", "serve"]] {
        assert!(run(&arguments).good().contains("Usage: image-feature"), "{arguments:?}");
    }
    assert!(run(["--version"]).good().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_code_2() {
    let cases: [(&[&str], &str); 17] = [
        (&[], "Usage:"),
        (&["predcit"], "unrecognized subcommand"),
        (&["predict"], "<INPUT>"),
        (&["predict", "a.png", "--frobnicate"], "--frobnicate"),
        (&["predict", "a.png", "--batch-size", "0"], "1..=512"),
        (&["predict", "a.png", "--batch-size", "100000"], "1..=512"),
        (&["predict", "a.png", "--threads", "0"], "--threads"),
        (&["predict", "a.png", "--device", "tpu"], "auto, cpu, webgpu, cuda"),
        (&["predict", "a.png", "--roi", "1,2,3"], "X,Y,WIDTH,HEIGHT"),
        (&["predict", "a.png", "--roi", "0,0,0,5"], "X,Y,WIDTH,HEIGHT"),
        (&["predict", "a.png", "--format", "npy"], "--save"),
        (&["model", "convert", "m"], "--output"),
        (&["serve", "--port", "70000"], "--port"),
        (&["serve", "--model", "m"], "--api"),
        (&["serve", "--api", "--max-requests", "0"], "--max-requests"),
        (&["gallery", "push", "g.safetensors"], "--postgres"),
        (&["gallery", "search", "g.safetensors", "a.png", "--exact"], "--postgres"),
    ];
    let mut failures = Vec::new();
    for (arguments, expected) in cases {
        let run = run(arguments);
        if run.code != Some(2) || !run.stderr.contains(expected) || !run.stdout.is_empty() {
            failures.push(format!("{arguments:?}: {run:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
