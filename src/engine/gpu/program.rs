//! The program: what a driver needs to run a plan on a GPU.

use super::shapes::Shapes;

/// A plan lowered to compute shaders.
///
/// Every shader has the same six bindings in group 0: 0 is a row of the table of shapes (uniform), 1 the input, 2 the
/// weights, 3 the factors of a gate, 4 a residual (all read only), 5 the output. A dispatch that needs no weights, gate or
/// residual binds its input there. So one layout serves all pipelines.
///
/// A driver makes the [`buffers`](Self::buffers), each for [`batch`](Self::batch) images, writes the images into the first
/// one, runs the [`dispatches`](Self::dispatches) in order, and reads [`feature`](Self::feature).
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub(super) name: String,
    pub(super) batch: usize,
    pub(super) buffers: Vec<usize>,
    pub(super) tensors: Vec<Tensor>,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) feature: Vectors,
    pub(super) pooled: Vectors,
}

/// What runs the shaders. Both kinds of programs run on both; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// A GPU.
    Hardware,
    /// A CPU that emulates a GPU.
    Software,
}

/// A shader with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    pub(super) name: String,
    pub(super) source: String,
}

/// The weights and biases of a step in the order in which its shader reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub(super) step: String,
    pub(super) values: Vec<f32>,
}

/// One run of a shader over a map of each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub(super) step: String,
    pub(super) pipeline: usize,
    pub(super) groups: [u32; 2],
    pub(super) shapes: Shapes,
    pub(super) input: usize,
    pub(super) weights: Option<usize>,
    pub(super) gate: Option<usize>,
    pub(super) residual: Option<Source>,
    pub(super) output: usize,
}

/// What a binding reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A buffer of maps, by its index in [`Program::buffers`].
    Buffer(usize),
    /// A tensor, by its index in [`Program::tensors`].
    Tensor(usize),
}

/// A vector of each image that a driver reads after the last dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// The buffer that holds them.
    pub buffer: usize,
    /// The numbers of a vector.
    pub len: usize,
    /// The numbers from a vector to the next: `len`, rounded up to four.
    pub stride: usize,
}

impl Program {
    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most images of one run.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// For each buffer of maps, its numbers (f32) for one image. The first holds the images, as planes of channels.
    ///
    /// Steps take turns with a few buffers, and none writes into a buffer that it reads.
    pub fn buffers(&self) -> &[usize] {
        &self.buffers
    }

    /// The weights of all steps.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Gives the numbers of a tensor away, so that they are not kept a second time beside the GPU's.
    ///
    /// # Panics
    /// Where the program has no such tensor.
    pub fn take_tensor(&mut self, tensor: usize) -> Vec<f32> {
        std::mem::take(&mut self.tensors[tensor].values)
    }

    /// The shaders, each with an entry point `main`: at most ten for the networks that this crate knows.
    pub fn pipelines(&self) -> &[Pipeline] {
        &self.pipelines
    }

    /// The dispatches in the order in which they run.
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
    }

    /// The features, not yet of length 1.
    pub fn feature(&self) -> Vectors {
        self.feature
    }

    /// The pooled vectors, the input of the last layer, which stay in their buffer to the end of a run. The features where
    /// the last step is no layer of one pixel.
    pub fn pooled(&self) -> Vectors {
        self.pooled
    }

    /// Memory on the GPU, in bytes: all weights, and all buffers for a full batch.
    pub fn bytes(&self) -> usize {
        let weights: usize = self.tensors.iter().map(|tensor| tensor.values.len()).sum();
        let maps: usize = self.buffers.iter().sum();
        4 * (weights + maps * self.batch)
    }
}

impl Pipeline {
    /// The name of the shader: `depthwise 5x5 / 2`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shader in WGSL.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Tensor {
    /// The name of the step.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The numbers; none after [`Program::take_tensor`].
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl Dispatch {
    /// The name of the plan's step. A step may have several dispatches.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The shader, by its index in [`Program::pipelines`].
    pub fn pipeline(&self) -> usize {
        self.pipeline
    }

    /// The workgroups in x and y. In z there is one for each image.
    pub fn groups(&self) -> [u32; 2] {
        self.groups
    }

    /// The row of the table of shapes.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// The buffer that is bound as input.
    pub fn input(&self) -> usize {
        self.input
    }

    /// The tensor that is bound as weights.
    pub fn weights(&self) -> Option<usize> {
        self.weights
    }

    /// The buffer that is bound as factors of a gate.
    pub fn gate(&self) -> Option<usize> {
        self.gate
    }

    /// What is bound as residual.
    pub fn residual(&self) -> Option<Source> {
        self.residual
    }

    /// The buffer that is bound as output.
    pub fn output(&self) -> usize {
        self.output
    }
}
