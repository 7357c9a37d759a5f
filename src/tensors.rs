//! Named tensors in memory.

use std::collections::HashMap;

use crate::{Error, Result};

/// A tensor in C order, widened to `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Tensors by name, in the order of the file they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    order: Vec<String>,
    by_name: HashMap<String, Tensor>,
}

impl Tensors {
    /// No tensors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor; one of the same name is replaced and keeps its place.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        let name = name.into();
        if self.by_name.insert(name.clone(), tensor).is_none() {
            self.order.push(name);
        }
    }

    /// The tensor of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// The tensor of this name and shape.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the tensor and what was expected.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let tensor = self
            .get(name)
            .ok_or_else(|| Error::model(format!("tensor `{name}` is missing; expected one of shape {shape:?}")))?;
        if tensor.shape != shape {
            return Err(Error::model(format!("tensor `{name}` has shape {:?}; expected {shape:?}", tensor.shape)));
        }
        Ok(tensor)
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.order.iter().map(|name| (name.as_str(), &self.by_name[name]))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
