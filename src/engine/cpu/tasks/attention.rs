use super::super::kernels::{Activation, Gemm, Pixels};
use super::super::memory::Place;
use super::super::pack;
use super::{Run, Task};

/// Queries whose scores are computed at a time, about: they stay in the first-level cache.
const QUERIES: usize = 16;

/// Attention of each pixel to all, head by head.
pub(in super::super) struct Attention {
    pub heads: usize,
    /// Channels of a head.
    pub channels: usize,
    /// All heads' queries, then all heads' keys, then all heads' values. One row.
    pub input: Place,
    /// One row, without margin.
    pub output: Place,
    /// Rows of the kernel's tile.
    pub tile: usize,
    /// Columns of the kernel's panel.
    pub panel: usize,
    /// Added to the scores: 0 for each key, minus infinity for the padding.
    pub mask: Vec<f32>,
    /// Zeros, one for each channel of a head with padding.
    pub zeros: Vec<f32>,
}

impl Attention {
    /// The mask of this many keys.
    pub fn mask(keys: usize) -> Vec<f32> {
        let mut mask = vec![0.0; keys];
        mask.resize(pack::padded(keys), f32::NEG_INFINITY);
        mask
    }

    /// Queries at a time, whole tiles.
    fn block(&self) -> usize {
        (QUERIES / self.tile).max(1) * self.tile
    }

    /// The sizes of four areas of the scratch memory: the packed keys, the packed values, the scores, and the means.
    fn areas(&self) -> [usize; 4] {
        let (tokens, channels) = (self.input.width, pack::padded(self.channels));
        [
            self.channels.saturating_mul(pack::padded(tokens)),
            tokens.saturating_mul(channels),
            self.block().saturating_mul(pack::stride(tokens)),
            self.block().saturating_mul(channels),
        ]
    }
}

impl Task for Attention {
    /// One for each head: its keys and values are packed once.
    fn chunks(&self, images: usize) -> usize {
        images * self.heads
    }

    fn scratch(&self) -> usize {
        self.areas().into_iter().fold(0, usize::saturating_add)
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize) {
        let (image, head) = (chunk / self.heads, chunk % self.heads);
        let &Attention { heads, channels, panel, .. } = self;
        let (tokens, stride) = (self.input.width, self.input.stride);
        let [keys_len, values_len, scores_len, _] = self.areas();
        let (padded_tokens, padded_channels) = (pack::padded(tokens), pack::padded(channels));
        // SAFETY: the input has a row of `tokens` pixels, `stride` apart, each with `3 * heads * channels` channels,
        // which the chunks only read. Each area of the scratch memory is written before it is read and has the size
        // that the kernels get: keys are `channels` rows and `padded_tokens` columns, values `tokens` rows and
        // `padded_channels` columns; the mask and the zeros have as many values as there are columns. `rows` is at most
        // a block, and scores and means have a block of rows. Of the output, this chunk writes the channels of its own
        // head, and the last head the padding.
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
                // the product is not written there: its padding would overwrite the next head
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
