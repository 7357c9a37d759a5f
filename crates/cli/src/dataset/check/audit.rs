//! The check of `image-feature check`: all findings, with places and remedies.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::{CopyTarget, count, look_at_images, place_of};
use super::CheckArgs;
use crate::embed::Engine;
use crate::output_file::{OutputFile, delete_unfinished_on_interrupt};
use crate::terminal::{Progress, Stdout, note, printable};
use crate::{Outcome, default_threads, open_model};
use image_feature::dataset::{
    Audit, AuditOptions, Dataset, Evidence, Finding, Fixed, ImageFacts, Severity, Thumbnails, audit, fix, report,
    report_html, shown_images, survey, thumbnail,
};
use image_feature::error::Context;
use image_feature::file_tree::FileTree;
use image_feature::{DecodeLimits, DeviceRequest, Error, ErrorKind, Preprocess, Result, RgbImage};

/// Maximum findings of each code in an HTML file, so that it opens quickly.
const MOST_IN_HTML: usize = 200;
/// Maximum findings of each code on the terminal.
const MOST_SHOWN: usize = 3;
/// Images that go through the network together.
const BATCH: usize = 16;

pub fn run(args: CheckArgs) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    let tree = args.dataset.open()?;
    let dataset = args.dataset.read(tree.as_ref())?;
    let copy = args.fix.as_deref().map(CopyTarget::open).transpose()?;
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let (facts, features) = match &args.model {
        None => (look_at_images(tree.as_ref(), &dataset, threads, args.quiet), Vec::new()),
        Some(model) => look_with_model(tree.as_ref(), &dataset, model, args.device, threads, args.quiet)?,
    };
    let options = AuditOptions { batch_size: args.batch_size.into(), ..AuditOptions::default() };
    let evidence = Evidence { facts: &facts, features: &features, problems: &tree.problems() };
    let audit = audit(&dataset, &evidence, &options);

    let pages: Vec<PathBuf> =
        args.html.iter().cloned().chain(args.output.iter().map(|folder| folder.join("report.html"))).collect();
    // The file name only: reports are passed on, and must not have paths of this computer.
    let name = match args.dataset.path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => args.dataset.name(),
    };
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).context(|| folder.display().to_string())?;
        let json = report(&name, &dataset, &audit, &facts, &Thumbnails::new(), usize::MAX);
        OutputFile::write(folder.join("report.json"), format!("{json:#}\n").as_bytes())?;
    }
    if !pages.is_empty() {
        let thumbnails = thumbnails(tree.as_ref(), &dataset, &audit, threads);
        let html = report_html(&report(&name, &dataset, &audit, &facts, &thumbnails, MOST_IN_HTML));
        for page in &pages {
            OutputFile::write(page, html.as_bytes())?;
        }
    }
    let mut stdout = Stdout::default();
    if args.json {
        let json = report(&name, &dataset, &audit, &facts, &Thumbnails::new(), usize::MAX);
        stdout.line(&json.to_string())?;
    } else {
        Summary { dataset: &dataset, audit: &audit, is_coloured: std::io::stdout().is_terminal() }
            .print(&mut stdout)?;
    }
    for page in &pages {
        note(&format!("report: {}", page.display()));
    }
    if let Some((target, copy)) = args.fix.as_deref().zip(copy) {
        let fixed = fix(&dataset, &facts);
        copy.write(tree.as_ref(), &fixed.dataset, args.quiet)?;
        tell_fixed(&fixed, target);
    } else if !audit.findings.is_empty() && pages.is_empty() && !args.json && !args.quiet {
        note("next: --html FILE shows all findings with pictures, --fix DIR|ZIP writes a copy with the lists mended");
    }
    Ok(if audit.passed() { Outcome::Good } else { Outcome::Failed(ErrorKind::Decode) })
}

fn tell_fixed(fixed: &Fixed, target: &Path) {
    let aside = match fixed.set_aside {
        0 => String::new(),
        rows => format!(", {} set aside (see set_aside.tsv)", count(rows as u64, "row")),
    };
    let cut = match fixed.cut {
        0 => String::new(),
        rows => format!(", {} without further columns (whole in set_aside.tsv)", count(rows as u64, "row")),
    };
    let renamed = match fixed.renamed {
        0 => String::new(),
        images => format!(", {} renamed", count(images as u64, "image")),
    };
    note(&format!("mended copy: {} with {}{aside}{cut}{renamed}", target.display(), count(fixed.kept as u64, "row")));
}

/// The features of images, by their places; `None` for an image without one.
type Features = Vec<Option<Vec<f32>>>;

