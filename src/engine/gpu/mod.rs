//! Plans on GPUs: programs of compute shaders in WGSL, which a driver runs.
//!
//! A [`Program`] is free of any driver: it has buffers, shaders, and dispatches in order, and asks for nothing beyond the
//! default limits of WebGPU. In a browser the npm package runs it; natively `native::Executor` does, through the crate wgpu
//! (feature `gpu-native`).
//!
//! ```
//! use image_feature::engine::{Activation, Operation, Plan, Shape, gpu};
//!
//! let mut plan = Plan::builder("small", Shape { height: 32, width: 32, channels: 3 });
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
//!
//! let program = gpu::Program::new(plan.finish()?, 8, gpu::Adapter::Hardware)?;
//! assert_eq!(program.dispatches().len(), 2);
//! assert!(program.pipelines()[0].source().contains("@compute"));
//! println!("{program}");
//! # Ok::<(), image_feature::Error>(())
//! ```

mod lower;
mod memory;
#[cfg(feature = "gpu-native")]
pub mod native;
mod pack;
mod program;
mod shaders;
mod shapes;
mod table;

pub use self::program::{Adapter, Dispatch, Pipeline, Program, Source, Tensor, Vectors};
pub use self::shapes::Shapes;

#[cfg(test)]
mod tests;
