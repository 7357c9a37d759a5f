//! Images as Python gives them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use image_feature::{
    DecodeBudget, DecodeLimits, DecodeOptions, Error, Orient, Result, RgbImage, decode_with, probe_with,
};
use numpy::{IntoPyArray, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::Raise;

/// Maximum bytes of an image file.
const FILE_BYTES: u64 = 1 << 30;

/// An image that Python gives: a path, a file's bytes, or an array of height x width x 3 with the order of its channels.
#[derive(FromPyObject)]
pub enum Picture<'py> {
    #[pyo3(transparent)]
    Bytes(PyBackedBytes),
    #[pyo3(transparent)]
    Path(PathBuf),
    Pixels(PyReadonlyArray3<'py, u8>, bool),
}

/// The same, independent of the interpreter.
pub enum Source {
    Bytes(PyBackedBytes),
    Path(PathBuf),
    Pixels(Result<RgbImage>),
}

/// An image, and what is damaged in its file.
pub type Damaged = (RgbImage, Option<String>);

impl Picture<'_> {
    /// Copies the pixels of an array, and nothing else.
    pub fn detached(self) -> Source {
        match self {
            Picture::Bytes(bytes) => Source::Bytes(bytes),
            Picture::Path(path) => Source::Path(path),
            Picture::Pixels(array, is_bgr) => Source::Pixels(image_of(&array, is_bgr)),
        }
    }
}

impl Source {
    /// The image. Threads that share the budget decode small images at once, and huge ones in turn.
    pub fn decode(self, orient: Orient, budget: &DecodeBudget) -> Result<Damaged> {
        let options = DecodeOptions { limits: DecodeLimits::default(), orient };
        let decode = |bytes: &[u8]| {
            let _share = budget.reserve_for(&probe_with(bytes, orient)?);
            let decoded = decode_with(bytes, &options)?;
            Ok((decoded.image, decoded.damage))
        };
        match self {
            Source::Bytes(bytes) => decode(&bytes),
            Source::Path(path) => {
                read(&path).and_then(|bytes| decode(&bytes)).map_err(|error| error.context(path.display().to_string()))
            }
            Source::Pixels(image) => Ok((image?, None)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Error::limit(format!("the file is larger than {FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn image_of(array: &PyReadonlyArray3<'_, u8>, is_bgr: bool) -> Result<RgbImage> {
    let &[height, width, channels] = array.shape() else { unreachable!("the array has three axes") };
    if channels != 3 {
        return Err(Error::usage(format!(
            "an array of shape {height} x {width} x {channels}; the last axis must be 3"
        )));
    }
    let mut pixels: Vec<u8> = match array.as_slice() {
        Ok(values) => values.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    };
    if is_bgr {
        pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.swap(0, 2));
    }
    RgbImage::new(width, height, pixels)
}

/// A small picture of an image, for pages: a JPEG as a data URI.
#[pyfunction]
pub fn thumbnail<'py>(py: Python<'py>, picture: Picture<'py>) -> PyResult<String> {
    let source = picture.detached();
    let small = py.detach(|| {
        let (image, _) = source.decode(Orient::default(), &DecodeBudget::new(u64::MAX))?;
        image_feature::dataset::thumbnail(&image)
    });
    small.or_raise(py)
}

/// The pixels of an image as height x width x 3 in RGB, decoded as OpenCV does.
#[pyfunction]
pub fn pixels<'py>(py: Python<'py>, picture: Picture<'py>) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let source = picture.detached();
    let (image, _) = py.detach(|| source.decode(Orient::default(), &DecodeBudget::new(u64::MAX))).or_raise(py)?;
    image.pixels().to_vec().into_pyarray(py).reshape([image.height(), image.width(), 3])
}
