//! The program `image-feature`.

use std::process::ExitCode;

fn main() -> ExitCode {
    image_feature_cli::main(std::env::args_os()).into()
}
