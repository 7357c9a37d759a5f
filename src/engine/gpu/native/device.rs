//! A GPU, opened once and shared.

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, DeviceDescriptor, DeviceType, ErrorFilter, InstanceDescriptor, Limits,
    PipelineLayoutDescriptor, PowerPreference, Queue, RequestAdapterOptions, ShaderModuleDescriptor, ShaderSource,
    ShaderStages,
};

use super::super::{Adapter, Pipeline};
use crate::{Error, Result};

/// A GPU. A clone is the same device.
#[derive(Clone, Debug)]
pub struct Device {
    device: wgpu::Device,
    queue: Queue,
    adapter: String,
    kind: Adapter,
}

impl Device {
    /// Opens the quickest GPU of this machine, with WebGPU's default limits and no features.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where there is none, or its driver does not open it.
    pub fn open() -> Result<Self> {
        let instance = wgpu::Instance::new(InstanceDescriptor::new_without_display_handle());
        let options =
            RequestAdapterOptions { power_preference: PowerPreference::HighPerformance, ..Default::default() };
        let adapter = pollster::block_on(instance.request_adapter(&options))
            .map_err(|error| Error::device(format!("no GPU was found: {error}")))?;
        let info = adapter.get_info();
        let request = DeviceDescriptor { required_limits: Limits::default(), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&request))
            .map_err(|error| Error::device(format!("{} did not open: {error}", info.name)))?;
        let adapter = format!("{} ({:?})", info.name, info.backend);
        let kind = if info.device_type == DeviceType::Cpu { Adapter::Software } else { Adapter::Hardware };
        Ok(Device { device, queue, adapter, kind })
    }

    /// The name of the GPU and the interface through which it is used.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Whether it is a GPU, or a CPU that emulates one.
    pub fn kind(&self) -> Adapter {
        self.kind
    }

    pub(super) fn parts(&self) -> (&wgpu::Device, &Queue) {
        (&self.device, &self.queue)
    }

    /// The bindings that all shaders have: see [`Program`](super::super::Program).
    pub(super) fn layout(&self) -> BindGroupLayout {
        let kind = |binding: u32| match binding {
            0 => BufferBindingType::Uniform,
            5 => BufferBindingType::Storage { read_only: false },
            _ => BufferBindingType::Storage { read_only: true },
        };
        let entries: Vec<BindGroupLayoutEntry> = (0..6)
            .map(|binding| BindGroupLayoutEntry {
                binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer { ty: kind(binding), has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        self.device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: None, entries: &entries })
    }

    pub(super) fn compile(&self, pipeline: &Pipeline, layout: &BindGroupLayout) -> Result<ComputePipeline> {
        self.checked(&format!("the shader `{}`", pipeline.name()), || {
            let layout = self.device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(layout)],
                immediate_size: 0,
            });
            let module = self.device.create_shader_module(ShaderModuleDescriptor {
                label: Some(pipeline.name()),
                source: ShaderSource::Wgsl(pipeline.source().into()),
            });
            self.device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(pipeline.name()),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            })
        })
    }

    /// Does some work, and turns an error that the driver reports about it into one of ours: otherwise it would only be
    /// logged, and results would be wrong.
    pub(super) fn checked<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        let scopes = [ErrorFilter::Internal, ErrorFilter::OutOfMemory, ErrorFilter::Validation]
            .map(|filter| self.device.push_error_scope(filter));
        let done = work();
        let mut failure = None;
        for scope in scopes.into_iter().rev() {
            failure = failure.or(pollster::block_on(scope.pop()));
        }
        match failure {
            None => Ok(done),
            Some(error) => Err(Error::device(format!("{what} failed on {}: {error}", self.adapter))),
        }
    }
}
