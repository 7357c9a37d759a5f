//! `inference.yml` of a detector, which has another form: a list of steps with a `type`, the labels, a threshold.
//!
//! Its section `NMS` is not read: the exporter writes other numbers there than those in the graph, which count.

use serde_json::Value;

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::picodet::PicoDetConfig;
use crate::model::{ModelDescription, Network};
use crate::weights::limits;
use crate::{Error, Result};

/// The content of a detector's `inference.yml`.
#[derive(Debug)]
pub(in crate::weights::paddle) struct Settings {
    pub model_name: String,
    preprocess: Preprocess,
    labels: Vec<String>,
    threshold: Option<f32>,
}

const STEPS: &str = "Resize, NormalizeImage and Permute in this order are read";

pub(in crate::weights::paddle) fn read(bytes: &[u8]) -> Result<Settings> {
    let (root, model_name) = super::parse(bytes)?;
    let list = |name: &str| {
        root.get(name).and_then(Value::as_array).ok_or_else(|| Error::model(format!("`{name}` is no list, or missing")))
    };
    let label = |label: &Value| match label {
        Value::String(label) => Ok(label.clone()),
        other => Err(Error::model(format!("label_list: `{other}` is no name"))),
    };
    let labels = list("label_list")?.iter().map(label).collect::<Result<_>>()?;
    let preprocess = preprocess(list("Preprocess")?).map_err(|error| error.context("Preprocess"))?;
    limits::check_preprocess(&preprocess)?;
    let threshold = match root.get("draw_threshold") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value.as_f64().ok_or_else(|| Error::model(format!("`draw_threshold` is `{value}`; expected a number")))?
                as f32,
        ),
    };
    Ok(Settings { model_name, preprocess, labels, threshold })
}

impl Settings {
    /// The description of a graph's network with these settings.
    ///
    /// # Errors
    /// `Model` where they do not fit the graph.
    pub fn describe(self, network: Network) -> Result<ModelDescription> {
        let Settings { model_name: name, preprocess, labels, threshold } = self;
        let Network::PicoDet(config) = network else {
            return Err(Error::internal("settings of a detector for another network"));
        };
        if labels.len() != config.labels.len() {
            return Err(Error::model(format!(
                "`label_list` has {} names; the graph has {} classes",
                labels.len(),
                config.labels.len()
            )));
        }
        let [height, width] = config.input;
        if preprocess.output_size(1, 1)? != (width, height) {
            return Err(Error::model(format!(
                "images are resized by {:?}; the graph takes {width}x{height}",
                preprocess.resize
            )));
        }
        let threshold = threshold.unwrap_or(config.threshold);
        let config = PicoDetConfig { labels, threshold, ..config };
        limits::check_picodet(&config)?;
        Ok(ModelDescription { name, network: Network::PicoDet(config), preprocess })
    }
}

fn preprocess(steps: &[Value]) -> Result<Preprocess> {
    let [first, second, third] = steps else {
        return Err(Error::unsupported(format!("{} steps; {STEPS}", steps.len())));
    };
    for (step, expected) in [(first, "Resize"), (second, "NormalizeImage"), (third, "Permute")] {
        match step.get("type").and_then(Value::as_str) {
            Some(kind) if kind == expected => {}
            Some(kind) => return Err(Error::unsupported(format!("`{kind}` in place of `{expected}`; {STEPS}"))),
            None => return Err(Error::model(format!("`{step}` has no `type`"))),
        }
    }
    let preprocess = Preprocess {
        resize: resize(first).map_err(|error| error.context("Resize"))?,
        normalize: normalize(second).map_err(|error| error.context("NormalizeImage"))?,
    };
    Ok(preprocess)
}

fn resize(step: &Value) -> Result<Resize> {
    if step.get("keep_ratio").and_then(Value::as_bool) == Some(true) {
        return Err(Error::unsupported("`keep_ratio` is true; images that are stretched are read"));
    }
    let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
    let sides = step.get("target_size").and_then(Value::as_array).filter(|sides| sides.len() == 2);
    let sides = sides.and_then(|sides| Some((side(&sides[0])?, side(&sides[1])?)));
    let (height, width) = sides.ok_or_else(|| Error::model("`target_size` is not a height and a width in pixels"))?;
    // OpenCV's numbers
    match step.get("interp").and_then(Value::as_i64) {
        Some(1) => Ok(Resize::Stretch { width, height }),
        Some(2) => Ok(Resize::StretchCubic { width, height }),
        _ => Err(Error::unsupported("`interp` is neither 1 (bilinear) nor 2 (bicubic)")),
    }
}

fn normalize(step: &Value) -> Result<Normalize> {
    let triple = |name: &str| {
        let numbers = step.get(name).and_then(Value::as_array);
        let numbers: Option<Vec<f64>> = numbers.and_then(|list| list.iter().map(Value::as_f64).collect());
        let numbers = numbers.and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
        numbers.ok_or_else(|| Error::model(format!("`{name}` is not three numbers")))
    };
    if let Some(kind) = step.get("norm_type").filter(|kind| !kind.is_null() && *kind != "mean_std") {
        return Err(Error::unsupported(format!("`norm_type` is `{kind}`; `mean_std` is read")));
    }
    let scale = match step.get("is_scale").and_then(Value::as_bool) {
        Some(false) => 1.0,
        _ => 1.0 / 255.0,
    };
    Ok(Normalize { scale, mean: triple("mean")?, std: triple("std")? })
}
