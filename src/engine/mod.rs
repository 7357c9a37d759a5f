//! Networks as plans: a model compiled once to fused steps, which a device then runs.
//!
//! A [`Plan`] is the same for every device, and [`cpu`] runs it with SIMD kernels. To turn images into vectors,
//! [`Extractor`](crate::Extractor) is enough: it decodes and preprocesses, compiles the plan and runs it. This module
//! is for images that are numbers already, for networks of one's own, and for measuring.
//!
//! ```
//! use image_feature::engine::{Activation, Operation, Plan, Shape, cpu};
//!
//! let image = Shape { height: 32, width: 32, channels: 3 };
//! let mut plan = Plan::builder("small", image);
//! // a 3x3 convolution to 8 channels, half as high and wide, and the mean of each
//! let operation = Operation::Convolution {
//!     side: 3,
//!     before: 1,
//!     stride: 2,
//!     weights: vec![0.1; 8 * 3 * 3 * 3],
//!     bias: vec![0.5; 8],
//!     activation: Activation::Relu,
//! };
//! let map = plan.push("convolution", operation, plan.input(), Shape { height: 16, width: 16, channels: 8 });
//! plan.push("mean", Operation::Mean { skip: 0 }, map, Shape { height: 1, width: 1, channels: 8 });
//! let plan = plan.finish()?;
//! assert_eq!(plan.shape(plan.output()).channels, 8);
//!
//! let executor = cpu::Executor::new(plan, cpu::Options::default())?;
//! let features = executor.run(&vec![0.0; 2 * image.len()], 2)?;
//! assert_eq!(features, [0.5; 16]); // of images of zeros only the bias is left
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! Sizes that do not fit together are errors of [`finish`](PlanBuilder::finish), which name the step:
//!
//! ```
//! use image_feature::engine::{Operation, Plan, Shape};
//!
//! let mut plan = Plan::builder("small", Shape { height: 32, width: 32, channels: 3 });
//! plan.push("mean", Operation::Mean { skip: 0 }, plan.input(), Shape { height: 1, width: 1, channels: 4 });
//! let error = plan.finish().unwrap_err();
//! assert!(error.is_model() && error.to_string().contains("step 0 `mean`"), "{error}");
//! ```

pub mod cpu;
#[cfg(feature = "gpu-plan")]
pub mod gpu;
mod plan;

pub use plan::{
    Activation, Affine, GateFunction, Lifetime, Operation, Plan, PlanBuilder, QuantizedWeights, Shape, Step, Value,
    ValueId, Weights,
};
