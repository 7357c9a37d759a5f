//! Layers on Burn with gradients of their own, for training.
//!
//! Burn has every one of these operations. Its gradients take most of a training step; those here compute the same numbers
//! faster. Each function returns `None` for a tensor or a layer that it has no kernel for: the caller then takes Burn's.

pub(crate) mod conv_norm;
mod conv_shape;
#[cfg(any(test, feature = "webgpu", feature = "cuda"))]
pub(crate) mod gpu;
