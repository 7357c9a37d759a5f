//! Named tensors in memory.

use std::collections::HashMap;

use crate::{Error, Result};

/// A tensor of `f32` values in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values: as many as the product of the dimensions.
    pub values: Vec<f32>,
}

/// Tensors by name, in the order in which they were inserted.
///
/// ```
/// use image_feature::weights::{Tensor, Tensors};
///
/// let mut tensors = Tensors::new();
/// tensors.insert("neck.feat_bn.bias", Tensor { shape: vec![2], values: vec![0.5, 1.5] });
/// assert_eq!(tensors.expect("neck.feat_bn.bias", &[2])?.values, [0.5, 1.5]);
/// assert!(tensors.expect("neck.feat_bn.bias", &[3]).unwrap_err().is_model());
/// # Ok::<(), image_feature::Error>(())
/// ```
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

    /// Adds a tensor. Replaces one of the same name, which keeps its place in the order.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        let name = name.into();
        if self.by_name.insert(name.clone(), tensor).is_none() {
            self.order.push(name);
        }
    }

    /// The tensor of this name, if it exists.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// The tensor of this name and shape.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the tensor and the expected shape, where it is missing or has another
    /// shape.
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
