//! `image-feature model list`: the models that have names.

use serde_json::json;

use crate::official::OFFICIAL_MODELS;
use crate::terminal::Stdout;
use image_feature::weights::DEFAULT_MODEL;
use image_feature::{Model, Result};

/// List the models that have names: the one in the box, and PaddleX's official ones, with where their archives are and
/// which PaddleX has downloaded
#[derive(clap::Args)]
pub struct ListArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(args: ListArgs) -> Result<()> {
    let bundled = Model::bundled()?;
    let text = if args.json {
        let description = bundled.description;
        let ours = json!({
            "name": DEFAULT_MODEL,
            "network": description.name,
            "dimension": description.dimension(),
            "archive": null,
            "cached": null,
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
        format!("{:#}", serde_json::Value::from_iter(std::iter::once(ours).chain(official)))
    } else {
        let ours = format!(
            "{DEFAULT_MODEL}\n  network    {}\n  dimension  {}\n  comes with the program",
            bundled.description.name,
            bundled.description.dimension()
        );
        let official = OFFICIAL_MODELS.iter().map(|model| {
            let cached = match model.cached() {
                Some(folder) => folder.display().to_string(),
                None => "no".into(),
            };
            format!(
                "{}\n  network    {}\n  dimension  {}\n  archive    {}\n  in PaddleX's cache  {cached}",
                model.name,
                model.network,
                model.dimension,
                model.url(),
            )
        });
        std::iter::once(ours).chain(official).collect::<Vec<_>>().join("\n")
    };
    Stdout::default().line(&text)
}
