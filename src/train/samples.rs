//! The images of a list, with their classes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recipe::{Recipe, Sampling};
use crate::dataset::{Dataset, LabelledImage, Subset};
use crate::file_tree::FileTree;
use crate::{Error, Result};

/// The images of one list.
#[derive(Clone)]
pub(super) struct Samples {
    pub tree: Arc<dyn FileTree>,
    pub images: Vec<Sample>,
}

/// An image and its label.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The index of the file in the tree.
    pub entry: usize,
    pub label: i64,
}

impl Samples {
    /// The images of a list of a data set.
    ///
    /// # Errors
    /// Those of [`Dataset::labelled`].
    pub fn read(tree: &Arc<dyn FileTree>, dataset: &Dataset, list: Subset) -> Result<Self> {
        let images = dataset.labelled(list)?.into_iter();
        let images = images.map(|LabelledImage { entry, label, .. }| Sample { entry, label }).collect();
        Ok(Samples { tree: tree.clone(), images })
    }

    pub fn len(&self) -> usize {
        self.images.len()
    }

    pub fn labels(&self) -> Vec<i64> {
        self.images.iter().map(|image| image.label).collect()
    }

    /// The path of an image, for messages.
    pub fn path(&self, image: usize) -> &str {
        &self.tree.entries()[self.images[image].entry].path
    }
}

/// The column of the head for each image of the training list.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the head has too few columns, a label is not one of its columns (where
/// classes keep their numbers), or there are too few classes to fill a batch.
pub(super) fn columns(samples: &Samples, recipe: &Recipe) -> Result<Vec<usize>> {
    let mut labels: BTreeMap<i64, usize> = samples.images.iter().map(|image| (image.label, 0)).collect();
    let distinct = labels.len();
    let too_few = |needed: usize| {
        Err(Error::usage(format!(
            "num_classes is {}, but the training list has {distinct} classes and needs {needed}; set Train.num_classes to \
             at least {needed}",
            recipe.classes
        )))
    };
    match recipe.sampling {
        Sampling::PerClass(each) => {
            labels.values_mut().enumerate().for_each(|(column, place)| *place = column);
            if distinct > recipe.classes {
                return too_few(distinct);
            }
            if distinct < 2 {
                return Err(Error::usage(
                    "the training list has one class; the triplet loss compares two or more: add images of another class",
                ));
            }
            if distinct * each < recipe.batch_size {
                return Err(Error::usage(format!(
                    "batch size({}) should not be bigger than than #classes({distinct})*sample_per_id({each}); set \
                     Train.batch_size to at most {}",
                    recipe.batch_size,
                    distinct * each
                )));
            }
            if recipe.batch_size < 2 * each {
                return Err(Error::usage(format!(
                    "a batch of {} holds one class only; the triplet loss compares two or more",
                    recipe.batch_size
                )));
            }
        }
        Sampling::Shuffled => {
            for (&label, place) in &mut labels {
                match usize::try_from(label) {
                    Ok(label) if label < recipe.classes => *place = label,
                    Ok(label) => return too_few(label + 1),
                    Err(_) => {
                        return Err(Error::usage(format!(
                            "label {label} is below 0: this model is trained with labels from 0 to num_classes - 1"
                        )));
                    }
                }
            }
        }
    }
    Ok(samples.images.iter().map(|image| labels[&image.label]).collect())
}
