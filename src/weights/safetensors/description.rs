//! The description of a model as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::picodet::{Nms, PicoDetConfig};
use crate::model::vit::VitConfig;
use crate::model::{ModelDescription, Network};
use crate::weights::info::form_name;
use crate::weights::model::Model;
use crate::weights::{limits, named};
use crate::{Error, Result};

/// Version of the description.
const VERSION: u32 = 1;

/// The JSON in the metadata.
#[derive(Serialize, Deserialize)]
pub(super) struct Description {
    pub version: u32,
    pub name: String,
    pub network: Value,
    pub form: FormEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    pub preprocess: PreprocessEntry,
}

const LCNET_V2: &str = "lcnet_v2";
const VIT: &str = "vit";
const EFFICIENTNET_LITE: &str = "efficientnet_lite";
const PICODET: &str = "picodet";

/// A network as JSON. Written by hand: derived code would be several times as large, which counts in a browser.
fn network_entry(network: &Network) -> Value {
    let mut entry = serde_json::Map::new();
    let mut set = |name: &str, value: Value| {
        entry.insert(name.into(), value);
    };
    let [height, width] = network.input_size();
    set("input", vec![height, width].into());
    set("embedding", network.dimension().into());
    match network {
        Network::PicoDet(config) => {
            set("type", PICODET.into());
            set("scale", config.scale.into());
            set("neck", config.neck.into());
            set("labels", config.labels.clone().into());
            set("threshold", config.threshold.into());
            set("nms", nms_entry(&config.nms));
        }
        Network::LcNetV2(config) => {
            set("type", LCNET_V2.into());
            set("scale", config.scale.into());
        }
        Network::Vit(config) => {
            set("type", VIT.into());
            set("average_class_token", config.average_class_token.into());
            for (name, size) in vit_sizes(&mut config.clone()) {
                set(name, (*size).into());
            }
        }
        Network::EfficientNetLite(config) => {
            set("type", EFFICIENTNET_LITE.into());
            set("width", config.width.into());
            set("depth", config.depth.into());
            if let Some(blocks) = config.kept_blocks {
                set("blocks", blocks.into());
            }
            set("neck", config.embedding.is_some().into());
        }
    }
    Value::Object(entry)
}

fn nms_entry(nms: &Nms) -> Value {
    let Nms { score, overlap, candidates, keep } = *nms;
    serde_json::json!({ "score": score, "overlap": overlap, "candidates": candidates, "keep": keep })
}

/// The detector of a JSON entry.
fn picodet(entry: &Value, input: [usize; 2]) -> Result<PicoDetConfig> {
    let missing =
        |name: &str| Error::model(format!("`network.{name}` is missing or of another kind than it should be"));
    let number = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_f64).ok_or_else(|| missing(name));
    let size = |entry: &Value, name: &str| {
        let size = entry.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| missing(name))
    };
    let labels = entry.get("labels").and_then(Value::as_array).ok_or_else(|| missing("labels"))?;
    let labels = labels.iter().map(|label| label.as_str().map(str::to_string)).collect::<Option<_>>();
    let nms = entry.get("nms").ok_or_else(|| missing("nms"))?;
    let config = PicoDetConfig {
        scale: number(entry, "scale")?,
        neck: size(entry, "neck")?,
        input,
        labels: labels.ok_or_else(|| missing("labels"))?,
        threshold: number(entry, "threshold")? as f32,
        nms: Nms {
            score: number(nms, "score")? as f32,
            overlap: number(nms, "overlap")? as f32,
            candidates: size(nms, "candidates")?,
            keep: size(nms, "keep")?,
        },
    };
    limits::check_picodet(&config)?;
    Ok(config)
}

