//! The threshold from which on the nearest vector counts as known, from the gallery itself.

mod errors;
mod nearest;

use std::ops::ControlFlow;

pub use self::errors::{Calibration, ThresholdErrors};
use self::nearest::Nearest;
use super::Gallery;
use crate::{Error, Result};

/// The options of a calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationOptions {
    /// The largest share of pictures of unknown things that may be accepted, from 0 to 1. `None`: the threshold where the sum of
    /// both kinds of errors is least.
    pub max_false_accepts: Option<f32>,
    /// Maximum number of vectors that are searched with; of more, evenly spaced ones.
    pub queries: usize,
    /// Number of thresholds of the curve.
    pub points: usize,
}

impl Default for CalibrationOptions {
    /// The least sum of errors, 20,000 queries, 101 points.
    fn default() -> Self {
        CalibrationOptions { max_false_accepts: None, queries: 20_000, points: 101 }
    }
}

/// A calibration that is done step by step, for callers that do other things in between.
///
/// ```
/// use image_feature::gallery::{Calibrating, CalibrationOptions, Entry, Gallery, Metric, Storage};
///
/// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
/// for (id, label, vector) in [("1", "tea", [1.0, 0.0]), ("2", "tea", [0.9, 0.1]), ("3", "cup", [0.0, 1.0])] {
///     gallery.add(Entry::new(id).label(label), &vector)?;
/// }
/// let mut calibrating = Calibrating::new(&gallery, CalibrationOptions::default())?;
/// while calibrating.share() < 1.0 {
///     calibrating.advance(&gallery)?;
/// }
/// assert!(calibrating.calibration()?.threshold > 0.5);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Calibrating {
    options: CalibrationOptions,
    nearest: Nearest,
    version: (usize, u64),
}

impl Calibrating {
    /// Begins a calibration.
    ///
    /// # Errors
    /// As [`Gallery::calibrate`].
    pub fn new(gallery: &Gallery, options: CalibrationOptions) -> Result<Self> {
        let share = options.max_false_accepts.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::usage(format!("a share of {share} false accepts; it is from 0 to 1")));
        }
        if options.queries == 0 || options.points < 2 {
            return Err(Error::usage("a calibration needs a query and two points of the curve at least"));
        }
        Ok(Calibrating { options, nearest: Nearest::new(gallery, options.queries)?, version: gallery.version() })
    }

    /// The share of the work that is done, from 0 to 1.
    pub fn share(&self) -> f32 {
        self.nearest.share()
    }

    /// Searches with some more vectors.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where vectors were added or removed since the begin.
    pub fn advance(&mut self, gallery: &Gallery) -> Result<()> {
        gallery.check_version(self.version)?;
        self.nearest.advance(gallery);
        Ok(())
    }

    /// The calibration by the vectors that were searched with so far.
    ///
    /// # Errors
    /// As [`Gallery::calibrate`].
    pub fn calibration(&self) -> Result<Calibration> {
        Calibration::of(self.nearest.found(), self.nearest.larger_is_nearer(), &self.options)
    }
}

impl Gallery {
    /// Proposes the threshold for [`recognize`](Self::recognize), and says how many errors each threshold makes.
    ///
    /// Each vector with a label is searched in the gallery twice: without itself, as a new picture of something that is known; and
    /// without all of its label, as a picture of something unknown. Vectors without a label take no part. Copies of one picture in
    /// the gallery make it look better than it is: look for [`groups`](Self::groups) first.
    ///
    /// `progress` is told the share that is done, from 0 to 1, and may break off.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use image_feature::gallery::{CalibrationOptions, Entry, Gallery, Metric, Search, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// for (id, label, vector) in [
    ///     ("1", "tea", [1.0, 0.0]), ("2", "tea", [0.9, 0.1]), ("3", "cup", [0.0, 1.0]), ("4", "cup", [0.1, 0.9]),
    /// ] {
    ///     gallery.add(Entry::new(id).label(label), &vector)?;
    /// }
    /// let calibration = gallery.calibrate(CalibrationOptions::default(), &mut |_| ControlFlow::Continue(()))?;
    /// assert_eq!((calibration.errors.false_accepts, calibration.errors.false_rejects), (0.0, 0.0));
    /// gallery.set_threshold(Some(calibration.threshold))?;
    /// assert!(gallery.recognize(&[-1.0, 0.3], Search::default())?.is_empty(), "neither tea nor cup");
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where no label has two vectors, where there are not two labels, or where an
    /// option is out of range; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) where `progress` broke off.
    pub fn calibrate(
        &self,
        options: CalibrationOptions,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Calibration> {
        let mut calibrating = Calibrating::new(self, options)?;
        while calibrating.share() < 1.0 {
            calibrating.advance(self)?;
            if progress(calibrating.share()).is_break() {
                return Err(Error::cancelled("the calibration was cancelled"));
            }
        }
        calibrating.calibration()
    }
}
