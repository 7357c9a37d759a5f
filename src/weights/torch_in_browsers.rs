//! PyTorch's checkpoints in browsers: known, and refused. Who has one has PyTorch's own machine to convert it on, and every
//! page would load the reader.

use super::model::Model;
use crate::{Error, Result};

/// Whether a file is a checkpoint of the older form: it begins with a pickled number that no other file begins with.
pub(super) fn is_older_form(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46")
}

/// Reads a model of a checkpoint of either form.
pub(super) fn read_any(_: &[u8]) -> Result<Model> {
    Err(Error::unsupported(
        "a checkpoint of PyTorch, which is not read in browsers; `image-feature model convert MODEL --output FILE.safetensors` \
         makes a file that is",
    ))
}

/// Reads a model of a checkpoint of the newer form; `None` where the bytes are no such archive.
pub(super) fn read_archive(_: &[u8]) -> Result<Option<Model>> {
    Ok(None)
}
