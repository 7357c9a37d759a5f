//! `image-feature model list`: PaddleX's official models.

use serde_json::json;

use crate::Result;
use crate::cli::official::OFFICIAL_MODELS;
use crate::cli::terminal::Stdout;

/// List PaddleX's official models: where their archives are, and which PaddleX has downloaded
#[derive(clap::Args)]
pub struct ListArgs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(args: ListArgs) -> Result<()> {
    let text = if args.json {
        let models = OFFICIAL_MODELS.iter().map(|model| {
            json!({
                "name": model.name,
                "network": model.network,
                "dimension": model.dimension,
                "archive": model.url(),
                "cached": model.cached().map(|folder| folder.to_string_lossy().into_owned()),
            })
        });
        format!("{:#}", serde_json::Value::from_iter(models))
    } else {
        let models = OFFICIAL_MODELS.iter().map(|model| {
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
        models.collect::<Vec<_>>().join("\n")
    };
    Stdout::default().line(&text)
}
