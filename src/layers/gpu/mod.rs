//! Layers in training on a GPU, with their own gradients.
//!
//! The gradient of a weight and the statistics of a BatchNorm are few numbers, each a sum over all images and pixels. Burn
//! gives each of these sums to one thread, so that most of the GPU is idle. Here they are matrix products, or sums over the
//! pixels of each image and then over the images, which use the whole GPU.

mod convolution;
mod norm;

pub(crate) use convolution::forward as convolution;
pub(crate) use norm::forward as norm;

use burn::backend::BackendTypes;
use burn::tensor::Tensor;

/// Burn's backend for GPUs.
#[cfg(all(not(test), feature = "webgpu"))]
type Gpu = burn::backend::Wgpu;
#[cfg(all(not(test), not(feature = "webgpu")))]
type Gpu = burn::backend::Cuda;
/// Tests run the same code on the CPU.
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
