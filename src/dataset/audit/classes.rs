//! Findings of classes: missing, too small or unbalanced ones.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dataset::Dataset;
use super::super::findings::{Code, Finding, Findings};
use super::super::subset::Subset;
use super::AuditOptions;

/// The images that PaddleX draws of each class for a batch.
const SAMPLES_PER_CLASS: usize = 4;
/// The number of queries that PaddleX evaluates at a time; it averages the results of these blocks.
const QUERY_BLOCK: usize = 64;
/// The smallest gallery for recall@5.
const LEAST_GALLERY: usize = 5;
/// The largest ratio between the largest and the median class without a finding.
const MOST_IMBALANCE: usize = 10;

/// A class and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassSizes {
    /// The label of the class.
    pub label: i64,
    /// The number of rows in `train.txt`, `gallery.txt`, `query.txt`.
    pub rows: [usize; 3],
}

/// An upper bound of the evaluation's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The number of queries.
    pub queries: usize,
    /// The number of queries of a class that is in the gallery.
    pub answerable: usize,
}

impl Evaluation {
    /// The recall of a perfect model, 0 to 1; `None` without queries.
    pub fn recall_ceiling(&self) -> Option<f64> {
        (self.queries > 0).then(|| self.answerable as f64 / self.queries as f64)
    }
}

pub(super) fn judge(
    dataset: &Dataset,
    options: &AuditOptions,
    findings: &mut Findings,
) -> (Vec<ClassSizes>, Evaluation, usize) {
    let mut classes: BTreeMap<i64, [usize; 3]> = BTreeMap::new();
    let mut first_lines: BTreeMap<(Subset, i64), u32> = BTreeMap::new();
    for row in dataset.rows() {
        if let Some(label) = row.label {
            classes.entry(label).or_default()[row.list as usize] += 1;
            first_lines.entry((row.list, label)).or_insert(row.line);
        }
    }
    let of = |list: Subset| classes.iter().filter(move |(_, rows)| rows[list as usize] > 0);
    let line = |list, label| first_lines[&(list, label)];
    let rows_of = |list: Subset| classes.values().map(|rows| rows[list as usize]).sum::<usize>();

    let train: Vec<(i64, usize)> = of(Subset::Train).map(|(&label, rows)| (label, rows[0])).collect();
    let largest_batch = SAMPLES_PER_CLASS * train.len();
    if !train.is_empty() {
        judge_training(&train, largest_batch, options, findings, &line);
    }

    let gallery: BTreeSet<i64> = of(Subset::Gallery).map(|(&label, _)| label).collect();
    let queries = rows_of(Subset::Query);
    let mut evaluation = Evaluation { queries, answerable: queries };
    // a missing list has a finding of its own
    if !gallery.is_empty() && queries > 0 {
        for (&label, rows) in of(Subset::Query).filter(|(label, _)| !gallery.contains(label)) {
            let count = rows[Subset::Query as usize];
            evaluation.answerable -= count;
            findings.add(Code::QueryClassAbsent, |code| {
                let reason = format!("class {label} has {count} queries and no image in the gallery");
                Finding::new(code, reason).at(Subset::Query, line(Subset::Query, label))
            });
        }
        judge_blocks(dataset, &gallery, findings);
        let size = rows_of(Subset::Gallery);
        if size < LEAST_GALLERY {
            findings.add(Code::GalleryTooSmall, |code| {
                Finding::new(code, format!("the gallery has {size} images")).in_list(Subset::Gallery)
            });
        }
    }
    for list in [Subset::Gallery, Subset::Query] {
        let (all, shared) =
            of(list).fold((0, 0), |(all, shared), (_, rows)| (all + 1, shared + usize::from(rows[0] > 0)));
        if shared > 0 {
            let reason = format!("{shared} of the {all} classes of {} are in train.txt, too", list.list());
            findings.add(Code::ClassesInTrain, |code| Finding::new(code, reason).in_list(list));
        }
    }
    let classes = classes.into_iter().map(|(label, rows)| ClassSizes { label, rows }).collect();
    (classes, evaluation, largest_batch)
}

fn judge_training(
    train: &[(i64, usize)],
    largest_batch: usize,
    options: &AuditOptions,
    findings: &mut Findings,
    line: &dyn Fn(Subset, i64) -> u32,
) {
    for &(label, _) in train.iter().filter(|(_, rows)| *rows == 1) {
        findings.add(Code::SingleImageClass, |code| {
            Finding::new(code, format!("class {label} has one image")).at(Subset::Train, line(Subset::Train, label))
        });
    }
    let mut sizes: Vec<usize> = train.iter().map(|&(_, rows)| rows).collect();
    sizes.sort_unstable();
    let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    if largest > MOST_IMBALANCE * median {
        let label = train.iter().find(|&&(_, rows)| rows == largest).map_or(0, |&(label, _)| label);
        let reason = format!("class {label} has {largest} images, the median class {median}");
        findings
            .add(Code::ClassImbalance, |code| Finding::new(code, reason).at(Subset::Train, line(Subset::Train, label)));
    }
    let batch = options.batch_size;
    if !batch.is_multiple_of(SAMPLES_PER_CLASS) {
        findings.add(Code::BatchNotDivisible, |code| {
            Finding::new(code, format!("the batch size is {batch}")).in_list(Subset::Train)
        });
    }
    if batch > largest_batch {
        findings.add(Code::TooFewClasses, |code| {
            let wanted = batch.div_ceil(SAMPLES_PER_CLASS);
            let reason = format!("a batch of {batch} takes 4 images of {wanted} classes; there are {}", train.len());
            let fix = match train.len() {
                // a batch of one class is refused, too: the loss compares two or more
                1 => "Add images of another class: training compares classes".into(),
                _ => format!("Take a batch size of at most {largest_batch}, or add classes"),
            };
            Finding::new(code, reason).in_list(Subset::Train).fix(fix)
        });
    }
}

fn judge_blocks(dataset: &Dataset, gallery: &BTreeSet<i64>, findings: &mut Findings) {
    let queries: Vec<_> =
        dataset.rows().iter().filter(|row| row.list == Subset::Query && row.label.is_some()).collect();
    for block in queries.chunks(QUERY_BLOCK) {
        if !block.iter().any(|row| row.label.is_some_and(|label| gallery.contains(&label))) {
            let (first, last) = (block[0].line, block[block.len() - 1].line);
            findings.add(Code::BlockWithoutMatch, |code| {
                let reason =
                    format!("lines {first} to {last} make a block of evaluation in which nothing can be found");
                Finding::new(code, reason).at(Subset::Query, first)
            });
        }
    }
}
