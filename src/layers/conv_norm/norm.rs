//! BatchNorm with the statistics of the batch, and ReLU.

use rayon::prelude::*;

use super::{LANES, Maps, total};

/// Mean and biased variance of each channel.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

impl Moments {
    pub fn of(z: &[f32], maps: Maps) -> Self {
        let count = (maps.images * maps.plane()) as f64;
        let (mean, variance) = (0..maps.channels)
            .into_par_iter()
            .map(|channel| {
                let sum = |of: &(dyn Fn(&[f32]) -> f32 + Sync)| -> f64 {
                    planes(z, maps, channel).map(|plane| f64::from(of(plane))).sum()
                };
                let mean = (sum(&|plane| sum_of(plane)) / count) as f32;
                let variance = sum(&|plane| squares(plane, mean)) / count;
                (mean, variance as f32)
            })
            .unzip();
        Moments { mean, variance }
    }
}

/// The values of one channel, image by image.
fn planes(values: &[f32], maps: Maps, channel: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact(maps.image()).map(move |image| &image[channel * maps.plane()..][..maps.plane()])
}

vectorized! {
    fn sum_of(values: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        let mut chunks = values.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += value;
            }
        }
        for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
            *lane += value;
        }
        total(lanes)
    }
}

vectorized! {
    fn squares(values: &[f32], mean: f32) -> f32 {
        let mut lanes = [0.0; LANES];
        let mut chunks = values.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                let centred = value - mean;
                *lane = centred.mul_add(centred, *lane);
            }
        }
        for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
            let centred = value - mean;
            *lane = centred.mul_add(centred, *lane);
        }
        total(lanes)
    }
}

/// A BatchNorm as `scale * z + shift` for each channel.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    mean: Vec<f32>,
    /// The reciprocal of the standard deviation.
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Norm {
    pub fn new(moments: Moments, gamma: &[f32], beta: &[f32], epsilon: f32) -> Self {
        let inverse: Vec<f32> = moments.variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
        let scale: Vec<f32> = inverse.iter().zip(gamma).map(|(inverse, gamma)| inverse * gamma).collect();
        let shift =
            beta.iter().zip(&scale).zip(&moments.mean).map(|((beta, scale), mean)| beta - scale * mean).collect();
        Norm { mean: moments.mean, inverse, scale, shift }
    }
}

/// The sum of all normalised outputs, then ReLU where `activate`.
pub(super) fn apply(outputs: &[Vec<f32>], norms: &[Norm], maps: Maps, activate: bool) -> Vec<f32> {
    let mut y = vec![0.0; maps.len()];
    let image = maps.image();
    y.par_chunks_mut(image).enumerate().for_each(|(index, y)| {
        let of_image: Vec<&[f32]> = outputs.iter().map(|z| &z[index * image..][..image]).collect();
        apply_to_image(y, &of_image, norms, maps.plane(), activate);
    });
    y
}

vectorized! {
    fn apply_to_image(y: &mut [f32], outputs: &[&[f32]], norms: &[Norm], plane: usize, activate: bool) {
        for (channel, y) in y.chunks_exact_mut(plane).enumerate() {
            for (branch, (z, norm)) in outputs.iter().zip(norms).enumerate() {
                let (scale, shift) = (norm.scale[channel], norm.shift[channel]);
                let z = &z[channel * plane..][..plane];
                if branch == 0 {
                    for (y, z) in y.iter_mut().zip(z) {
                        *y = z.mul_add(scale, shift);
                    }
                } else {
                    for (y, z) in y.iter_mut().zip(z) {
                        *y += z.mul_add(scale, shift);
                    }
                }
            }
            if activate {
                for y in y.iter_mut() {
                    *y = if *y > 0.0 { *y } else { 0.0 };
                }
            }
        }
    }
}

