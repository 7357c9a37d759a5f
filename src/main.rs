//! The program `image-feature`.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    image_feature::cli::main()
}

/// A browser runs the library; there is no program.
#[cfg(target_arch = "wasm32")]
fn main() {}
