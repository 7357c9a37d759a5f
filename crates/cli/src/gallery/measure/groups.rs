//! `image-feature gallery groups`.

use std::path::PathBuf;

use serde_json::json;

use super::super::{label, open, parse_score};
use super::with_progress;
use crate::Outcome;
use crate::terminal::{Stdout, note, printable};
use image_feature::Result;
use image_feature::error::Context;
use image_feature::gallery::{Group, Hit};

/// Find groups of images that are near each other: copies and variants
///
/// Two images are in one group where their score reaches the threshold, or where others lead from one to the other. Each line has the
/// number of the group, the score beside the group's first image, the label and the id, separated by tabs.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery groups photos.safetensors --threshold 0.95
  image-feature gallery groups photos.safetensors --threshold 0.99 --json")]
pub struct GroupsArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// The least score of a pair; the largest where the metric is l2 or hamming
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = parse_score)]
    threshold: f32,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub fn groups(args: &GroupsArgs) -> Result<Outcome> {
    let gallery = open(&args.gallery)?;
    let groups = with_progress(gallery.len(), args.quiet, |tell| gallery.groups(args.threshold, tell))
        .context(|| args.gallery.display().to_string())?;
    let mut stdout = Stdout::default();
    for (number, group) in groups.iter().enumerate() {
        print(&mut stdout, number + 1, group, args.json)?;
    }
    if !args.quiet {
        let images: usize = groups.iter().map(|group| group.members.len()).sum();
        note(&format!("{} groups of {images} images, of {} in all", groups.len(), gallery.len()));
    }
    Ok(Outcome::Good)
}

fn print(stdout: &mut Stdout, number: usize, group: &Group, as_json: bool) -> Result<()> {
    if as_json {
        let member = |Hit { entry, score, .. }: &Hit| json!({ "id": entry.id, "label": entry.label, "score": score, "metadata": entry.metadata });
        let members: Vec<_> = group.members.iter().map(member).collect();
        return stdout.line(&json!({ "group": number, "members": members }).to_string());
    }
    group.members.iter().try_for_each(|Hit { entry, score, .. }| {
        let [label, id] = [label(entry), &entry.id].map(printable);
        stdout.line(&format!("{number}\t{score}\t{label}\t{id}"))
    })
}
