//! Last layers for a network that ends with its pooled vector.

use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array2, Axis};

use super::neck::{Neck, Norm};
use crate::model::efficientnet_lite::NECK_EPSILON;
use crate::{Error, Result};

/// Variances below this share of the largest one are raised to it: dividing by them would only enlarge noise.
const LEAST_VARIANCE: f64 = 1e-4;

impl Neck {
    /// Last layers for a network without some: the principal components of pooled vectors, `[n, input]`, each divided by a
    /// power of its deviation (Jégou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and
    /// whitening", 2012). With `power` 0 similarities stay as they are, with 1 all components count the same; 0.5 is between.
    ///
    /// The features of these vectors have mean 0 and a mean square length of 1. [`put_into`](Self::put_into) adds the layers to
    /// the network.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): there are fewer vectors than `features`, or shorter ones, `power` is not
    /// from 0 to 1, or the vectors are all the same.
    ///
    /// ```
    /// use image_feature::finetune::Neck;
    ///
    /// // the first value varies far more than the second
    /// let pooled = [1.0, 0.1, 3.0, 0.2, 5.0, 0.2, 7.0, 0.1];
    /// let neck = Neck::whitened(&pooled, 2, 2, 1.0)?;
    /// assert_eq!(neck.dimension(), 2);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn whitened(pooled: &[f32], input: usize, features: usize, power: f64) -> Result<Neck> {
        let count = pooled.len() / input;
        if features > input || count < features {
            return Err(Error::usage(format!(
                "features of {features} values need at least as many images, and pooled vectors that are as long; here {count} \
                 images give vectors of {input} values"
            )));
        }
        if !(0.0..=1.0).contains(&power) {
            return Err(Error::usage(format!("the power of whitening must be from 0 to 1, got {power}")));
        }
        let rows = Array2::from_shape_fn((count, input), |(row, column)| f64::from(pooled[row * input + column]));
        let mean = rows.sum_axis(Axis(0)) / count as f64;
        let centred = &rows - &mean;
        let covariance = centred.t().dot(&centred) / count as f64;
        let decomposed = covariance.eigh().map(EigSort::sort_eig_desc);
        let (variances, directions) =
            decomposed.map_err(|error| Error::internal(format!("no principal components: {error}")))?;
        let largest = variances[0];
        if largest.is_nan() || largest <= 0.0 {
            return Err(Error::usage(
                "all images give the same pooled vector: they tell nothing about how images differ",
            ));
        }
        let variances: Vec<f64> = variances.iter().take(features).map(|variance| variance.max(0.0)).collect();
        let factor = |variance: &f64| (variance + LEAST_VARIANCE * largest).powf(-power / 2.0);
        let length = variances.iter().map(|variance| variance * factor(variance).powi(2)).sum::<f64>().sqrt();
        let (mut weights, mut bias) = (Vec::with_capacity(features * input), Vec::with_capacity(features));
        for (direction, variance) in directions.columns().into_iter().zip(&variances) {
            let direction = &direction * (factor(variance) / length);
            bias.push(-mean.dot(&direction) as f32);
            weights.extend(direction.iter().map(|&value| value as f32));
        }
        Ok(Neck { input, weights, bias, norm: Some(Norm::identity(features)), keep: 1.0 })
    }
}

impl Norm {
    /// A BatchNorm that changes nothing.
    fn identity(features: usize) -> Self {
        Norm {
            scale: vec![1.0; features],
            shift: vec![0.0; features],
            mean: vec![0.0; features],
            variance: vec![(1.0 - NECK_EPSILON) as f32; features],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    const INPUT: usize = 12;
    const FEATURES: usize = 5;

    /// Vectors whose values depend on each other, with a mean far from 0.
    fn vectors(count: usize) -> Vec<f32> {
        let mut random = SplitMix64::for_purpose(1, "whitening", &[]);
        let row = |_| {
            let hidden: Vec<f64> = (0..INPUT).map(|at| (random.unit() - 0.5) * 14.0 / (1 + at) as f64).collect();
            (0..INPUT).map(|at| (3.0 + hidden[at] + 0.5 * hidden[(at + 1) % INPUT]) as f32).collect::<Vec<_>>()
        };
        (0..count).flat_map(row).collect()
    }

    /// The covariance of two features before they are normalised to length 1.
    fn covariance(outputs: &[f32], a: usize, b: usize) -> f64 {
        let rows = outputs.chunks_exact(FEATURES);
        let count = rows.len() as f64;
        rows.map(|row| f64::from(row[a]) * f64::from(row[b])).sum::<f64>() / count
    }

    #[test]
    fn components_are_apart_and_of_one_size() {
        let pooled = vectors(400);
        for (power, same) in [(1.0, true), (0.0, false)] {
            let neck = Neck::whitened(&pooled, INPUT, FEATURES, power).unwrap();
            let outputs = neck.outputs(&pooled);
            let covariance = |a, b| covariance(&outputs, a, b);
            for a in 0..FEATURES {
                for b in (0..FEATURES).filter(|&b| b != a) {
                    assert!(covariance(a, b).abs() < 1e-4, "{a} and {b}: {}", covariance(a, b));
                }
            }
            let total: f64 = (0..FEATURES).map(|at| covariance(at, at)).sum();
            assert!((total - 1.0).abs() < 1e-3, "{total}");
            let ratio = covariance(0, 0) / covariance(FEATURES - 1, FEATURES - 1);
            assert!(if same { (ratio - 1.0).abs() < 0.01 } else { ratio > 4.0 }, "{ratio}");
        }
    }

    #[test]
    fn too_few_or_equal_vectors_are_refused() {
        let refused =
            |pooled: &[f32], power: f64| Neck::whitened(pooled, INPUT, FEATURES, power).unwrap_err().to_string();
        assert!(refused(&vectors(4), 0.5).contains("4 images"));
        assert!(refused(&[1.0; INPUT * 20], 0.5).contains("the same pooled vector"));
        assert!(refused(&vectors(20), 2.0).contains("from 0 to 1"));
    }
}
