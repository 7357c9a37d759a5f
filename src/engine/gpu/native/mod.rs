//! The native driver: programs on GPUs through the crate wgpu (Vulkan, Metal or DirectX 12).
//!
//! ```no_run,ignore-wasm32
//! use image_feature::Model;
//! use image_feature::engine::{Plan, gpu};
//!
//! let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
//! let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
//! let device = gpu::native::Device::open()?;
//! let executor = gpu::native::Executor::new(&device, gpu::Program::new(plan, 8, device.kind())?)?;
//! let features = executor.run(&vec![0.0; 2 * 3 * 224 * 224], 2)?;
//! assert_eq!(features.len(), 2 * 512);
//! # Ok::<(), image_feature::Error>(())
//! ```

mod buffers;
mod device;

use std::sync::{Mutex, PoisonError};

use wgpu::{Buffer, ComputePassDescriptor, ComputePipeline, MapMode, PollType};

use self::buffers::Buffers;
pub use self::device::Device;
use super::{Program, Vectors};
use crate::{Error, Result};

/// Buffers from which results are read: one is read while the next batch computes.
const STAGES: usize = 2;

/// A program on a GPU, ready to run. It may be used by several threads; one run at a time is computed.
pub struct Executor {
    device: Device,
    program: Program,
    pipelines: Vec<ComputePipeline>,
    buffers: Buffers,
    running: Mutex<()>,
}

impl Executor {
    /// Compiles the shaders and uploads the weights.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where a shader does not compile, which the error names, or the GPU has
    /// not enough memory.
    pub fn new(device: &Device, mut program: Program) -> Result<Self> {
        let layout = device.layout();
        let pipelines =
            program.pipelines().iter().map(|pipeline| device.compile(pipeline, &layout)).collect::<Result<_>>()?;
        let buffers =
            device.checked("the memory of the network", || Buffers::new(device, &mut program, &layout, STAGES))?;
        Ok(Executor { device: device.clone(), program, pipelines, buffers, running: Mutex::new(()) })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Features of `count` preprocessed images, not yet of length 1: `count` x channels x height x width values in, `count` x
    /// dimension out.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where the GPU fails.
    pub fn run(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.vectors(input, count, self.program.feature())
    }

    /// Pooled vectors of `count` images: the input of the last layer. See [`Program::pooled`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn pooled(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.vectors(input, count, self.program.pooled())
    }

    fn vectors(&self, input: &[f32], count: usize, wanted: Vectors) -> Result<Vec<f32>> {
        let len = self.program.buffers()[0];
        if count == 0 || count.checked_mul(len) != Some(input.len()) {
            return Err(Error::usage(format!(
                "{count} images of {len} values each were announced, {} values were given",
                input.len()
            )));
        }
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut vectors = Vec::with_capacity(count * wanted.len);
        let mut waiting: Option<(usize, usize)> = None;
        for (index, images) in input.chunks(self.program.batch() * len).enumerate() {
            let (stage, count) = (index % STAGES, images.len() / len);
            self.device.checked("a run of the network", || self.submit(images, count, wanted, stage))?;
            if let Some((stage, count)) = waiting.replace((stage, count)) {
                self.read(stage, count, wanted, &mut vectors)?;
            }
        }
        if let Some((stage, count)) = waiting {
            self.read(stage, count, wanted, &mut vectors)?;
        }
        Ok(vectors)
    }

    /// One pass and one submission for a batch.
    fn submit(&self, images: &[f32], count: usize, wanted: Vectors, stage: usize) {
        let (device, queue) = self.device.parts();
        queue.write_buffer(&self.buffers.maps[0], 0, bytemuck::cast_slice(images));
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        for (dispatch, group) in self.program.dispatches().iter().zip(&self.buffers.groups) {
            let [x, y] = dispatch.groups();
            pass.set_pipeline(&self.pipelines[dispatch.pipeline()]);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(x, y, count as u32);
        }
        drop(pass);
        let bytes = (4 * count * wanted.stride) as u64;
        encoder.copy_buffer_to_buffer(&self.buffers.maps[wanted.buffer], 0, &self.buffers.stages[stage], 0, bytes);
        queue.submit([encoder.finish()]);
    }

    fn read(&self, stage: usize, count: usize, wanted: Vectors, vectors: &mut Vec<f32>) -> Result<()> {
        let buffer: &Buffer = &self.buffers.stages[stage];
        let failed = |what: String| Error::device(format!("the GPU did not give the result back: {what}"));
        let (sender, receiver) = std::sync::mpsc::channel();
        let range = ..(4 * count * wanted.stride) as u64;
        buffer.map_async(MapMode::Read, range, move |mapped| drop(sender.send(mapped)));
        self.device.parts().0.poll(PollType::wait_indefinitely()).map_err(|error| failed(error.to_string()))?;
        receiver.recv().map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        {
            let view = buffer.get_mapped_range(range).map_err(|error| failed(error.to_string()))?;
            let numbers: Vec<f32> = view
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            numbers.chunks_exact(wanted.stride).for_each(|vector| vectors.extend(&vector[..wanted.len]));
        }
        buffer.unmap();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
