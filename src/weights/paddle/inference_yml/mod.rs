//! `inference.yml` of a feature model: the name, its preprocessing, and whether features are normalised.

use serde_json::{Map, Value};

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::Network;
use crate::weights::limits;
use crate::weights::published::{PUBLISHED, PUBLISHED_DETECTOR, PUBLISHED_VIT};
use crate::{Error, Result};

mod detector;

pub(super) use detector::read as detector;

/// The content of an `inference.yml`.
#[derive(Debug)]
pub(super) struct Settings {
    pub model_name: String,
    pub preprocess: Preprocess,
    /// Whether features are divided by their length.
    pub normalize_features: bool,
}

const TRANSFORMS: &str = "ResizeImage, NormalizeImage and ToCHWImage are known";

pub(super) fn read(bytes: &[u8]) -> Result<Settings> {
    let (root, model_name) = parse(bytes)?;
    let transforms = root
        .get("PreProcess")
        .and_then(|section| section.get("transform_ops"))
        .and_then(Value::as_array)
        .ok_or_else(|| Error::model("`PreProcess.transform_ops` is missing"))?;
    Ok(Settings {
        model_name,
        preprocess: preprocess(transforms).map_err(|error| error.context("PreProcess.transform_ops"))?,
        normalize_features: normalize_features(root.get("PostProcess"))
            .map_err(|error| error.context("PostProcess"))?,
    })
}

/// The file's content, and the model's name in it.
fn parse(bytes: &[u8]) -> Result<(Value, String)> {
    limits::check_size("the file", bytes.len() as u64, limits::YML_BYTES)?;
    let root =
        super::yaml::parse(bytes).map_err(|error| error.context("this is not the YAML of an inference model"))?;
    let model_name = root.get("Global").and_then(|global| global.get("model_name")).and_then(Value::as_str);
    let model_name = model_name.ok_or_else(|| Error::model("`Global.model_name` is missing"))?.to_string();
    limits::check_name(&model_name)?;
    Ok((root, model_name))
}

/// Refuses the name of a model that has another network than the graph.
pub(super) fn check_name(name: &str, network: &Network) -> Result<()> {
    let is_vit = name.starts_with(PUBLISHED_VIT);
    let (fits, graph) = match network {
        Network::LcNetV2(_) => (name.starts_with(PUBLISHED) && !is_vit, PUBLISHED),
        Network::Vit(_) => (is_vit, PUBLISHED_VIT),
        Network::PicoDet(_) => (name.starts_with(PUBLISHED_DETECTOR), PUBLISHED_DETECTOR),
        // never read from Paddle's files
        Network::EfficientNetLite(_) => (false, PUBLISHED),
    };
    if fits {
        return Ok(());
    }
    Err(Error::model(format!(
        "`Global.model_name` is `{name}`, but the graph is that of {graph}: the files do not belong together"
    )))
}

fn preprocess(transforms: &[Value]) -> Result<Preprocess> {
    let mut resize = None;
    let mut normalize = None;
    let mut channels_first = false;
    for transform in transforms {
        let (name, arguments) =
            transform.as_object().filter(|entry| entry.len() == 1).and_then(|entry| entry.iter().next()).ok_or_else(
                || Error::model(format!("`{transform}` is not the name of a transform with its arguments")),
            )?;
        let none = Map::new();
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            Value::Null => &none,
            other => return Err(Error::model(format!("{name} has arguments `{other}`; expected names and values"))),
        };
        let in_transform = |error: Error| error.context(name.clone());
        match &name[..] {
            "ResizeImage" if normalize.is_none() && !channels_first => {
                set(&mut resize, self::resize(arguments)).map_err(in_transform)?
            }
            "NormalizeImage" if !channels_first => {
                set(&mut normalize, self::normalize(arguments)).map_err(in_transform)?
            }
            "ToCHWImage" => channels_first = true,
            "ResizeImage" | "NormalizeImage" => {
                return Err(Error::unsupported(format!(
                    "{name} comes too late; expected ResizeImage, NormalizeImage, ToCHWImage in this order"
                )));
            }
            "CropImage" => {
                return Err(Error::unsupported(format!(
                    "CropImage is not supported: models of this family stretch the whole image; {TRANSFORMS}"
                )));
            }
            _ => return Err(Error::unsupported(format!("transform `{name}` is not known; {TRANSFORMS}"))),
        }
    }
    let missing = |name: &str| Error::model(format!("{name} is missing"));
    if !channels_first {
        return Err(missing("ToCHWImage"));
    }
    let preprocess = Preprocess {
        resize: resize.ok_or_else(|| missing("ResizeImage"))?,
        normalize: normalize.ok_or_else(|| missing("NormalizeImage"))?,
    };
    limits::check_preprocess(&preprocess)?;
    Ok(preprocess)
}

