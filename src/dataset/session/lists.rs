//! The lists of a session, and the known facts of their images.

use std::collections::BTreeMap;

use crate::dataset::{Dataset, ImageFacts};
use crate::file_tree::{Content, NameDecoder, Overlay, Problem};

/// An image of the lists that is a file of the tree as it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFile {
    /// The index among the entries of the tree that was opened. It stays the same when the data set changes.
    pub file: usize,
    /// The index in [`Dataset::images`] of the present lists.
    pub place: usize,
}

/// The data set of the lists, and the known facts of its images.
pub(super) struct Lists {
    pub dataset: Dataset,
    /// One for each of [`Dataset::images`].
    pub facts: Vec<Option<ImageFacts>>,
    /// Problems of the archive that other sessions found.
    pub problems: Vec<Problem>,
    /// Places of the images in the last report.
    pub shown: Vec<usize>,
}

impl Lists {
    /// Reads the lists of a tree. `known` are facts by file.
    pub fn read(tree: &Overlay, known: &BTreeMap<usize, ImageFacts>, decode: Option<&NameDecoder>) -> Self {
        let dataset = Dataset::read_with(tree, decode);
        let facts = dataset.images().iter().map(|&index| match tree.content(index) {
            Some(Content::Of(file)) => known.get(file).cloned(),
            _ => None,
        });
        Lists { facts: facts.collect(), dataset, problems: Vec::new(), shown: Vec::new() }
    }

    /// The known facts by file.
    pub fn into_facts(self, tree: &Overlay) -> impl Iterator<Item = (usize, ImageFacts)> {
        let Lists { dataset, facts, .. } = self;
        let files: Vec<Option<usize>> = dataset
            .images()
            .iter()
            .map(|&index| match tree.content(index) {
                Some(&Content::Of(file)) => Some(file),
                _ => None,
            })
            .collect();
        files.into_iter().zip(facts).filter_map(|(file, facts)| Some((file?, facts?)))
    }
}

/// Images in the fastest order of reading their files.
pub(super) fn in_reading_order(tree: &Overlay, mut images: Vec<ImageFile>) -> Vec<ImageFile> {
    images.sort_unstable();
    let mut order: Vec<usize> = images.iter().map(|image| image.file).collect();
    order.dedup();
    tree.below().sort_for_reading(&mut order);
    let of = |file: usize| {
        let start = images.partition_point(|image| image.file < file);
        images[start..].iter().take_while(move |image| image.file == file)
    };
    order.into_iter().flat_map(of).copied().collect()
}