/// Gradients of one branch.
pub(super) struct Back {
    /// Gradient of the convolution's output.
    pub output: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// The gradients of each branch of [`apply`], from the gradient of its result. `y` is the result, where there was a ReLU.
pub(super) fn backward(
    gradient: &[f32],
    y: Option<&[f32]>,
    outputs: &[&[f32]],
    norms: &[Norm],
    maps: Maps,
) -> Vec<Back> {
    // the gradient of the sum before the ReLU: the same for all branches
    let masked = y.map(|y| masked(gradient, y, maps));
    let gradient = masked.as_deref().unwrap_or(gradient);
    let beta: Vec<f32> = (0..maps.channels)
        .into_par_iter()
        .map(|channel| planes(gradient, maps, channel).map(|plane| f64::from(sum_of(plane))).sum::<f64>() as f32)
        .collect();
    outputs.iter().zip(norms).map(|(z, norm)| norm.backward(gradient, z, beta.clone(), maps)).collect()
}

impl Norm {
    /// The gradients of one branch; `beta` is that of the shift, which is the same for all.
    fn backward(&self, gradient: &[f32], z: &[f32], beta: Vec<f32>, maps: Maps) -> Back {
        let products: Vec<f32> = (0..maps.channels)
            .into_par_iter()
            .map(|channel| {
                let mean = self.mean[channel];
                planes(gradient, maps, channel)
                    .zip(planes(z, maps, channel))
                    .map(|(gradient, z)| f64::from(products(gradient, z, mean)))
                    .sum::<f64>() as f32
            })
            .collect();
        let count = (maps.images * maps.plane()) as f32;
        let terms: Vec<[f32; 3]> = (0..maps.channels)
            .map(|channel| {
                // scale * (g - average of g - (z - mean) * inverse² * average of g * (z - mean))
                let (scale, inverse) = (self.scale[channel], self.inverse[channel]);
                let slope = -scale * inverse * inverse * products[channel] / count;
                [scale, slope, -scale * beta[channel] / count - slope * self.mean[channel]]
            })
            .collect();
        let mut output = vec![0.0; maps.len()];
        let image = maps.image();
        output.par_chunks_mut(image).enumerate().for_each(|(index, output)| {
            let of_image = index * image..(index + 1) * image;
            combine(output, &gradient[of_image.clone()], &z[of_image], &terms, maps.plane());
        });
        let gamma = products.iter().zip(&self.inverse).map(|(product, inverse)| product * inverse).collect();
        Back { output, gamma, beta }
    }
}

vectorized! {
    fn combine(output: &mut [f32], gradient: &[f32], z: &[f32], terms: &[[f32; 3]], plane: usize) {
        let from = gradient.chunks_exact(plane).zip(z.chunks_exact(plane));
        for ((output, (gradient, z)), &[scale, slope, offset]) in output.chunks_exact_mut(plane).zip(from).zip(terms) {
            for (output, (gradient, z)) in output.iter_mut().zip(gradient.iter().zip(z)) {
                *output = gradient.mul_add(scale, z.mul_add(slope, offset));
            }
        }
    }
}

/// The gradient where the ReLU's output is above 0, else 0.
fn masked(gradient: &[f32], y: &[f32], maps: Maps) -> Vec<f32> {
    let mut masked = vec![0.0; gradient.len()];
    let image = maps.image();
    masked
        .par_chunks_mut(image)
        .zip(gradient.par_chunks(image))
        .zip(y.par_chunks(image))
        .for_each(|((masked, gradient), y)| mask(masked, gradient, y));
    masked
}

vectorized! {
    fn mask(masked: &mut [f32], gradient: &[f32], y: &[f32]) {
        for (masked, (gradient, y)) in masked.iter_mut().zip(gradient.iter().zip(y)) {
            *masked = if *y > 0.0 { *gradient } else { 0.0 };
        }
    }
}

vectorized! {
    fn products(gradient: &[f32], z: &[f32], mean: f32) -> f32 {
        let mut lanes = [0.0; LANES];
        let (gradients, zs) = (gradient.chunks_exact(LANES), z.chunks_exact(LANES));
        let rest = gradients.remainder().iter().zip(zs.remainder());
        for (gradient, z) in gradients.zip(zs) {
            for (lane, (gradient, z)) in lanes.iter_mut().zip(gradient.iter().zip(z)) {
                *lane = gradient.mul_add(z - mean, *lane);
            }
        }
        for (lane, (gradient, z)) in lanes.iter_mut().zip(rest) {
            *lane = gradient.mul_add(z - mean, *lane);
        }
        total(lanes)
    }
}
