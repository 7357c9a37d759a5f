//! The audit: findings from the lists and from the facts of their images.

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

/// Data of a data set beside its lists. Empty parts are not judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Facts of [`Dataset::images`], one to one.
    pub facts: &'a [Option<ImageFacts>],
    /// A model's features of [`Dataset::images`], one to one, of any length.
    pub features: &'a [Option<Vec<f32>>],
    /// The result of [`FileTree::problems`](crate::file_tree::FileTree::problems) after all images were read.
    pub problems: &'a [Problem],
}

/// Options of [`audit`].
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// The number of images of a training batch. Default: 128, as for PaddleX's models.
    pub batch_size: usize,
    /// Two images are nearly the same where their perceptual hashes differ in at most this many of 64 bits. Default: 5,
    /// maximum: 7.
    pub near_bits: u32,
    /// Two images are the same to the model where their features have at least this cosine. Default: 0.97.
    pub near_cosine: f32,
}

impl Default for AuditOptions {
    fn default() -> Self {
        AuditOptions { batch_size: 128, near_bits: 5, near_cosine: 0.97 }
    }
}

/// The result of [`audit`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Audit {
    /// All findings, with those of the lists.
    pub findings: Findings,
    /// The size of each class in each list.
    pub classes: Vec<ClassSizes>,
    /// An upper bound of the evaluation's results.
    pub evaluation: Evaluation,
    /// The largest batch for which the training list has enough classes.
    pub largest_batch: usize,
    /// Whether there were facts of every image.
    pub is_complete: bool,
}

impl Audit {
    /// Whether there is no finding with [`Severity::Error`].
    pub fn passed(&self) -> bool {
        self.findings.count_of(Severity::Error) == 0
    }
}

/// Judges a data set: its lists, and the evidence where it is given.
///
/// # Panics
/// Where the number of facts or features is neither 0 nor the number of [`Dataset::images`].
///
/// ```
/// use image_feature::dataset::{AuditOptions, Code, Dataset, Evidence, ImageFacts, audit};
/// use image_feature::file_tree::{FileTree, Memory};
///
/// let files = [("train.txt", "images/a.ppm 0\n"), ("images/a.ppm", "P3 1 1 255 9 9 9")];
/// let tree = Memory::new("example", files.map(|(path, text)| (path, text.into())));
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
    judge_problems(problems, &mut findings);
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

fn judge_problems(problems: &[Problem], findings: &mut Findings) {
    for problem in problems {
        // entries of an archive have a position, those of a folder have none
        let is_of_folder = problem.entry.is_some() && problem.position.is_none();
        let code = match (is_of_folder, problem.code.effect()) {
            (true, ProblemEffect::Harmless) => Code::FolderOddity,
            (true, _) => Code::Unreadable,
            (false, ProblemEffect::Harmless) => Code::ArchiveOddity,
            (false, _) => Code::ArchiveProblem,
        };
        let reason = format!("{}: {}", problem.code.as_str(), problem.message());
        findings.add(code, |code| Finding { image: problem.entry.clone(), ..Finding::new(code, reason) });
    }
}

/// The first row of each image.
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

    /// The place in words, such as `train.txt line 3`.
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

    /// Whether one of two labels must be wrong if the images are the same.
    fn contradict(&self, a: usize, b: usize) -> bool {
        let both = self.label(a).zip(self.label(b));
        self.list(a).shares_labels_with(self.list(b)) && both.is_some_and(|(a, b)| a != b)
    }
}
