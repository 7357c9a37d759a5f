//! Last layers for a network that ends with its pooled vector.

use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array1, Array2, Axis};

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
        let (variances, directions) = principal_components(&centred)?;
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

/// The variances of centred vectors, the largest first, and their directions, as columns of length 1. Of fewer vectors than
/// values, only as many as there are vectors; a direction without variance is 0.
fn principal_components(centred: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let (count, input) = centred.dim();
    let decompose = |matrix: Array2<f64>| {
        let decomposed = matrix.eigh().map(EigSort::sort_eig_desc);
        decomposed.map_err(|error| Error::internal(format!("no principal components: {error}")))
    };
    if count >= input {
        return decompose(centred.t().dot(centred) / count as f64);
    }
    // The products of the vectors with each other have the same eigenvalues, and are a smaller matrix.
    let (variances, mixtures) = decompose(centred.dot(&centred.t()) / count as f64)?;
    let mut directions = centred.t().dot(&mixtures);
    for (mut direction, variance) in directions.columns_mut().into_iter().zip(&variances) {
        let is_noise = *variance <= f64::EPSILON * count as f64 * variances[0];
        direction *= if is_noise { 0.0 } else { 1.0 / (variance * count as f64).sqrt() };
    }
    Ok((variances, directions))
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

    /// Few vectors go another way, to the same components: here each of many vectors comes 40 times, or once.
    #[test]
    fn few_vectors_have_the_components_of_many() {
        let few = vectors(8);
        let many: Vec<f32> = std::iter::repeat_n(&few, 40).flatten().copied().collect();
        let [few_neck, many_neck] = [&few, &many].map(|vectors| Neck::whitened(vectors, INPUT, FEATURES, 0.5).unwrap());
        for (row, (a, b)) in few_neck.weights.chunks(INPUT).zip(many_neck.weights.chunks(INPUT)).enumerate() {
            let sign = if a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() < 0.0 { -1.0 } else { 1.0 };
            let furthest = a.iter().zip(b).map(|(a, b)| (a - sign * b).abs()).fold(0.0, f32::max);
            assert!(furthest < 1e-4, "component {row}: {furthest}");
        }
        // as many features as vectors: the last component has no variance, and is 0
        let neck = Neck::whitened(&vectors(FEATURES), INPUT, FEATURES, 1.0).unwrap();
        assert!(neck.weights.iter().all(|weight| weight.is_finite()));
        assert!(neck.weights[(FEATURES - 1) * INPUT..].iter().all(|&weight| weight == 0.0));
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
