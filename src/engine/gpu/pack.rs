//! Weights in the order in which shaders read them.

/// Channels of a map in memory: shaders read four at once.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(4)
}

/// Output channels that lie together in a product's weights.
pub(super) const TILE: usize = 16;

/// Weights `[out, in, taps]` as `[taps, in, out]`, then the bias; output channels are padded to `stride` with zeros.
/// Gives back the place of the bias, too.
pub(super) fn convolution(weights: &[f32], bias: &[f32], taps: usize, stride: usize) -> (Vec<f32>, usize) {
    let inner = weights.len() / bias.len() / taps;
    let place = taps * inner * stride;
    let mut packed = vec![0.0; place + stride];
    for (out, weights) in weights.chunks_exact(inner * taps).enumerate() {
        for (index, &weight) in weights.iter().enumerate() {
            let (k, tap) = (index / taps, index % taps);
            packed[(tap * inner + k) * stride + out] = weight;
        }
    }
    packed[place..place + bias.len()].copy_from_slice(bias);
    (packed, place)
}

/// Weights `[out, in]` as `[out / 16, in, 16]`, then the bias, padded with zeros: the input to `stride` channels, the output
/// to whole tiles. Gives back the place of the bias, too.
pub(super) fn product(weights: &[f32], bias: &[f32], stride: usize) -> (Vec<f32>, usize) {
    let inner = weights.len() / bias.len();
    let outer = bias.len().next_multiple_of(TILE);
    let place = outer * stride;
    let mut packed = vec![0.0; place + outer];
    for (out, weights) in weights.chunks_exact(inner).enumerate() {
        let start = out / TILE * stride * TILE + out % TILE;
        for (k, &weight) in weights.iter().enumerate() {
            packed[start + k * TILE] = weight;
        }
    }
    packed[place..place + bias.len()].copy_from_slice(bias);
    (packed, place)
}

/// Rows of numbers, each padded to `stride` with zeros.
pub(super) fn rows(values: &[f32], len: usize, stride: usize) -> Vec<f32> {
    let mut packed = vec![0.0; values.len() / len * stride];
    for (row, values) in packed.chunks_exact_mut(stride).zip(values.chunks_exact(len)) {
        row[..len].copy_from_slice(values);
    }
    packed
}
