//! BatchNorms with fixed statistics.
//!
//! They work on named tensors, in `f64`, so that Burn, the CPU engine and the export share one fusion.

use crate::Result;
#[cfg(any(feature = "burn", feature = "cpu"))]
use crate::tensors::Tensor;
use crate::tensors::Tensors;

/// A BatchNorm with fixed statistics, as `x * factor + shift`.
pub(crate) struct NormFactors {
    pub factor: Vec<f64>,
    pub shift: Vec<f64>,
}

impl NormFactors {
    /// The BatchNorm at `path`, which adds `epsilon` to the variance.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has not `channels` values.
    pub fn read(path: &str, channels: usize, epsilon: f64, tensors: &Tensors) -> Result<Self> {
        let read = |name: &str| Ok::<_, crate::Error>(&tensors.expect(&format!("{path}.{name}"), &[channels])?.values);
        let (gamma, beta, mean, variance) = (read("weight")?, read("bias")?, read("_mean")?, read("_variance")?);
        let factor: Vec<f64> =
            gamma.iter().zip(variance).map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&factor).map(|((&b, &m), f)| f64::from(b) - f64::from(m) * f).collect();
        Ok(NormFactors { factor, shift })
    }
}

/// A convolution's weight with the BatchNorm at `norm` folded in, and the resulting bias.
///
/// `weight` is `[out, …]`; the convolution has no bias.
#[cfg(any(feature = "burn", feature = "cpu"))]
pub(crate) fn fold_norm(weight: &Tensor, norm: &str, epsilon: f64, tensors: &Tensors) -> Result<(Vec<f32>, Vec<f32>)> {
    let out = weight.shape[0];
    let norm = NormFactors::read(norm, out, epsilon, tensors)?;
    let per_channel = weight.values.len() / out;
    let mut folded = weight.values.clone();
    for (channel, factor) in folded.chunks_exact_mut(per_channel).zip(&norm.factor) {
        channel.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
    Ok((folded, norm.shift.iter().map(|&shift| shift as f32).collect()))
}
