//! The fast path: a model compiled once to a [`Plan`] of fused steps, which a device then runs.
//!
//! The plan says what is computed and in which order, for any device; [`cpu`] runs it with SIMD kernels.

pub mod cpu;
mod plan;
mod quantize;

pub use plan::{Activation, Affine, Lifetime, Operation, Plan, QuantizedWeights, Shape, Step, Value, ValueId, Weights};
