//! `image-feature model info`: what a model file holds.

use std::path::PathBuf;

use crate::open_model;
use crate::terminal::Stdout;
use image_feature::weights::ModelInfo;
use image_feature::{Error, Result};

/// Show what a model file holds
#[derive(clap::Args)]
pub struct InfoArgs {
    /// Model archive, folder, .pdparams or .safetensors, or a name as `image-feature model list` shows them
    #[arg(value_name = "PATH|NAME")]
    model: PathBuf,
    /// List each tensor with its shape and type
    #[arg(long)]
    tensors: bool,
    /// Print everything as one JSON object, the tensors too
    #[arg(long)]
    json: bool,
}

pub fn run(args: InfoArgs) -> Result<()> {
    let info = open_model(Some(&args.model))?.info();
    let text = if args.json {
        serde_json::to_string_pretty(&info)
            .map_err(|error| Error::internal(format!("the summary is no JSON: {error}")))?
    } else {
        table(&info, args.tensors)
    };
    Stdout::default().line(&text)
}

fn table(info: &ModelInfo, tensors: bool) -> String {
    let [height, width] = info.input_size;
    let preprocess = &info.preprocess;
    let channels = |values: [f64; 3]| values.map(|value| value.to_string()).join(", ");
    let mut rows = vec![
        ("name", info.name.clone()),
        ("format", info.format.to_string()),
        (
            "form",
            format!("{}{}", info.form, if info.form == "training" { " (branches; fused when it runs)" } else { "" }),
        ),
        ("network", info.network.clone()),
        ("dimension", info.dimension.to_string()),
        ("input", format!("3 x {height} x {width}")),
        ("classes", info.classes.map_or("no classification head".into(), |classes| classes.to_string())),
        ("parameters", format!("{} in {} tensors", info.parameters, info.tensors.len())),
        ("bytes", info.bytes.to_string()),
        ("resize", format!("{}, bilinear", preprocess.resize)),
        ("scale", preprocess.scale.to_string()),
        ("mean", channels(preprocess.mean)),
        ("std", channels(preprocess.std)),
    ];
    let listed = |name: &str, shape: &[usize], dtype: &str| format!("{name} {shape:?} {dtype}");
    rows.extend(info.skipped.iter().map(|tensor| ("left out", listed(&tensor.name, &tensor.shape, tensor.dtype))));
    rows.extend(info.notes.iter().map(|note| ("note", note.clone())));
    let mut lines: Vec<String> = rows.into_iter().map(|(name, value)| format!("{name:<11} {value}")).collect();
    if tensors {
        lines.push(String::new());
        lines.extend(info.tensors.iter().map(|tensor| listed(&tensor.name, &tensor.shape, tensor.dtype)));
    }
    lines.join("\n")
}