/// The sizes that only a vision transformer has, by name.
fn vit_sizes(config: &mut VitConfig) -> [(&'static str, &mut usize); 6] {
    [
        ("patch", &mut config.patch),
        ("width", &mut config.width),
        ("depth", &mut config.depth),
        ("heads", &mut config.heads),
        ("hidden", &mut config.hidden),
        ("projection", &mut config.projection),
    ]
}

/// The network of a JSON entry. Its sizes are checked, so that it has a limited number of parameters.
fn network(entry: &Value) -> Result<Network> {
    let missing =
        |name: &str| Error::model(format!("`network.{name}` is missing or of another kind than it should be"));
    let whole = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok());
    let size = |name: &str| entry.get(name).and_then(whole).ok_or_else(|| missing(name));
    let input = entry.get("input").and_then(Value::as_array).filter(|sides| sides.len() == 2);
    let input = input.and_then(|sides| Some([whole(&sides[0])?, whole(&sides[1])?])).ok_or_else(|| missing("input"))?;
    let embedding = size("embedding")?;
    match entry.get("type").and_then(Value::as_str) {
        Some(LCNET_V2) => {
            let scale = entry.get("scale").and_then(Value::as_f64).ok_or_else(|| missing("scale"))?;
            limits::check_input(input)?;
            Ok(Network::LcNetV2(LcNetV2Config { scale, input, embedding }))
        }
        Some(VIT) => {
            let average = entry.get("average_class_token").and_then(Value::as_bool);
            let average_class_token = average.ok_or_else(|| missing("average_class_token"))?;
            let mut config = VitConfig { input, average_class_token, embedding, ..VitConfig::base() };
            for (name, value) in vit_sizes(&mut config) {
                *value = size(name)?;
            }
            limits::check_vit(&config)?;
            Ok(Network::Vit(config))
        }
        Some(EFFICIENTNET_LITE) => {
            let factor = |name: &str| {
                let value = entry.get(name).and_then(Value::as_f64).ok_or_else(|| missing(name))?;
                limits::check_factor(name, value).map(|()| value)
            };
            let (width, depth) = (factor("width")?, factor("depth")?);
            limits::check_input(input)?;
            let neck = entry.get("neck").and_then(Value::as_bool).ok_or_else(|| missing("neck"))?;
            let embedding_of_neck = neck.then_some(embedding);
            let whole = EfficientNetLiteConfig { width, depth, kept_blocks: None, input, embedding: embedding_of_neck };
            let config = match entry.get("blocks") {
                None => whole,
                Some(_) => limits::check_blocks(size("blocks")?, &whole).map(|blocks| whole.shortened(blocks))?,
            };
            if config.dimension() != embedding {
                return Err(Error::model(format!(
                    "`network.embedding` is {embedding}; without a neck it is {}",
                    config.dimension()
                )));
            }
            limits::check_embedding(embedding)?;
            Ok(Network::EfficientNetLite(config))
        }
        Some(PICODET) => picodet(entry, input).map(Network::PicoDet),
        Some(other) => Err(Error::model(format!(
            "a network of type `{other}`; `{LCNET_V2}`, `{VIT}`, `{EFFICIENTNET_LITE}` and `{PICODET}` are known"
        ))),
        None => Err(missing("type")),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FormEntry {
    Training,
    Deploy,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PreprocessEntry {
    resize: ResizeEntry,
    scale: f64,
    mean: [f64; 3],
    std: [f64; 3],
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResizeEntry {
    Stretch { width: usize, height: usize },
    StretchCubic { width: usize, height: usize },
    ShortSide(usize),
}

impl Description {
    pub fn of(model: &Model) -> Self {
        let Preprocess { resize, normalize } = &model.description.preprocess;
        Description {
            version: VERSION,
            name: model.description.name.clone(),
            network: network_entry(&model.description.network),
            form: match model.form {
                Form::Training => FormEntry::Training,
                Form::Deploy => FormEntry::Deploy,
            },
            classes: model.classes,
            preprocess: PreprocessEntry {
                resize: match *resize {
                    Resize::Stretch { width, height } => ResizeEntry::Stretch { width, height },
                    Resize::StretchCubic { width, height } => ResizeEntry::StretchCubic { width, height },
                    Resize::ShortSide(side) => ResizeEntry::ShortSide(side),
                },
                scale: normalize.scale,
                mean: normalize.mean,
                std: normalize.std,
            },
        }
    }
}

/// Reads the description in the metadata, and its network.
pub(super) fn described(json: &str) -> Result<(Description, Network)> {
    let header: Value = serde_json::from_str(json).map_err(|error| Error::model(error.to_string()))?;
    match header.get("version").and_then(|version| version.as_u64()) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(Error::unsupported(format!(
                "version {version} is not known; this program reads version {VERSION}"
            )));
        }
        None => return Err(Error::model("`version` is missing")),
    }
    let description: Description = serde_json::from_value(header).map_err(|error| Error::model(error.to_string()))?;
    limits::check_name(&description.name)?;
    let network = network(&description.network)?;
    Ok((description, network))
}

/// The description of a model, if it agrees with the network that its tensors have.
pub(super) fn check(
    description: Description,
    network: Network,
    identified: &named::Identified,
) -> Result<ModelDescription> {
    check_network(&network, &identified.network)?;
    let form = match description.form {
        FormEntry::Training => Form::Training,
        FormEntry::Deploy => Form::Deploy,
    };
    if form != identified.form {
        return Err(Error::model(format!(
            "the {} form is described; the tensors have the {} form",
            form_name(form),
            form_name(identified.form)
        )));
    }
    if description.classes.is_some() && description.classes != identified.classes {
        return Err(Error::model(format!(
            "a head of {} classes is described; the tensors have {}",
            description.classes.unwrap_or_default(),
            identified.classes.map_or("none".into(), |classes| classes.to_string())
        )));
    }
    let preprocess = description.preprocess.preprocess();
    limits::check_preprocess(&preprocess)?;
    Ok(ModelDescription { name: description.name, network, preprocess })
}

impl PreprocessEntry {
    fn preprocess(self) -> Preprocess {
        let PreprocessEntry { resize, scale, mean, std } = self;
        let resize = match resize {
            ResizeEntry::Stretch { width, height } => Resize::Stretch { width, height },
            ResizeEntry::StretchCubic { width, height } => Resize::StretchCubic { width, height },
            ResizeEntry::ShortSide(side) => Resize::ShortSide(side),
        };
        Preprocess { resize, normalize: Normalize { scale, mean, std } }
    }
}

/// Checks that the described network is the one that the tensors have.
fn check_network(described: &Network, told: &Network) -> Result<()> {
    match (described, told) {
        (&Network::LcNetV2(LcNetV2Config { scale, embedding, .. }), Network::LcNetV2(told)) => {
            // Several scales give the same widths. The scale is bounded before it is used.
            let sizes_agree = (0.001..=100.0).contains(&scale)
                && embedding == told.embedding
                && LcNetV2Config { scale, ..told.clone() }.blocks() == told.blocks();
            if sizes_agree {
                return Ok(());
            }
            Err(Error::model(format!(
                "a network of scale {scale} and embedding {embedding} is described; the tensors have scale {} and \
                 embedding {}",
                told.scale, told.embedding
            )))
        }
        (described, told) if described == told => Ok(()),
        _ => Err(Error::model("the network described is of another kind than the tensors")),
    }
}
