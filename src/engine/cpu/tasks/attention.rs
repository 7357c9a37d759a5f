use super::super::kernels::{Activation, Gemm, Pixels};
use super::super::memory::Place;
use super::super::pack;
use super::{Run, Task};

/// Queries whose scores are at hand at a time, about: they stay in the first-level cache.
const QUERIES: usize = 16;

/// Attention of each pixel to all, head by head.
pub(in super::super) struct Attention {
    pub heads: usize,
    /// Channels of a head.
    pub channels: usize,
    /// Queries, keys and values of all heads, one behind the other. One row, without margin.
    pub input: Place,
    pub output: Place,
    /// Rows of the kernel's tile, and columns of a panel.
    pub tile: usize,
    pub panel: usize,
    /// What is added to the scores: nothing, or minus infinity where there is no key.
    pub mask: Vec<f32>,
    /// Zeros, one for each channel of a head.
    pub zeros: Vec<f32>,
}

impl Attention {
    /// What is added to the scores of so many keys.
    pub fn mask(keys: usize) -> Vec<f32> {
        let mut mask = vec![0.0; keys];
        mask.resize(pack::padded(keys), f32::NEG_INFINITY);
        mask
    }

    /// Queries at a time.
    fn block(&self) -> usize {
        (QUERIES / self.tile).max(1) * self.tile
    }

    /// Values of the packed keys, of the packed values, of the scores, and of the means.
    fn areas(&self) -> [usize; 4] {
        let (tokens, channels) = (self.input.width, pack::padded(self.channels));
        [
            self.channels * pack::padded(tokens),
            tokens * channels,
            self.block() * pack::stride(tokens),
            self.block() * channels,
        ]
    }
}

impl Task for Attention {
    /// One for each head: its keys and values are packed once.
    fn chunks(&self, images: usize) -> usize {
        images * self.heads
    }

    fn scratch(&self) -> usize {
        self.areas().iter().sum()
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize) {
        let (image, head) = (chunk / self.heads, chunk % self.heads);
        let &Attention { heads, channels, panel, .. } = self;
        let (tokens, stride) = (self.input.width, self.input.stride);
        let [keys_len, values_len, scores_len, _] = self.areas();
        let (padded_tokens, padded_channels) = (pack::padded(tokens), pack::padded(channels));
        unsafe {
            // queries, then keys, then values
            let part = |index: usize| run.pixel(&self.input, image, 0, 0).add((index * heads + head) * channels);
            let matrix = |index| std::slice::from_raw_parts(part(index), (tokens - 1) * stride + channels);
            let keys = std::slice::from_raw_parts_mut(scratch, keys_len);
            keys.fill(0.0);
            pack::panels_into(keys, matrix(1), stride, [tokens, channels], panel);
            let values = std::slice::from_raw_parts_mut(scratch.add(keys_len), values_len);
            values.fill(0.0);
            pack::row_panels_into(values, matrix(2), stride, [channels, tokens], panel);
            let scores = scratch.add(keys_len + values_len);
            let scores_stride = pack::stride(tokens);
            let means = scores.add(scores_len);

            for first in (0..tokens).step_by(self.block()) {
                let rows = self.block().min(tokens - first);
                let product = Gemm {
                    rows,
                    inner: channels,
                    columns: padded_tokens,
                    input: part(0).add(first * stride),
                    input_stride: stride,
                    weights: keys.as_ptr(),
                    bias: self.mask.as_ptr(),
                    output: Pixels::contiguous(scores, scores_stride),
                    residual: None,
                    activation: Activation::None,
                };
                (run.kernels.gemm)(&product);
                (run.kernels.softmax)(scores, rows, scores_stride, padded_tokens);
                (run.kernels.gemm)(&Gemm {
                    inner: tokens,
                    columns: padded_channels,
                    input: scores,
                    input_stride: scores_stride,
                    weights: values.as_ptr(),
                    bias: self.zeros.as_ptr(),
                    output: Pixels::contiguous(means, padded_channels),
                    ..product
                });
                // not written there at once: a head's padding would fall upon the next head
                for row in 0..rows {
                    let to = run.pixel(&self.output, image, 0, first + row);
                    to.add(head * channels).copy_from_nonoverlapping(means.add(row * padded_channels), channels);
                    if head + 1 == heads {
                        to.add(heads * channels).write_bytes(0, self.output.channels - heads * channels);
                    }
                }
            }
        }
    }
}
