//! PaddleX's official models.

use std::ops::ControlFlow;
use std::path::PathBuf;

use image_feature::Error;
use image_feature::official::{DownloadOptions, OFFICIAL_MODELS, OfficialModel};
use pyo3::prelude::*;

use crate::errors::Raise;

/// The names of the official models that give features.
#[pyfunction]
pub fn official_models() -> Vec<&'static str> {
    OFFICIAL_MODELS.iter().filter(|model| model.dimension.is_some()).map(|model| model.name).collect()
}

/// The folder of an official model in PaddleX's cache. Downloads the model if it is not there.
///
/// `progress` gets the address, the bytes received, and the size if it is known. An exception that it raises ends the download.
#[pyfunction]
#[pyo3(signature = (name, progress, mirror=None))]
pub fn download(py: Python<'_>, name: &str, progress: Py<PyAny>, mirror: Option<String>) -> PyResult<PathBuf> {
    let unknown = || Error::usage(format!("{name}: no official model; there are {}", official_models().join(", ")));
    let model = OfficialModel::find(name).ok_or_else(unknown).or_raise(py)?;
    let environment = DownloadOptions::from_environment();
    let options = DownloadOptions { mirror: mirror.or(environment.mirror.clone()), ..environment };
    let mut raised = None;
    let folder = py.detach(|| {
        model.download(&options, &mut |received| {
            let tell = |py: Python<'_>| {
                py.check_signals()?;
                progress.call1(py, (received.url, received.bytes, received.total)).map(drop)
            };
            match Python::attach(tell) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    raised = Some(error);
                    ControlFlow::Break(())
                }
            }
        })
    });
    match raised {
        Some(error) => Err(error),
        None => folder.or_raise(py),
    }
}
