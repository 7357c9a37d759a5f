//! `image-feature gallery calibrate`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::open;
use super::with_progress;
use crate::Outcome;
use crate::terminal::{Stdout, note};
use image_feature::error::Context;
use image_feature::gallery::{Calibration, CalibrationOptions, Gallery, ThresholdErrors};
use image_feature::{Error, Result};

/// Thresholds of the printed curve, and of the one in JSON.
const LINES: usize = 11;
const POINTS: usize = 101;

/// Find the score from which on the nearest image counts as known
///
/// Each image with a label is searched in the gallery twice: without itself, as a new image of something known; and without all of its
/// label, as an image of something unknown. The threshold with the fewest errors is written into the gallery's file, where `gallery
/// search --recognize` and the service take it from. Look for copies first, with `gallery groups`: they make the gallery look better
/// than it is.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery calibrate shop.safetensors
  image-feature gallery calibrate shop.safetensors --max-false-accepts 0.01 --dry-run")]
pub struct CalibrateArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// The largest share of images of unknown things that may be accepted, from 0 to 1. Without it, the sum of both kinds of errors
    /// is made least
    #[arg(long, value_name = "SHARE")]
    max_false_accepts: Option<f32>,
    /// Images that are searched with, at most; of more, evenly spaced ones
    #[arg(long, value_name = "N", default_value_t = CalibrationOptions::default().queries)]
    queries: usize,
    /// Write nothing into the gallery's file
    #[arg(long)]
    dry_run: bool,
    /// Print the threshold and the curve as a JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub fn calibrate(args: &CalibrateArgs) -> Result<Outcome> {
    let gallery = open(&args.gallery)?;
    let points = if args.json { POINTS } else { LINES };
    let options = CalibrationOptions { max_false_accepts: args.max_false_accepts, queries: args.queries, points };
    let calibration = with_progress(gallery.len(), args.quiet, |tell| gallery.calibrate(options, tell))
        .context(|| args.gallery.display().to_string())?;
    let text = if args.json { to_json(&calibration).to_string() } else { to_text(&calibration) };
    Stdout::default().line(&text)?;
    if args.dry_run {
        return Ok(Outcome::Good);
    }
    keep(args, &gallery, calibration.threshold)?;
    if !args.quiet {
        note(&format!("the threshold is in {}", args.gallery.display()));
    }
    Ok(Outcome::Good)
}

/// Writes the threshold into the file, where no other process has changed its vectors since they were measured.
fn keep(args: &CalibrateArgs, measured: &Gallery, threshold: f32) -> Result<()> {
    Gallery::change(&args.gallery, |gallery| {
        if !gallery.iter().eq(measured.iter()) {
            return Err(Error::usage("another program changed the gallery meanwhile; calibrate it again"));
        }
        gallery.set_threshold(Some(threshold))
    })
}

fn to_text(calibration: &Calibration) -> String {
    let Calibration { threshold, errors, curve, known, unknown, .. } = calibration;
    let percent = |share: f32| format!("{:.1} %", share * 100.0);
    let row = |[a, b, c, d]: [String; 4]| format!("{a:>10}  {b:>13}  {c:>13}  {d:>12}");
    let line = |errors: &ThresholdErrors| {
        let shares = [errors.false_accepts, errors.false_rejects, errors.wrong].map(percent);
        let [accepts, rejects, wrong] = shares;
        row([format!("{:.4}", errors.threshold), accepts, rejects, wrong])
    };
    let mut lines = vec![
        format!("threshold  {threshold}"),
        format!("searches   {known} for something known, {unknown} for something unknown"),
        String::new(),
        row(["threshold", "false accepts", "false rejects", "wrong labels"].map(String::from)),
        format!("{}  <", line(errors)),
    ];
    lines.extend(curve.iter().map(line));
    lines.join("\n")
}

fn to_json(calibration: &Calibration) -> Value {
    let Calibration { threshold, errors, curve, known, unknown, .. } = calibration;
    let point = |errors: &ThresholdErrors| {
        json!({
            "threshold": errors.threshold, "false_accepts": errors.false_accepts, "false_rejects": errors.false_rejects,
            "wrong": errors.wrong,
        })
    };
    json!({
        "threshold": threshold, "errors": point(errors), "known": known, "unknown": unknown,
        "curve": curve.iter().map(point).collect::<Vec<_>>(),
    })
}