fn set<T>(slot: &mut Option<T>, value: Result<T>) -> Result<()> {
    match slot.replace(value?) {
        None => Ok(()),
        Some(_) => Err(Error::unsupported("is there twice")),
    }
}

/// Ignores `interpolation` and `backend`, as PaddleX does: it always interpolates bilinearly.
fn resize(arguments: &Map<String, Value>) -> Result<Resize> {
    let size = arguments.get("size").filter(|value| !value.is_null());
    let short = arguments.get("resize_short").filter(|value| !value.is_null());
    let side = |value: &Value| {
        value
            .as_u64()
            .and_then(|side| usize::try_from(side).ok())
            .ok_or_else(|| Error::model(format!("`{value}` is not a number of pixels")))
    };
    match (size, short) {
        (Some(Value::Array(sides)), None) => match &sides[..] {
            [width, height] => Ok(Resize::Stretch { width: side(width)?, height: side(height)? }),
            _ => Err(Error::model(format!("`size` has {} numbers; expected width and height", sides.len()))),
        },
        (Some(value), None) => side(value).map(|side| Resize::Stretch { width: side, height: side }),
        (None, Some(value)) => side(value).map(Resize::ShortSide),
        _ => Err(Error::model("expected either `size` or `resize_short`")),
    }
}

fn normalize(arguments: &Map<String, Value>) -> Result<Normalize> {
    let default = Normalize::default();
    let triple = |name: &str, default: [f64; 3]| match arguments.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let numbers: Option<Vec<f64>> = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
            numbers
                .and_then(|numbers| numbers.try_into().ok())
                .ok_or_else(|| Error::model(format!("`{name}` is `{value}`; expected three numbers")))
        }
    };
    match arguments.get("order").and_then(Value::as_str) {
        None | Some("" | "hwc") => {}
        Some(order) => return Err(Error::unsupported(format!("`order` is `{order}`; `hwc` is supported"))),
    }
    match arguments.get("channel_num").filter(|value| !value.is_null()) {
        None => {}
        Some(channels) if channels.as_u64() == Some(3) => {}
        Some(channels) => return Err(Error::unsupported(format!("`channel_num` is `{channels}`; 3 is supported"))),
    }
    Ok(Normalize {
        scale: arguments.get("scale").map_or(Ok(default.scale), scale)?,
        mean: triple("mean", default.mean)?,
        std: triple("std", default.std)?,
    })
}

/// A number, or a quotient in a string as PaddleClas writes it: `1.0/255.0`.
fn scale(value: &Value) -> Result<f64> {
    let parsed = match value {
        Value::Null => Some(Normalize::default().scale),
        Value::String(text) => match text.split_once('/') {
            Some((numerator, denominator)) => {
                (|| Some(numerator.trim().parse::<f64>().ok()? / denominator.trim().parse::<f64>().ok()?))()
            }
            None => text.trim().parse().ok(),
        },
        other => other.as_f64(),
    };
    parsed
        .ok_or_else(|| Error::model(format!("`scale` is `{value}`; expected a number or a quotient such as 1.0/255.0")))
}

fn normalize_features(section: Option<&Value>) -> Result<bool> {
    let section = match section {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Object(section)) => section,
        Some(other) => return Err(Error::model(format!("`{other}`; expected NormalizeFeatures"))),
    };
    match section.keys().find(|name| *name != "NormalizeFeatures") {
        Some(name) => Err(Error::unsupported(format!("`{name}` is not known; NormalizeFeatures is"))),
        None => Ok(!section.is_empty()),
    }
}
