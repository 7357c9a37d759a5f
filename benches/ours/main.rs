//! Our side of `./build.sh bench cpu` and `bench gallery`: contenders with the line protocol of
//! `benches/cpu/contender.mjs`, the roofline, and the plan as a file for peers.
//!
//! ```sh
//! cargo bench --bench ours --no-default-features --features cpu -- engine MODEL INPUTS BATCH THREADS
//! ```

#[cfg(feature = "cpu")]
mod engine;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "gallery")]
mod gallery;
#[cfg(feature = "cpu")]
mod peak;
#[cfg(feature = "cpu")]
mod plan;
mod protocol;
#[cfg(feature = "cpu")]
mod roofline;

use std::error::Error;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: ours engine MODEL INPUTS BATCH THREADS      the engine as a contender (feature cpu)
       ours flex MODEL INPUTS BATCH THREADS        Burn's CPU backend as a contender (feature flex)
       ours roofline MODEL INPUTS ROUNDS           each task's speed and the core's peak, as JSON (feature cpu)
       ours convert MODEL INPUTS BATCH FOLDER      the model as FOLDER/f32.safetensors, f16.safetensors, i8.safetensors (feature cpu)
       ours plan MODEL FOLDER                      the plan as FOLDER/plan.json and FOLDER/weights.bin (feature cpu)
       ours vectors FILE DIMENSION COUNT QUERIES   vectors for a gallery and queries (feature gallery)
       ours gallery FILE DIMENSION COUNT QUERIES STORAGE   a gallery of them as a contender (feature gallery)
       ours read BYTES                             reading so many bytes as a contender (feature gallery)
MODEL is a model file or folder, INPUTS a file of preprocessed images in f32.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // `cargo bench` adds --bench
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        #[cfg(feature = "cpu")]
        ["engine", model, inputs, batch, threads] => engine::serve(model, inputs, batch.parse()?, threads.parse()?),
        #[cfg(feature = "flex")]
        ["flex", model, inputs, batch, threads] => flex::serve(model, inputs, batch.parse()?, threads.parse()?),
        #[cfg(feature = "cpu")]
        ["roofline", model, inputs, rounds] => roofline::print(model, inputs, rounds.parse()?),
        #[cfg(feature = "cpu")]
        ["convert", model, inputs, images, folder] => engine::convert(model, inputs, images.parse()?, folder.as_ref()),
        #[cfg(feature = "cpu")]
        ["plan", model, folder] => plan::export(model, folder.as_ref()),
        #[cfg(feature = "gallery")]
        ["vectors", file, dimension, count, queries] => {
            gallery::write_vectors(file, dimension.parse()?, count.parse()?, queries.parse()?)
        }
        #[cfg(feature = "gallery")]
        ["gallery", file, dimension, count, queries, storage] => {
            gallery::serve(file, dimension.parse()?, count.parse()?, queries.parse()?, storage)
        }
        #[cfg(feature = "gallery")]
        ["read", bytes] => gallery::read(bytes.parse()?),
        // `cargo bench` without arguments runs all benchmarks of a package, so this is not an error
        [] => {
            println!("{USAGE}");
            Ok(())
        }
        [command, ..] => {
            eprintln!("{USAGE}");
            Err(format!("`{command}` is no command of this build, or was given other words than it takes").into())
        }
    }
}
