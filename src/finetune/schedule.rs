//! The learning rate of each iteration.

use std::f64::consts::PI;

/// The learning rate of each iteration: a linear warm-up from 0 to the peak, then half a cosine down to 0.
///
/// ```
/// use image_feature::finetune::Schedule;
///
/// let schedule = Schedule::new(0.01, 20, 5.0, 7);
/// assert_eq!(schedule.at(0), 0.0);
/// assert_eq!(schedule.at(35), 0.01);
/// assert!((schedule.at(35 + 105 / 2) - 0.005).abs() < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    /// Iterations of the warm-up.
    warm_up: usize,
    /// Iterations from the peak to 0.
    cosine: f64,
}

impl Schedule {
    /// The schedule of a run. The warm-up is limited to `epochs`; the rate then stays just below the peak.
    pub fn new(peak: f64, epochs: usize, warm_up_epochs: f64, iterations_per_epoch: usize) -> Self {
        let warm_up_epochs = warm_up_epochs.clamp(0.0, epochs as f64);
        Schedule {
            peak,
            warm_up: (warm_up_epochs * iterations_per_epoch as f64).round() as usize,
            cosine: (epochs as f64 - warm_up_epochs) * iterations_per_epoch as f64,
        }
    }

    /// The rate of an iteration, counted from 0.
    pub fn at(&self, iteration: usize) -> f64 {
        if iteration < self.warm_up {
            return self.peak * iteration as f64 / self.warm_up as f64;
        }
        let along = (iteration - self.warm_up) as f64;
        if along == 0.0 { self.peak } else { self.peak * (1.0 + (PI * along / self.cosine).cos()) / 2.0 }
    }

    /// Iterations until the peak.
    pub fn warm_up(&self) -> usize {
        self.warm_up
    }

    /// The name in Paddle's log.
    pub fn name(&self) -> &'static str {
        if self.warm_up > 0 { "LinearWarmup" } else { "CosineAnnealingDecay" }
    }
}
