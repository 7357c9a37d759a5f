//! Weights in the order in which the kernels read them.

use std::array::from_fn;

use super::kernels::CHANNELS;

/// Columns that are packed together. One column alone would touch every cache line of the panel for a quarter of the
/// work.
const TOGETHER: usize = 4;

/// A number of channels, padded to whole lanes.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(CHANNELS)
}

/// Values from a pixel to the next for this many channels.
///
/// With a stride that is a large power of two, the same channel of neighbouring pixels falls into one set of the
/// first-level cache, where the rows of a tile then evict each other: a matrix product took 35 % longer.
pub(super) fn stride(channels: usize) -> usize {
    let padded = padded(channels);
    if padded.is_multiple_of(256) { padded + CHANNELS } else { padded }
}

/// The same for pixels of bytes, in values of four bytes.
pub(super) fn byte_stride(channels: usize) -> usize {
    stride(padded(channels) / 4)
}

/// A vector, padded with zeros to whole lanes.
pub(super) fn vector(values: &[f32]) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(self::padded(values.len()), 0.0);
    padded
}

/// Weights `[columns, inner]` as panels of `width` columns, each `[inner, width]`, the columns padded to whole lanes.
///
/// Where the last panel is not filled it is as narrow as its lanes.
pub(super) fn panels(weights: &[f32], inner: usize, width: usize) -> Vec<f32> {
    let columns = weights.len() / inner;
    let mut packed = vec![0.0; padded(columns) * inner];
    panels_into(&mut packed, weights, inner, [columns, inner], width);
    packed
}

/// [`panels`] of weights whose columns are `stride` apart. The padding of `packed` is not written.
pub(super) fn panels_into(
    packed: &mut [f32],
    weights: &[f32],
    stride: usize,
    [columns, inner]: [usize; 2],
    width: usize,
) {
    for (start, width, panel) in panels_of(packed, [columns, inner], width) {
        let mut column = start;
        let end = columns.min(start + width);
        while column + TOGETHER <= end {
            let [a, b, c, d]: [&[f32]; TOGETHER] = from_fn(|next| &weights[(column + next) * stride..][..inner]);
            let sources = a.iter().zip(b).zip(c.iter().zip(d));
            for (row, ((&a, &b), (&c, &d))) in panel.chunks_exact_mut(width).zip(sources) {
                row[column - start..][..TOGETHER].copy_from_slice(&[a, b, c, d]);
            }
            column += TOGETHER;
        }
        for column in column..end {
            for (row, &value) in panel.chunks_exact_mut(width).zip(&weights[column * stride..][..inner]) {
                row[column - start] = value;
            }
        }
    }
}

/// [`panels_into`] of weights `[inner, columns]`, whose rows are `stride` apart.
pub(super) fn row_panels_into(
    packed: &mut [f32],
    weights: &[f32],
    stride: usize,
    [columns, inner]: [usize; 2],
    width: usize,
) {
    for (start, width, panel) in panels_of(packed, [columns, inner], width) {
        let count = width.min(columns - start);
        for (k, row) in panel.chunks_exact_mut(width).enumerate() {
            row[..count].copy_from_slice(&weights[k * stride + start..][..count]);
        }
    }
}

/// The panels of packed weights that hold columns, each with its first column and its width.
fn panels_of(
    packed: &mut [f32],
    [columns, inner]: [usize; 2],
    width: usize,
) -> impl Iterator<Item = (usize, usize, &mut [f32])> {
    let (mut start, all) = (0, padded(columns));
    let mut rest = packed;
    std::iter::from_fn(move || {
        let first = start;
        if first >= columns {
            return None;
        }
        let width = if all - first >= width { width } else { CHANNELS };
        let (panel, behind) = std::mem::take(&mut rest).split_at_mut(width * inner);
        rest = behind;
        start += width;
        Some((first, width, panel))
    })
}

/// 8-bit weights `[columns, inner]` as panels of `width` columns, each `[inner / 4, width, 4]`: the four weights of a
/// column for four input channels lie together. Columns are padded to whole lanes, input channels to [`quads_inner`].
///
/// Where the last panel is not filled it is as narrow as its lanes.
pub(super) fn quads(weights: &[i8], inner: usize, width: usize) -> Vec<i8> {
    let columns = weights.len() / inner;
    let (all, padded_inner) = (padded(columns), quads_inner(inner));
    let mut packed = vec![0; all * padded_inner];
    let mut start = 0;
    while start < all {
        let width = if all - start >= width { width } else { CHANNELS };
        let panel = &mut packed[start * padded_inner..][..width * padded_inner];
        for column in start..columns.min(start + width) {
            let source = &weights[column * inner..][..inner];
            for (k, &value) in source.iter().enumerate() {
                panel[(k / 4 * width + column - start) * 4 + k % 4] = value;
            }
        }
        start += width;
    }
    packed
}

/// Input channels of weights packed in fours.
pub(super) fn quads_inner(inner: usize) -> usize {
    inner.next_multiple_of(4)
}

/// Depthwise weights `[channels, taps]` as `[taps, channels]`, the channels padded to whole lanes.
pub(super) fn taps(weights: &[f32], taps: usize) -> Vec<f32> {
    let channels = weights.len() / taps;
    let width = padded(channels);
    let mut packed = vec![0.0; taps * width];
    for (channel, weights) in weights.chunks_exact(taps).enumerate() {
        for (tap, &weight) in weights.iter().enumerate() {
            packed[tap * width + channel] = weight;
        }
    }
    packed
}