/// As [`look_at_images`], and computes the feature of each image.
fn look_with_model(
    tree: &dyn FileTree,
    dataset: &Dataset,
    model: &Path,
    device: DeviceRequest,
    threads: usize,
    quiet: bool,
) -> Result<(Vec<Option<ImageFacts>>, Features)> {
    let model = open_model(Some(model))?;
    let engine = Engine::open(&model, device, threads)?;
    if !quiet {
        note(&engine.summary);
    }
    let preprocess: Preprocess = model.description.preprocess.clone();
    let [height, width] = model.description.input_size();
    drop(model);
    let mut facts = vec![None; dataset.images().len()];
    let mut features = vec![None; dataset.images().len()];
    // inputs of the next batch, with the places of their images
    let mut waiting: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut failed: Result<()> = Ok(());
    let mut progress = Progress::new(Some(dataset.images().len() as u64), quiet);
    let mut embed = |waiting: &mut Vec<(usize, Vec<f32>)>| {
        let (places, inputs): (Vec<usize>, Vec<Vec<f32>>) = std::mem::take(waiting).into_iter().unzip();
        for (place, feature) in places.into_iter().zip(engine.features(&inputs)?) {
            // an image without a finite feature has none
            features[place] = feature.ok();
        }
        Ok(())
    };
    let prepare = |_: &ImageFacts, image: Option<RgbImage>| {
        let input = image.and_then(|image| preprocess.apply(&image).ok());
        input.filter(|input| input.len() == 3 * height * width)
    };
    let _ = survey(tree, dataset.images(), threads, &DecodeLimits::default(), prepare, |index, found, input| {
        progress.advance();
        let place = place_of(dataset, index);
        facts[place] = Some(found);
        waiting.extend(input.map(|input| (place, input)));
        if waiting.len() >= BATCH {
            failed = embed(&mut waiting);
        }
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    failed?;
    embed(&mut waiting)?;
    progress.finish();
    Ok((facts, features))
}

/// Small pictures of the images in the report.
fn thumbnails(tree: &dyn FileTree, dataset: &Dataset, audit: &Audit, threads: usize) -> Thumbnails {
    let indices: Vec<usize> = shown_images(dataset, audit).into_iter().map(|place| dataset.images()[place]).collect();
    let mut thumbnails = Thumbnails::new();
    let small = |_: &ImageFacts, image: Option<RgbImage>| image.and_then(|image| thumbnail(&image).ok());
    let _ = survey(tree, &indices, threads, &DecodeLimits::default(), small, |index, _, picture| {
        thumbnails.extend(picture.map(|picture| (place_of(dataset, index), picture)));
        ControlFlow::Continue(())
    });
    thumbnails
}

/// The summary on a terminal.
struct Summary<'a> {
    dataset: &'a Dataset,
    audit: &'a Audit,
    is_coloured: bool,
}

impl Summary<'_> {
    fn print(&self, stdout: &mut Stdout) -> Result<()> {
        let Audit { findings, classes, evaluation, largest_batch, .. } = self.audit;
        for text in self.dataset.notes() {
            note(&format!("note: {text}"));
        }
        for code in findings.codes() {
            let colour = match code.severity() {
                Severity::Error => "31",
                Severity::Warning => "33",
                Severity::Hint => "36",
            };
            let severity = self.coloured(colour, code.severity().as_str());
            let head = format!("{severity} {} {}: {} ({})", code.id(), code.name(), code.title(), findings.count(code));
            stdout.line(&head)?;
            findings.of(code).iter().take(MOST_SHOWN).try_for_each(|finding| print_finding(finding, stdout))?;
            if findings.count(code) > MOST_SHOWN as u64 {
                stdout.line(&format!("    … and {} more", findings.count(code) - MOST_SHOWN as u64))?;
            }
            stdout.line(&format!("    {}.", code.fix()))?;
        }
        let images = count(self.dataset.images().len() as u64, "image");
        let ceiling = match evaluation.recall_ceiling() {
            Some(ceiling) => format!(", recall@1 of at most {:.1} %", 100.0 * ceiling),
            None => String::new(),
        };
        stdout.line(&format!(
            "{images}, {}{ceiling}, training batches of up to {largest_batch}",
            if classes.len() == 1 { "1 class".into() } else { format!("{} classes", classes.len()) }
        ))?;
        let [errors, warnings, hints] =
            [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Hint, "hint")]
                .map(|(severity, name)| count(findings.count_of(severity), name));
        let verdict = if self.audit.passed() { self.coloured("32", "passed") } else { self.coloured("31", "failed") };
        stdout.line(&format!("{verdict}: {errors}, {warnings}, {hints}"))
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[1;{colour}m{text}\x1b[0m") } else { text.into() }
    }
}

/// Prints a finding with its place and its remedy.
fn print_finding(finding: &Finding, stdout: &mut Stdout) -> Result<()> {
    let mut place = String::new();
    if let Some(list) = finding.list {
        place = list.list().into();
        for number in [finding.line, finding.column].into_iter().flatten() {
            place.push_str(&format!(":{number}"));
        }
        place.push_str(": ");
    }
    let image = finding.image.as_deref().filter(|image| !finding.reason.contains(*image));
    let image = image.map_or(String::new(), |image| format!("{image}: "));
    stdout.line(&printable(&format!("    {place}{image}{}", finding.reason)))?;
    match &finding.fix {
        Some(fix) => stdout.line(&printable(&format!("        {fix}"))),
        None => Ok(()),
    }
}

impl CheckArgs {
    /// Refuses arguments that PaddleX's check does not have.
    pub fn refuse_for_compat(&self) -> Result<()> {
        let ours = [(self.fix.is_some(), "--fix"), (self.html.is_some(), "--html"), (self.model.is_some(), "--model")];
        match ours.into_iter().find(|(is_given, _)| *is_given) {
            Some((_, name)) => {
                Err(Error::usage(format!("{name} does not go with --compat: PaddleX's check has no such thing")))
            }
            None => Ok(()),
        }
    }
}
