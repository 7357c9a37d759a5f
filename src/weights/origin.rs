//! The origin of a model: the format of its file, and what was noted while reading it.

use std::collections::BTreeMap;

use super::element::Element;

/// The origin of a model's tensors.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub format: Format,
    /// Bytes of the files, unpacked.
    pub bytes: u64,
    /// Element types in the file, of the tensors that are not float32 there.
    pub elements: BTreeMap<String, &'static str>,
    pub skipped: Vec<SkippedTensor>,
    /// Assumptions, and other facts that the user should know.
    pub notes: Vec<String>,
}

impl Origin {
    pub fn new(format: Format) -> Self {
        Origin { format, bytes: 0, elements: BTreeMap::new(), skipped: Vec::new(), notes: Vec::new() }
    }

    /// Notes the element type of a tensor in the file.
    pub fn remember_element(&mut self, name: &str, element: Element) {
        if element != Element::Float32 {
            self.elements.insert(name.into(), element.name());
        }
    }
}

/// The file format of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Memory,
    Safetensors,
    Pdparams,
    Program,
    Pir,
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))] // not read in browsers
    Torch,
}

impl Format {
    pub fn describe(self) -> &'static str {
        match self {
            Format::Memory => "in memory",
            Format::Safetensors => "safetensors",
            Format::Pdparams => "Paddle training weights (.pdparams)",
            Format::Program => "Paddle inference model (inference.pdmodel)",
            Format::Pir => "Paddle inference model (PIR, inference.json)",
            Format::Torch => "PyTorch checkpoint (.pth)",
        }
    }
}

/// A tensor of a file that the model does not need.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SkippedTensor {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its element type in the file, with NumPy's name.
    pub dtype: &'static str,
    /// Why it was left out.
    pub reason: &'static str,
}
