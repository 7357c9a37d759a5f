//! Division of images into training, gallery and queries.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::dataset::Dataset;
use super::facts::ImageFacts;
use super::findings::Severity;
use super::item::Item;
use super::near::near_pairs;
use super::output::{Namer, NewDataset};
use super::subset::Subset;
use crate::clusters::Clusters;
use crate::random::SplitMix64;
use crate::{Error, Result};

/// The unit that is divided between training and evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitBy {
    /// The images of each class, as in PaddleX: evaluation uses new images of classes that were trained.
    #[default]
    Image,
    /// The classes: evaluation uses classes that were not trained. Their images go to gallery and queries.
    Class,
}

/// Options of [`split`].
#[derive(Clone, Debug)]
pub struct SplitOptions {
    /// Percent of the images for training, gallery and queries: 100 together. Default: 70, 20, 10.
    pub percent: [f64; 3],
    /// The seed of the random order. The same seed gives the same lists on every machine and in every version. Default:
    /// 0.
    pub seed: u64,
    /// The unit that is divided. Default: images.
    pub by: SplitBy,
    /// Whether a class may have queries but no image in the gallery. Default: no.
    pub allow_absent: bool,
    /// Images stay together where their perceptual hashes differ in at most this many bits. Exact copies always do.
    /// Default: 5.
    pub near_bits: u32,
}

impl Default for SplitOptions {
    fn default() -> Self {
        SplitOptions { percent: [70.0, 20.0, 10.0], seed: 0, by: SplitBy::Image, allow_absent: false, near_bits: 5 }
    }
}

impl SplitOptions {
    pub(super) fn check(&self) -> Result<()> {
        let [train, gallery, query] = self.percent;
        if self.percent.iter().any(|percent| !(0.0..=100.0).contains(percent)) {
            return Err(Error::usage(format!("{train}, {gallery}, {query}: percentages are 0 to 100")));
        }
        let sum = train + gallery + query;
        if (sum - 100.0).abs() > 1e-6 {
            return Err(Error::usage(format!("{train} + {gallery} + {query} = {sum} percent: it must be 100")));
        }
        if query > 0.0 && gallery == 0.0 && !self.allow_absent {
            return Err(Error::usage("queries without a gallery find nothing: give the gallery some percent, too"));
        }
        Ok(())
    }
}

/// Divides all images of a data set anew; their present lists do not matter. `facts` belong to [`Dataset::images`], and
/// may be empty: with them, copies of an image stay in one list.
///
/// The percentages hold on the whole, and in each class as far as whole images allow. A class with queries has at least
/// one image in the gallery.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for percentages that do not add up to 100;
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for lists with errors, or without rows.
///
/// ```
/// use image_feature::dataset::{Dataset, SplitOptions, split};
/// use image_feature::file_tree::Memory;
///
/// let list: String = (0..20).map(|i| format!("images/{i}.png {}\n", i % 2)).collect();
/// let images = (0..20).map(|i| (format!("images/{i}.png"), vec![i]));
/// let tree = Memory::new("example", images.chain([("train.txt".into(), list.into_bytes())]));
/// let divided = split(&Dataset::read(&tree), &[], &SplitOptions::default())?;
/// let rows: Vec<usize> = divided.files.iter().map(|(_, text)| text.iter().filter(|&&c| c == b'\n').count()).collect();
/// assert_eq!(rows, [14, 4, 2]);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn split(dataset: &Dataset, facts: &[Option<ImageFacts>], options: &SplitOptions) -> Result<NewDataset> {
    options.check()?;
    let labels = labels(dataset)?;
    let groups = groups(facts, labels.len(), options.near_bits);
    let items: Vec<Item> = labels.iter().zip(groups).map(|(&label, group)| Item { label, group }).collect();
    let subsets = divide(&items, options);

    let mut namer = Namer::default();
    let names: Vec<String> = dataset.paths().iter().map(|path| namer.name(path)).collect();
    let mut new = NewDataset::default();
    new.add_lists(in_order(&items, &subsets, &names));
    new.files.extend_from_slice(dataset.class_files());
    new.images = dataset.images().iter().copied().zip(names).collect();
    Ok(new)
}

/// The rows of the lists: by class, then by path.
pub(super) fn in_order<'a>(
    items: &[Item],
    subsets: &[Subset],
    names: &'a [String],
) -> impl Iterator<Item = (Subset, &'a str, i64)> {
    let mut rows: Vec<_> =
        items.iter().zip(subsets).zip(names).map(|((item, &list), name)| (list, name.as_str(), item.label)).collect();
    rows.sort_by_key(|&(list, name, label)| (list, label, name));
    rows.into_iter()
}

