//! Layers in training on a GPU, with gradients of our own.
//!
//! Burn's gradient of a weight, and its statistics of a BatchNorm, are few numbers that are each a sum over all images and pixels. It gives each
//! of them to one thread, and most of a GPU idles. Here the same sums are products of matrices, and sums over the pixels of
//! each image before those over images, which fill it.

mod convolution;
mod norm;

pub(super) use convolution::forward as convolution;
pub(super) use norm::forward as norm;

use burn::backend::BackendTypes;
use burn::tensor::Tensor;

/// Burn's backend for every GPU.
#[cfg(all(not(test), feature = "webgpu"))]
type Gpu = burn::backend::Wgpu;
#[cfg(all(not(test), not(feature = "webgpu")))]
type Gpu = burn::backend::Cuda;
/// Tests compute the same on the CPU.
#[cfg(test)]
type Gpu = burn::backend::Flex;

type Values = <Gpu as BackendTypes>::FloatTensorPrimitive;

fn tensor<const D: usize>(values: &Values) -> Tensor<D> {
    Tensor::from_primitive::<Gpu>(values.clone())
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> Values {
    tensor.try_into_primitive::<Gpu>().expect("computed on this backend")
}

/// Sums over images and pixels: `[n, channels, pixels]` to `[1, channels, 1]`.
fn sums(x: Tensor<3>) -> Tensor<3> {
    x.sum_dim(2).sum_dim(0)
}
