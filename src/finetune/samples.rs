//! Labelled images as pooled vectors.

use crate::{Error, Result};

/// The pooled vectors of labelled images, which are the input of fine-tuning.
///
/// ```
/// use image_feature::finetune::Samples;
///
/// let mut samples = Samples::new(4);
/// samples.add("tea", &[1.0, 0.0, 0.5, 0.0])?;
/// samples.add("coffee", &[0.0, 1.0, 0.5, 0.0])?;
/// samples.add("tea", &[0.9, 0.1, 0.5, 0.0])?;
/// assert_eq!(samples.classes(), [("tea".into(), 2), ("coffee".into(), 1)]);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    width: usize,
    pooled: Vec<f32>,
    images: Vec<Image>,
    classes: Vec<Class>,
    /// The set that images are added to.
    set: usize,
}

#[derive(Clone, Debug)]
struct Class {
    label: String,
    set: usize,
}

#[derive(Clone, Debug)]
struct Image {
    class: usize,
    /// Indexes of its views among all views.
    views: std::ops::Range<usize>,
}

/// The limit of images.
const MOST_IMAGES: usize = 200_000;
/// The limit of values in all pooled vectors, for memory.
const MOST_VALUES: usize = 200_000_000;

impl Samples {
    /// An empty set for pooled vectors of `width` values, see `Extractor::pooled_len`.
    pub fn new(width: usize) -> Self {
        Samples { width, pooled: Vec::new(), images: Vec::new(), classes: Vec::new(), set: 0 }
    }

    /// Begins another data set, for the images that are added from now on. A label of one set is not that of another: where
    /// two sets show the same things under two names, nothing learns to tell them apart. In a batch all sets have equally many
    /// images.
    ///
    /// ```
    /// use image_feature::finetune::Samples;
    ///
    /// let mut samples = Samples::new(2);
    /// samples.add("1", &[1.0, 0.0])?;
    /// samples.begin_set();
    /// samples.add("1", &[0.0, 1.0])?;
    /// assert_eq!(samples.classes(), [("1".into(), 1), ("1".into(), 1)]);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn begin_set(&mut self) {
        self.set = self.classes.last().map_or(0, |class| class.set + 1);
    }

    /// Adds an image: its label, and the pooled vectors of one or more of its [views](super::views), one after the other. The
    /// evaluation uses the first view.
    ///
    /// # Errors
    /// - [`ErrorKind::Usage`](crate::ErrorKind::Usage): the length of `pooled` is not a multiple of the vectors' length, or a
    ///   value is not finite.
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): there are too many images.
    pub fn add(&mut self, label: &str, pooled: &[f32]) -> Result<()> {
        if pooled.is_empty() || !pooled.len().is_multiple_of(self.width) {
            return Err(Error::usage(format!(
                "{} values do not make pooled vectors of {} each",
                pooled.len(),
                self.width
            )));
        }
        if !pooled.iter().all(|value| value.is_finite()) {
            return Err(Error::usage("a pooled vector holds a number that is not finite"));
        }
        if self.images.len() >= MOST_IMAGES || self.pooled.len() + pooled.len() > MOST_VALUES {
            return Err(Error::new(
                crate::ErrorKind::Limit,
                format!(
                    "fine-tuning learns from {MOST_IMAGES} images at most; train a model with `image-feature train` instead"
                ),
            ));
        }
        let set = self.set;
        let class =
            self.classes.iter().position(|class| (class.set, &*class.label) == (set, label)).unwrap_or_else(|| {
                self.classes.push(Class { label: label.into(), set });
                self.classes.len() - 1
            });
        let first = self.pooled.len() / self.width;
        self.images.push(Image { class, views: first..first + pooled.len() / self.width });
        self.pooled.extend_from_slice(pooled);
        Ok(())
    }

    /// The labels with their numbers of images, in the order in which they were first added.
    pub fn classes(&self) -> Vec<(String, usize)> {
        let count = |class| self.images.iter().filter(|image| image.class == class).count();
        self.classes.iter().enumerate().map(|(class, Class { label, .. })| (label.clone(), count(class))).collect()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The first view of each image, one after the other: `[images, width]`.
    pub fn first_view_of_each(&self) -> Vec<f32> {
        self.images.iter().flat_map(|image| self.pooled_at(image.views.start)).copied().collect()
    }

    fn pooled_at(&self, view: usize) -> &[f32] {
        &self.pooled[view * self.width..][..self.width]
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The classes of each set: they follow one another.
    pub(super) fn sets(&self) -> Vec<std::ops::Range<usize>> {
        let sets = self.classes.chunk_by(|a, b| a.set == b.set);
        sets.scan(0, |end, classes| {
            let start = *end;
            *end += classes.len();
            Some(start..*end)
        })
        .collect()
    }

    pub(super) fn class(&self, image: usize) -> usize {
        self.images[image].class
    }

    /// The number of views of an image.
    pub(super) fn views(&self, image: usize) -> usize {
        self.images[image].views.len()
    }

    /// The pooled vector of one view.
    pub(super) fn view(&self, image: usize, view: usize) -> &[f32] {
        self.pooled_at(self.images[image].views.start + view)
    }

    /// The first views of images, one after the other.
    pub(super) fn first_views(&self, images: &[usize]) -> Vec<f32> {
        images.iter().flat_map(|&image| self.view(image, 0)).copied().collect()
    }
}
