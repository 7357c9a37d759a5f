//! The fast path: a model compiled once to a [`Plan`] of fused steps, which a device then runs.
//!
//! The plan says what is computed and in which order, for any device; [`cpu`] runs it with SIMD kernels.

pub mod cpu;
mod plan;

pub use plan::{Activation, Lifetime, Operation, Plan, Shape, Step, Value, ValueId};
