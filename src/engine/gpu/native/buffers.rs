//! The memory of a program on a GPU, with what each dispatch binds.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, Buffer, BufferBinding, BufferDescriptor,
    BufferUsages,
};

use super::super::{Program, Shapes, Source};
use super::Device;

/// Places in a uniform buffer are multiples of this many bytes.
const ROW_BYTES: u64 = 256;

pub(super) struct Buffers {
    /// Those of [`Program::buffers`], for a full batch.
    pub maps: Vec<Buffer>,
    /// The bindings of each dispatch.
    pub groups: Vec<BindGroup>,
    /// For reading results.
    pub stages: Vec<Buffer>,
}

impl Buffers {
    /// Takes the weights out of the program, one tensor after the other, so that they are not in memory twice.
    pub fn new(device: &Device, program: &mut Program, layout: &BindGroupLayout, stages: usize) -> Self {
        let (gpu, queue) = device.parts();
        let make = |numbers: usize, usage: BufferUsages| {
            gpu.create_buffer(&BufferDescriptor {
                label: None,
                size: 4 * numbers as u64,
                usage,
                mapped_at_creation: false,
            })
        };
        let upload = |numbers: &[f32]| {
            let buffer = make(numbers.len(), BufferUsages::STORAGE | BufferUsages::COPY_DST);
            queue.write_buffer(&buffer, 0, bytemuck::cast_slice(numbers));
            buffer
        };
        let weights: Vec<Buffer> =
            (0..program.tensors().len()).map(|index| upload(&program.take_tensor(index))).collect();
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let maps: Vec<Buffer> =
            program.buffers().iter().map(|numbers| make(numbers * program.batch(), usage)).collect();
        let table =
            make(program.dispatches().len() * ROW_BYTES as usize / 4, BufferUsages::UNIFORM | BufferUsages::COPY_DST);
        let mut groups = Vec::with_capacity(program.dispatches().len());
        for (index, dispatch) in program.dispatches().iter().enumerate() {
            let row = index as u64 * ROW_BYTES;
            queue.write_buffer(&table, row, bytemuck::cast_slice(&dispatch.shapes().to_words()));
            let input = &maps[dispatch.input()];
            let residual = match dispatch.residual() {
                None => input,
                Some(Source::Buffer(buffer)) => &maps[buffer],
                Some(Source::Tensor(tensor)) => &weights[tensor],
            };
            let bound = [
                input,
                dispatch.weights().map_or(input, |tensor| &weights[tensor]),
                dispatch.gate().map_or(input, |buffer| &maps[buffer]),
                residual,
                &maps[dispatch.output()],
            ];
            let shapes =
                BufferBinding { buffer: &table, offset: row, size: std::num::NonZero::new(4 * Shapes::LEN as u64) };
            let mut entries = vec![BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(shapes) }];
            entries.extend(
                (1..)
                    .zip(bound)
                    .map(|(binding, buffer)| BindGroupEntry { binding, resource: buffer.as_entire_binding() }),
            );
            groups.push(gpu.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries }));
        }
        let longest = program.feature().stride.max(program.pooled().stride) * program.batch();
        let stages = (0..stages).map(|_| make(longest, BufferUsages::MAP_READ | BufferUsages::COPY_DST)).collect();
        Buffers { maps, groups, stages }
    }
}