/// The label of each image.
fn labels(dataset: &Dataset) -> Result<Vec<i64>> {
    let mut faults = dataset.findings().codes();
    faults.retain(|code| code.severity() == Severity::Error && code.id().starts_with(['L', 'F']));
    // missing lists are made here, and an image in two lists will be in one
    faults.retain(|code| !matches!(code.name(), "list-missing" | "list-empty" | "listed-across"));
    if let Some(&code) = faults.first() {
        let finding = &dataset.findings().of(code)[0];
        let place = finding.list.map_or(String::new(), |list| {
            format!("{}:{}: ", list.list(), finding.line.map_or("-".into(), |line| line.to_string()))
        });
        return Err(Error::unsupported(format!(
            "{place}{} ({}): {}; lists with errors are not divided: see `image-feature check`, which can also mend a copy",
            code.title(),
            code.id(),
            finding.reason
        )));
    }
    let mut labels: Vec<Option<i64>> = vec![None; dataset.images().len()];
    for row in dataset.rows() {
        let (Some(image), Some(label)) = (dataset.image_of(row), row.label) else { continue };
        if *labels[image].get_or_insert(label) != label {
            return Err(Error::unsupported(format!(
                "{}:{}: `{}` has another label in another list; number the classes of all lists alike before they are divided together",
                row.list.list(),
                row.line,
                row.path
            )));
        }
    }
    let labels: Vec<i64> = labels.into_iter().flatten().collect();
    if labels.is_empty() {
        return Err(Error::unsupported(
            "there are no rows to divide: no train.txt, gallery.txt or query.txt was found that has any; `image-feature convert` makes them",
        ));
    }
    Ok(labels)
}

/// The group of each image: images of a group stay together.
fn groups(facts: &[Option<ImageFacts>], count: usize, near_bits: u32) -> Vec<usize> {
    let mut clusters = Clusters::new(count);
    let mut originals = HashMap::new();
    let pixels: Vec<_> = facts.iter().map(|facts| facts.as_ref().and_then(|facts| facts.pixels.as_ref())).collect();
    for (image, pixels) in pixels.iter().enumerate() {
        if let Some(pixels) = pixels {
            clusters.join(*originals.entry(pixels.digest).or_insert(image), image);
        }
    }
    near_pairs(&pixels, near_bits, |pair| clusters.join(pair.first, pair.second));
    (0..count).map(|image| clusters.of(image)).collect()
}

/// The list of each item.
pub(super) fn divide(items: &[Item], options: &SplitOptions) -> Vec<Subset> {
    let mut random = SplitMix64::new(options.seed);
    // a group belongs to the class of its first item
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        groups.entry(item.group).or_default().push(at);
    }
    let mut classes: BTreeMap<i64, Vec<Vec<usize>>> = BTreeMap::new();
    for members in groups.into_values() {
        classes.entry(items[members[0]].label).or_default().push(members);
    }
    let mut subsets = vec![Subset::Train; items.len()];
    match options.by {
        SplitBy::Image => divide_each(classes.into_values(), options.percent, options, &mut random, &mut subsets),
        SplitBy::Class => {
            let [train, gallery, query] = options.percent;
            let evaluated = choose_classes(items, classes, train, &mut random);
            let percent = [0.0, 100.0 * gallery / (gallery + query), 100.0 * query / (gallery + query)];
            if gallery + query > 0.0 {
                divide_each(evaluated.into_iter(), percent, options, &mut random, &mut subsets);
            }
        }
    }
    if !options.allow_absent {
        answer_queries(items, &mut subsets);
    }
    subsets
}

/// Divides the groups of each class by these proportions. Differences due to whole images are carried over to the next
/// class.
fn divide_each(
    classes: impl Iterator<Item = Vec<Vec<usize>>>,
    percent: [f64; 3],
    options: &SplitOptions,
    random: &mut SplitMix64,
    subsets: &mut [Subset],
) {
    let mut owed = [0.0; 3];
    for mut groups in classes {
        random.shuffle(&mut groups);
        let count: usize = groups.iter().map(Vec::len).sum();
        let mut has_gallery = false;
        for (owed, percent) in owed.iter_mut().zip(percent) {
            *owed += percent * count as f64 / 100.0;
        }
        for group in groups {
            let most = |&a: &Subset, &b: &Subset| owed[a as usize].total_cmp(&owed[b as usize]);
            // the list that lacks most; of equals training before gallery before queries
            let offered = Subset::ALL.into_iter().rev().filter(|&list| percent[list as usize] > 0.0);
            let mut list = offered.max_by(most).unwrap_or(Subset::Train);
            if list == Subset::Query && !has_gallery && !options.allow_absent {
                list = Subset::Gallery;
            }
            has_gallery |= list == Subset::Gallery;
            owed[list as usize] -= group.len() as f64;
            for item in group {
                subsets[item] = list;
            }
        }
    }
}

