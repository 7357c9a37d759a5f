//! The native part of the Python package `image-feature`: types in, types out.
//!
//! The classes that users meet are in Python, in `crates/python/python/image_feature`. Here is what they call: each call takes
//! whole batches, and releases the interpreter's lock while it computes.

mod dataset;
mod errors;
mod evaluation;
mod extractor;
mod gallery;
mod model;
mod official;
mod picture;
mod progress;
mod tuning;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the program `image-feature` on arguments, of which the first is the program's name, and gives back the exit code.
#[pyfunction]
fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| image_feature_cli::main(arguments))
}

/// The native part of the package `image-feature`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_class::<extractor::Extractor>()?;
    module.add_class::<gallery::Gallery>()?;
    module.add_class::<dataset::Dataset>()?;
    module.add_class::<tuning::Tuner>()?;
    module.add_function(wrap_pyfunction!(dataset::convert, module)?)?;
    module.add_function(wrap_pyfunction!(official::official_models, module)?)?;
    module.add_function(wrap_pyfunction!(official::download, module)?)?;
    module.add_function(wrap_pyfunction!(picture::pixels, module)?)?;
    module.add_function(wrap_pyfunction!(picture::thumbnail, module)?)?;
    module.add_function(wrap_pyfunction!(run_program, module)?)?;
    Ok(())
}
