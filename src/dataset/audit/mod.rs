//! The judgement: lists and the facts of their images to findings.

mod classes;
mod duplicates;
mod features;
mod images;

use super::dataset::Dataset;
use super::facts::ImageFacts;
use super::findings::{Code, Finding, Findings, Severity};
use super::lists::Row;
use super::subset::Subset;
use crate::file_tree::{Problem, ProblemEffect};

pub use classes::{ClassSizes, Evaluation};

/// What is known of a data set beside its lists. What is not at hand stays empty, and is not judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Of [`Dataset::images`], one to one.
    pub facts: &'a [Option<ImageFacts>],
    /// What a model makes of [`Dataset::images`], one to one. They need no unit length.
    pub features: &'a [Option<Vec<f32>>],
    /// What [`FileTree::problems`](crate::file_tree::FileTree::problems) gives after all images have been read.
    pub problems: &'a [Problem],
}

/// What an audit goes by.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Images of a training batch. Default: 128, as PaddleX's models have it.
    pub batch_size: usize,
    /// Two images whose perceptual hashes differ in at most so many of 64 bits look alike. Default: 5, most: 7.
    pub near_bits: u32,
    /// Two images whose features have at least this cosine look alike to the model. Default: 0.97.
    pub near_cosine: f32,
}

impl Default for AuditOptions {
    fn default() -> Self {
        AuditOptions { batch_size: 128, near_bits: 5, near_cosine: 0.97 }
    }
}

/// The outcome of an audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// All findings, those of the lists among them.
    pub findings: Findings,
    /// How many images each class has in each list.
    pub classes: Vec<ClassSizes>,
    /// What evaluation can reach at best.
    pub evaluation: Evaluation,
    /// The largest batch that the training list has classes for.
    pub largest_batch: usize,
    /// Whether facts of every image were at hand.
    pub is_complete: bool,
}

impl Audit {
    /// Whether there is no error: training and evaluation would go through, on what is meant.
    pub fn passed(&self) -> bool {
        self.findings.count_of(Severity::Error) == 0
    }
}

/// Judges a data set.
///
/// # Panics
/// Where there are facts or features of another number of images.
///
/// ```
/// use image_feature::dataset::{AuditOptions, Code, Dataset, Evidence, ImageFacts, audit};
/// use image_feature::file_tree::{FileTree, Memory};
///
/// let tree = Memory::new("example", [("train.txt", "images/a.ppm 0\n".into()), ("images/a.ppm", b"P3 1 1 255 9 9 9".to_vec())]);
/// let dataset = Dataset::read(&tree);
/// let facts: Vec<_> = dataset
///     .images()
///     .iter()
///     .map(|&index| Some(ImageFacts::of(&tree.read(index, 1 << 20).unwrap(), &Default::default()).0))
///     .collect();
/// let audit = audit(&dataset, &Evidence { facts: &facts, ..Evidence::default() }, &AuditOptions::default());
/// assert_eq!(audit.findings.of(Code::Tiny)[0].image.as_deref(), Some("images/a.ppm"));
/// ```
pub fn audit(dataset: &Dataset, evidence: &Evidence<'_>, options: &AuditOptions) -> Audit {
    let &Evidence { facts, features, problems } = evidence;
    assert!(facts.is_empty() || facts.len() == dataset.images().len(), "facts of other images");
    assert!(features.is_empty() || features.len() == dataset.images().len(), "features of other images");
    let mut findings = dataset.findings().clone();
    judge_archive(problems, &mut findings);
    let uses = Uses::of(dataset);
    images::judge(dataset, &uses, facts, &mut findings);
    let (classes, evaluation, largest_batch) = classes::judge(dataset, options, &mut findings);
    let copies = duplicates::judge(dataset, &uses, facts, options, &mut findings);
    if !features.is_empty() {
        features::judge(dataset, &uses, features, &copies, options, &mut findings);
    }
    let is_complete = facts.len() == dataset.images().len() && facts.iter().all(Option::is_some);
    Audit { findings, classes, evaluation, largest_batch, is_complete }
}

fn judge_archive(problems: &[Problem], findings: &mut Findings) {
    for problem in problems {
        let code = match problem.code.effect() {
            ProblemEffect::Harmless => Code::ArchiveOddity,
            _ => Code::ArchiveProblem,
        };
        let reason = format!("{}: {}", problem.code.as_str(), problem.message());
        findings.add(code, |code| Finding { image: problem.entry.clone(), ..Finding::new(code, reason) });
    }
}

/// Which row uses each image first.
struct Uses<'a> {
    rows: Vec<&'a Row>,
}

impl<'a> Uses<'a> {
    fn of(dataset: &'a Dataset) -> Self {
        let mut rows: Vec<Option<&Row>> = vec![None; dataset.images().len()];
        for row in dataset.rows() {
            if let Some(image) = dataset.image_of(row) {
                rows[image].get_or_insert(row);
            }
        }
        Uses { rows: rows.into_iter().map(|row| row.expect("images are those of rows")).collect() }
    }

    /// `train.txt` line 3, in words.
    fn place(&self, image: usize) -> String {
        let row = self.rows[image];
        format!("{} line {}", row.list.list(), row.line)
    }

    fn list(&self, image: usize) -> Subset {
        self.rows[image].list
    }

    fn label(&self, image: usize) -> Option<i64> {
        self.rows[image].label
    }

    /// Whether two images have labels of which one must be wrong if they show the same.
    fn contradict(&self, a: usize, b: usize) -> bool {
        let both = self.label(a).zip(self.label(b));
        self.list(a).shares_labels_with(self.list(b)) && both.is_some_and(|(a, b)| a != b)
    }
}
