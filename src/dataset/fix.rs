//! Repair: a cleaned copy of a data set.

use super::dataset::Dataset;
use super::facts::ImageFacts;
use super::findings::Code;
use super::lists::Row;
use super::output::{Namer, NewDataset};

/// The file that lists the rows that were left out.
const SET_ASIDE: &str = "set_aside.tsv";

/// A cleaned copy of a data set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fixed {
    /// The copy, to be written.
    pub dataset: NewDataset,
    /// The number of rows kept.
    pub kept: usize,
    /// The number of rows left out, each with its reason in `set_aside.tsv`.
    pub set_aside: usize,
    /// The number of rows kept without what follows after path and label; `set_aside.tsv` has the whole rows.
    pub cut: usize,
    /// The number of images with another path in the copy.
    pub renamed: usize,
}

/// Plans a copy with all faults repaired that need no decision: line ends, byte order marks, separators, spaces in
/// names, upper and lower case, forms of Unicode, backslashes, absolute paths, encodings other than UTF-8.
///
/// Some rows are left out, and listed with the reason and all their bytes in the file `set_aside.tsv`: repeated rows,
/// rows that cannot be understood or contradict each other, and rows of broken images. `facts` tell which images are
/// broken; they belong to [`Dataset::images`], and may be empty. Rows that lose further columns are in that file, too.
///
/// Faults that need a decision stay: images in two lists, copies, classes that are missing in the gallery.
///
/// ```
/// use image_feature::dataset::{Dataset, fix};
/// use image_feature::file_tree::Memory;
///
/// let train = "\u{feff}images\\a.png\t0\r\n\r\nimages/none.png 1";
/// let tree = Memory::new("example", [("images/a.png", b"...".to_vec()), ("train.txt", train.into())]);
/// let fixed = fix(&Dataset::read(&tree), &[]);
/// assert_eq!(fixed.dataset.files[0], ("train.txt".to_string(), b"images/a.png 0\n".to_vec()));
/// assert_eq!((fixed.kept, fixed.set_aside), (1, 1));
/// ```
pub fn fix(dataset: &Dataset, facts: &[Option<ImageFacts>]) -> Fixed {
    let mut namer = Namer::default();
    let names: Vec<String> = dataset.paths().iter().map(|path| namer.name(path)).collect();
    let mut seen = std::collections::HashSet::new();
    let mut used = vec![false; names.len()];
    let mut rows = Vec::new();
    let (mut aside, mut cut) = (Vec::new(), 0);
    for row in dataset.rows() {
        match usable(dataset, facts, row) {
            Err(reason) => aside.push((row, reason)),
            Ok((image, _)) if !seen.insert((row.list, image)) => aside.push((row, Code::DuplicateRow.name())),
            Ok((image, label)) => {
                used[image] = true;
                if row.has_more {
                    cut += 1;
                    aside.push((row, Code::ExtraColumn.name()));
                }
                rows.push((row.list, image, label));
            }
        }
    }
    let mut new = NewDataset::default();
    new.add_lists(rows.iter().map(|&(list, image, label)| (list, names[image].as_str(), label)));
    new.files.extend_from_slice(dataset.class_files());
    let set_aside = aside.len() - cut;
    if !aside.is_empty() {
        new.files.push((SET_ASIDE.into(), set_aside_table(&aside)));
    }
    let images = dataset.images().iter().copied().zip(names);
    new.images = images.zip(&used).filter(|(_, used)| **used).map(|(image, _)| image).collect();
    let old_path = |index: &usize| dataset.images().binary_search(index).map_or("", |at| dataset.paths()[at].as_str());
    let renamed = new.images.iter().filter(|(index, path)| old_path(index) != path).count();
    Fixed { dataset: new, kept: rows.len(), set_aside, cut, renamed }
}

/// The rows that are left out, or lose a part, each with its place, its reason, and its bytes as they are in the list.
fn set_aside_table(rows: &[(&Row, &str)]) -> Vec<u8> {
    let mut table = b"list\tline\tcode\trow\n".to_vec();
    for (row, reason) in rows {
        table.extend(format!("{}\t{}\t{reason}\t", row.list.list(), row.line).bytes());
        table.extend(&*row.bytes());
        table.push(b'\n');
    }
    table
}

/// The image and label of a row that can stay, or the name of the code of its fault.
fn usable(dataset: &Dataset, facts: &[Option<ImageFacts>], row: &Row) -> Result<(usize, i64), &'static str> {
    if let Some(fault) = row.fault {
        return Err(fault.name());
    }
    // rows without a fault have both
    let (Some(image), Some(label)) = (dataset.image_of(row), row.label) else { return Err(Code::FileMissing.name()) };
    if let Some(Some(facts)) = facts.get(image) {
        if facts.problem.is_some() {
            return Err(Code::Undecodable.name());
        }
        if facts.ends_early {
            return Err(Code::Truncated.name());
        }
        if facts.damage.is_some() {
            return Err(Code::Damaged.name());
        }
    }
    Ok((image, label))
}
