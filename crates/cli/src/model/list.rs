//! `image-feature model list`: models with names.

use serde_json::json;

use crate::official::OFFICIAL_MODELS;
use crate::terminal::Stdout;
use image_feature::weights::{DEFAULT_MODEL, TINY_MODEL};
use image_feature::{Model, Result};

/// List the models that have names: those that come with the program, and PaddleX's official ones with the addresses of
/// their archives and their folders in PaddleX's cache
#[derive(clap::Args)]
pub struct ListArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(args: ListArgs) -> Result<()> {
    let bundled = [(DEFAULT_MODEL, Model::bundled()?), (TINY_MODEL, Model::tiny()?)];
    let text = if args.json {
        let ours = bundled.iter().map(|(name, Model { description, .. })| {
            json!({
                "name": name,
                "network": description.name,
                "dimension": description.dimension(),
                "archive": null,
                "cached": null,
            })
        });
        let official = OFFICIAL_MODELS.iter().map(|model| {
            json!({
                "name": model.name,
                "network": model.network,
                "dimension": model.dimension,
                "archive": model.url(),
                "cached": model.cached().map(|folder| folder.to_string_lossy().into_owned()),
            })
        });
        format!("{:#}", serde_json::Value::from_iter(ours.chain(official)))
    } else {
        let ours = bundled.iter().map(|(name, Model { description, .. })| {
            format!(
                "{name}\n  network    {}\n  dimension  {}\n  comes with the program",
                description.name,
                description.dimension()
            )
        });
        let official = OFFICIAL_MODELS.iter().map(|model| {
            let cached = match model.cached() {
                Some(folder) => folder.display().to_string(),
                None => "no".into(),
            };
            format!(
                "{}\n  network    {}\n  dimension  {}\n  archive    {}\n  in PaddleX's cache  {cached}",
                model.name,
                model.network,
                model.dimension.map_or("none: a detector".into(), |dimension| dimension.to_string()),
                model.url(),
            )
        });
        ours.chain(official).collect::<Vec<_>>().join("\n")
    };
    Stdout::default().line(&text)
}
