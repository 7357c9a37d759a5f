//! Weights in the order in which the kernels read them.

use super::kernels::CHANNELS;

/// `channels`, padded to whole lanes.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(CHANNELS)
}

/// Values from a pixel to the next for so many channels.
///
/// A stride that is a large power of two would lay the same channel of neighbouring pixels into one set of the
/// first-level cache, of which a tile's rows then throw each other out: a matrix product took 35 % longer.
pub(super) fn stride(channels: usize) -> usize {
    let padded = padded(channels);
    if padded.is_multiple_of(256) { padded + CHANNELS } else { padded }
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
    let all = padded(columns);
    let mut packed = vec![0.0; all * inner];
    let mut start = 0;
    while start < all {
        let width = if all - start >= width { width } else { CHANNELS };
        let panel = &mut packed[start * inner..][..width * inner];
        for column in start..columns.min(start + width) {
            let source = &weights[column * inner..][..inner];
            for (k, &value) in source.iter().enumerate() {
                panel[k * width + column - start] = value;
            }
        }
        start += width;
    }
    packed
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
