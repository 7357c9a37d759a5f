//! Errors as Python's exceptions.

use image_feature::Error;
use pyo3::prelude::*;

/// Turns a `Result` of the library into one of Python.
pub trait Raise<T> {
    /// The value, or the exception of the error's kind.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raise<T> for image_feature::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| match exception(py, &error) {
            Ok(exception) => PyErr::from_value(exception),
            Err(failed) => failed,
        })
    }
}

/// The exception of an error, not raised. Its class is in Python, by the error's kind.
pub fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("image_feature.errors")?;
    module.call_method1("of_kind", (error.kind().as_str(), error.to_string()))
}
