//! `image-feature-bind COMPILED.wasm FOLDER` writes the files that a browser loads of a compiled artefact into a folder:
//! `image_feature.js`, `image_feature_bg.wasm` and their TypeScript declarations.
//!
//! It does what `wasm-bindgen --target web` does. The whole of wasm-bindgen-cli takes several times as long to compile,
//! most of it for its test runner.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [compiled, folder] = arguments.as_slice() else {
        eprintln!("usage: image-feature-bind COMPILED.wasm FOLDER");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    let generated = bindgen.web(true).and_then(|bindgen| {
        bindgen
            .input_path(compiled)
            .out_name("image_feature")
            .typescript(true)
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(folder)
    });
    match generated {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {compiled}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
