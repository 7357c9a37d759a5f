//! Findings of duplicates: files with the same bytes, the same pixels, or nearly the same picture.

use std::collections::HashMap;

use super::super::dataset::Dataset;
use super::super::facts::{Digest, ImageFacts, PixelFacts};
use super::super::findings::{Code, Finding, Findings};
use super::super::near::{Pair, near_pairs};
use super::super::subset::Subset;
use super::{AuditOptions, Uses};
use crate::clusters::Clusters;

/// Groups of copies. Copies that are found here are not reported again by their features.
pub(super) type Copies = Clusters;

/// Reports copies. Each image is compared with a few earlier ones only, so that n copies give about n findings.
pub(super) fn judge(
    dataset: &Dataset,
    uses: &Uses<'_>,
    facts: &[Option<ImageFacts>],
    options: &AuditOptions,
    findings: &mut Findings,
) -> Copies {
    let mut copies = Clusters::new(dataset.images().len());
    // in the order of the lists: a query is reported as a copy of a gallery image, not the other way round
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_key(|&image| (uses.rows[image].list, uses.rows[image].line));

    let reports = Reports { dataset, uses };
    let originals = find_exact(&reports, facts, &order, &mut copies, findings);
    find_near(&reports, &originals, &order, options, &mut copies, findings);
    copies
}

struct Reports<'a> {
    dataset: &'a Dataset,
    uses: &'a Uses<'a>,
}

impl Reports<'_> {
    fn add(&self, code: Code, image: usize, other: usize, how: &str, findings: &mut Findings) {
        findings.add(code, |code| {
            let row = self.uses.rows[image];
            let labels = match (self.uses.label(image), self.uses.label(other)) {
                (Some(label), Some(other_label)) if self.uses.contradict(image, other) => {
                    format!("; the labels are {label} and {other_label}")
                }
                _ => String::new(),
            };
            let reason = format!("{how} `{}` ({}){labels}", self.dataset.paths()[other], self.uses.place(other));
            Finding::new(code, reason).at(row.list, row.line).image(self.dataset.paths()[image].as_str())
        });
    }
}

/// The images of one group that later images are reported as copies of.
#[derive(Default)]
struct Firsts {
    by_list: [Option<usize>; 3],
    /// For training and for evaluation: the first image, and the first one with another label than it.
    labelled: [[Option<usize>; 2]; 2],
}

impl Firsts {
    /// An earlier image in another list.
    fn across(&self, list: Subset) -> Option<usize> {
        Subset::ALL.into_iter().filter(|&other| other != list).find_map(|other| self.by_list[other as usize])
    }

    /// An earlier image with a contradicting label.
    fn contradicting(&self, uses: &Uses<'_>, image: usize) -> Option<usize> {
        self.labelled[family(uses.list(image))].into_iter().flatten().find(|&other| uses.contradict(image, other))
    }

    fn add(&mut self, uses: &Uses<'_>, image: usize) {
        self.by_list[uses.list(image) as usize].get_or_insert(image);
        let [first, other] = &mut self.labelled[family(uses.list(image))];
        let first = *first.get_or_insert(image);
        if uses.contradict(first, image) {
            other.get_or_insert(image);
        }
    }
}

/// 0 for training, 1 for evaluation: in lists of one family, equal labels mean the same class.
fn family(list: Subset) -> usize {
    usize::from(list != Subset::Train)
}

/// Reports images with the same pixels. Returns the facts of each first image, and `None` for its copies.
fn find_exact<'a>(
    reports: &Reports<'_>,
    facts: &'a [Option<ImageFacts>],
    order: &[usize],
    copies: &mut Copies,
    findings: &mut Findings,
) -> Vec<Option<&'a PixelFacts>> {
    let uses = reports.uses;
    let mut originals = vec![None; facts.len()];
    let mut groups: HashMap<&Digest, (usize, Firsts)> = HashMap::new();
    let mut files: HashMap<(&Digest, Subset), usize> = HashMap::new();
    for &image in order {
        let Some(ImageFacts { digest, pixels: Some(pixels), .. }) = &facts[image] else { continue };
        let list = uses.list(image);
        let (original, firsts) = groups.entry(&pixels.digest).or_insert_with(|| {
            originals[image] = Some(pixels);
            (image, Firsts::default())
        });
        let same_file = *files.entry((digest, list)).or_insert(image);
        if *original != image {
            copies.join(*original, image);
            let how = |other: usize| match &facts[other] {
                Some(facts) if facts.digest == *digest => "byte by byte the same as",
                _ => "pixel by pixel the same as",
            };
            let (contradicting, across) = (firsts.contradicting(uses, image), firsts.across(list));
            if let Some(other) = contradicting {
                reports.add(Code::DuplicateLabels, image, other, how(other), findings);
            }
            if let Some(other) = across {
                reports.add(Code::DuplicateAcross, image, other, how(other), findings);
            }
            if same_file != image {
                reports.add(Code::DuplicateFile, image, same_file, how(same_file), findings);
            } else if let Some(other) = firsts.by_list[list as usize] {
                reports.add(Code::DuplicatePixels, image, other, how(other), findings);
            }
        }
        firsts.add(uses, image);
    }
    originals
}

/// The nearest earlier image of each kind.
#[derive(Clone, Copy, Default)]
struct Nearest {
    contradicting: Option<(u32, usize)>,
    across: Option<(u32, usize)>,
    within: Option<(u32, usize)>,
}

fn find_near(
    reports: &Reports<'_>,
    originals: &[Option<&PixelFacts>],
    order: &[usize],
    options: &AuditOptions,
    copies: &mut Copies,
    findings: &mut Findings,
) {
    let uses = reports.uses;
    let rank = |image: usize| (uses.rows[image].list, uses.rows[image].line);
    let mut nearest = vec![Nearest::default(); originals.len()];
    near_pairs(originals, options.near_bits, |Pair { first, second, bits }| {
        copies.join(first, second);
        let (earlier, later) = if rank(first) <= rank(second) { (first, second) } else { (second, first) };
        let keep = |slot: &mut Option<(u32, usize)>| {
            *slot = Some(slot.unwrap_or((bits, earlier)).min((bits, earlier)));
        };
        if uses.contradict(first, second) {
            keep(&mut nearest[later].contradicting);
        }
        if uses.list(first) != uses.list(second) {
            keep(&mut nearest[later].across);
        } else {
            keep(&mut nearest[later].within);
        }
    });
    for &image in order {
        let Nearest { contradicting, across, within } = nearest[image];
        let mut tell = |code, near: Option<(u32, usize)>| {
            if let Some((bits, other)) = near {
                let how = format!("{bits} of 64 bits of the perceptual hash apart from");
                reports.add(code, image, other, &how, findings);
            }
        };
        tell(Code::NearDuplicateLabels, contradicting);
        tell(Code::NearDuplicateAcross, across);
        // not the same pair twice
        tell(Code::NearDuplicate, within.filter(|near| contradicting != Some(*near)));
    }
}