/// Chooses the classes for evaluation, and returns their groups. The others, with about `train` percent of the images,
/// are for training. Classes that share copies of an image stay together.
fn choose_classes(
    items: &[Item],
    classes: BTreeMap<i64, Vec<Vec<usize>>>,
    train: f64,
    random: &mut SplitMix64,
) -> Vec<Vec<Vec<usize>>> {
    let labels: BTreeSet<i64> = items.iter().map(|item| item.label).collect();
    let places: BTreeMap<i64, usize> = labels.into_iter().zip(0..).collect();
    let mut joined = Clusters::new(places.len());
    for members in classes.values().flatten() {
        for &member in members {
            joined.join(places[&items[members[0]].label], places[&items[member].label]);
        }
    }
    let mut families: BTreeMap<usize, Vec<Vec<Vec<usize>>>> = BTreeMap::new();
    for (label, groups) in classes {
        families.entry(joined.of(places[&label])).or_default().push(groups);
    }
    let mut families: Vec<Vec<Vec<Vec<usize>>>> = families.into_values().collect();
    random.shuffle(&mut families);
    let mut owed = [train, 100.0 - train].map(|percent| percent / 100.0 * items.len() as f64);
    let mut evaluated = Vec::new();
    for family in families {
        let size = family.iter().flatten().map(Vec::len).sum::<usize>() as f64;
        let side = usize::from(owed[1] > owed[0]);
        owed[side] -= size;
        if side == 1 {
            evaluated.extend(family);
        }
    }
    evaluated
}

/// Moves queries to the gallery where their class has no image there. Groups with several classes can cause this.
fn answer_queries(items: &[Item], subsets: &mut [Subset]) {
    loop {
        let gallery: HashSet<i64> = items
            .iter()
            .zip(&*subsets)
            .filter(|(_, list)| **list == Subset::Gallery)
            .map(|(item, _)| item.label)
            .collect();
        let lost = items
            .iter()
            .zip(&*subsets)
            .find(|(item, list)| **list == Subset::Query && !gallery.contains(&item.label))
            .map(|(item, _)| item.group);
        let Some(lost) = lost else { return };
        for (item, list) in items.iter().zip(&mut *subsets) {
            if item.group == lost {
                *list = Subset::Gallery;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(by: SplitBy, seed: u64) -> SplitOptions {
        SplitOptions { percent: [50.0, 30.0, 20.0], by, seed, ..SplitOptions::default() }
    }

    fn labels_of(items: &[Item], subsets: &[Subset], list: Subset) -> BTreeSet<i64> {
        items.iter().zip(subsets).filter(|(_, of)| **of == list).map(|(item, _)| item.label).collect()
    }

    proptest! {
        #[test]
        fn what_is_promised_holds_for_any_classes_and_copies(
            drawn in prop::collection::vec((0i64..8, 0usize..40), 1..60),
            by in prop::sample::select(vec![SplitBy::Image, SplitBy::Class]),
            seed in any::<u64>(),
        ) {
            let mut first = BTreeMap::new();
            let items: Vec<Item> = drawn.iter().enumerate().map(|(at, &(label, group))| {
                Item { label, group: *first.entry(group).or_insert(at) }
            }).collect();
            let subsets = divide(&items, &options(by, seed));
            prop_assert_eq!(&subsets, &divide(&items, &options(by, seed)));
            let mut group_lists: BTreeMap<usize, Subset> = BTreeMap::new();
            for (item, &list) in items.iter().zip(&subsets) {
                prop_assert_eq!(*group_lists.entry(item.group).or_insert(list), list, "copies are torn apart");
            }
            let [train, gallery, query] = Subset::ALL.map(|list| labels_of(&items, &subsets, list));
            prop_assert!(query.is_subset(&gallery), "a query class is not in the gallery");
            if by == SplitBy::Class {
                prop_assert!(train.is_disjoint(&gallery) && train.is_disjoint(&query));
            }
        }

        #[test]
        fn proportions_are_kept_in_each_class_and_on_the_whole(
            sizes in prop::collection::vec(10usize..40, 1..10),
            seed in any::<u64>(),
        ) {
            let labels = sizes.iter().enumerate().flat_map(|(label, &size)| std::iter::repeat_n(label as i64, size));
            let items: Vec<Item> = labels.enumerate().map(|(group, label)| Item { label, group }).collect();
            let subsets = divide(&items, &options(SplitBy::Image, seed));
            for (list, share) in Subset::ALL.into_iter().zip([0.5, 0.3, 0.2]) {
                let count = |label: i64| {
                    let of = items.iter().zip(&subsets);
                    of.filter(|(item, of)| item.label == label && **of == list).count() as f64
                };
                let mut all = 0.0;
                for (label, &size) in sizes.iter().enumerate() {
                    let count = count(label as i64);
                    all += count;
                    prop_assert!((count - share * size as f64).abs() <= 2.0, "{list:?} has {count} of {size}");
                }
                prop_assert!((all - share * items.len() as f64).abs() < 1.5, "{list:?} has {all} of {}", items.len());
            }
        }
    }

    #[test]
    fn a_seed_is_one_division_for_ever() {
        let items: Vec<Item> = (0..12).map(|group| Item { label: group as i64 % 2, group }).collect();
        let lists = |seed| -> String {
            divide(&items, &options(SplitBy::Image, seed)).iter().map(|list| &list.as_str()[..1]).collect()
        };
        assert_eq!((lists(0).as_str(), lists(1).as_str()), ("qttgtttqgggt", "tggttqgtqgtt"));
    }
}
