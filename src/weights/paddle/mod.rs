//! The files of PaddlePaddle, read without it.
//!
//! An exported model is a graph (`inference.json`, or the older `inference.pdmodel`), the parameters' values in the
//! order of the graph's internal names (`inference.pdiparams`), and `inference.yml`. Internal names change from one
//! export to the next, so a parameter is known by its place in the graph: both kinds of graph are lowered to the same
//! [list of ops](op::Program), which [`graph`] compares with the network it should be.

#[cfg(feature = "train")]
pub(crate) mod checkpoint;
#[cfg(not(target_arch = "wasm32"))]
pub(super) mod export;
mod graph;
mod inference_yml;
#[cfg(not(target_arch = "wasm32"))]
mod internal_names;
mod op;
mod pdiparams;
pub(super) mod pdparams;
mod pickle;
#[cfg(feature = "train")]
mod pickle_writer;
mod pir;
mod program;
mod yaml;
#[cfg(not(target_arch = "wasm32"))]
mod yaml_writer;

pub use self::yaml::parse as parse_yaml;
#[cfg(feature = "train")]
pub(crate) use self::yaml_writer::dump as dump_yaml;
use super::files::File;
use super::model::{Format, Model, Origin};
use super::{Tensors, limits, named};
use crate::error::Context;
use crate::image::Resize;
use crate::model::ModelDescription;
use crate::model::lcnet_v2::Form;
use crate::weights::{default_description, published};
use crate::{Error, Result};

/// The files of one exported model.
pub(super) struct Exported<'f> {
    pub graph: &'f File<'f>,
    pub format: Format,
    /// `None` where the file is missing: reported only when the graph is one we read.
    pub params: Option<&'f File<'f>>,
    pub yml: Option<&'f File<'f>>,
}

/// Reads an exported model.
pub(super) fn read(files: &Exported) -> Result<Model> {
    let Exported { graph, format, params, yml } = files;
    let in_graph = || graph.name.clone();
    limits::check_size("the graph", graph.bytes.len() as u64, limits::GRAPH_BYTES).context(in_graph)?;
    let program = match format {
        Format::Pir => pir::read(&graph.bytes),
        _ => program::read(&graph.bytes),
    }
    .context(in_graph)?;
    let mapping = graph::map(&program).context(in_graph)?;
    let params = params.ok_or_else(|| {
        let name = graph.name.rsplit_once('.').map_or(&graph.name[..], |(stem, _)| stem);
        Error::model(format!("`{name}.pdiparams` is missing: it holds the weights of `{}`", graph.name))
    })?;

    let mut origin = Origin::new(*format);
    let graph::Mapping { network, input: declared, parameters } = mapping;
    let description = match yml {
        Some(yml) => {
            let in_yml = || yml.name.clone();
            let settings = inference_yml::read(&yml.bytes).context(in_yml)?;
            inference_yml::check_name(&settings.model_name, &network).context(in_yml)?;
            let input = match settings.preprocess.resize {
                Resize::Stretch { width, height } => [height, width],
                Resize::ShortSide(side) => [side, side],
            };
            limits::check_input(input).context(in_yml)?;
            if !settings.normalize_features {
                origin.notes.push(format!(
                    "{} does not ask for normalised features; they are normalised here all the same",
                    yml.name
                ));
            }
            let network = network.with_input(input).context(in_yml)?;
            if let Some(declared) = declared.filter(|&declared| declared != input) {
                origin.notes.push(format!(
                    "images are resized to {}x{} as {} says; the graph was exported for {}x{}",
                    input[1], input[0], yml.name, declared[1], declared[0]
                ));
            }
            ModelDescription { name: settings.model_name, network, preprocess: settings.preprocess }
        }
        None => {
            let network = match declared {
                Some(input) => {
                    limits::check_input(input).context(in_graph)?;
                    network.with_input(input).context(in_graph)?
                }
                None => network,
            };
            let description = default_description(network);
            origin.notes.push(format!(
                "there is no inference.yml: name and preprocessing are those of {}",
                published(&description)
            ));
            description
        }
    };

    let in_params = || params.name.clone();
    let raw = pdiparams::read(&params.bytes, &program.parameters).context(in_params)?;
    let mut tensors = Tensors::new();
    for (parameter, index) in description.network.parameters(Form::Deploy, None).into_iter().zip(parameters) {
        let tensor = named::widen(&parameter, &raw[index]).context(in_params)?;
        origin.remember_element(&parameter.name, raw[index].element);
        tensors.insert(parameter.name, tensor);
    }
    Ok(Model { description, form: Form::Deploy, classes: None, tensors, calibration: None, origin })
}
