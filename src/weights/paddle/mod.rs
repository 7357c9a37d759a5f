//! PaddlePaddle's files, read and written without Paddle.
//!
//! An exported model is a graph (`inference.json`, or the older `inference.pdmodel`), the values of its parameters in
//! the order of their internal names (`inference.pdiparams`), and `inference.yml`. Internal names differ between
//! exports, so a parameter is identified by its place in the graph. Both kinds of graph are lowered to the same [list
//! of ops](op::Program), and [`graph`] compares that list with the known networks.

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
#[cfg(feature = "train")]
mod pickle_writer;
mod pir;
mod program;
mod yaml;
#[cfg(not(target_arch = "wasm32"))]
mod yaml_writer;

#[cfg(feature = "train")]
pub use self::yaml::parse as parse_yaml;
#[cfg(feature = "train")]
pub(crate) use self::yaml_writer::dump as dump_yaml;
use super::files::File;
use super::model::Model;
use super::origin::{Format, Origin};
use super::published::{default_description, published_name};
use super::{limits, named};
use crate::error::Context;
use crate::image::Resize;
use crate::model::lcnet_v2::Form;
use crate::model::{ModelDescription, Network};
use crate::tensors::Tensors;
use crate::{Error, Result};

/// The files of one exported model.
pub(super) struct Exported<'f> {
    graph: &'f File<'f>,
    format: Format,
    /// `None` where the file is missing. That is reported only for a graph of a supported network.
    params: Option<&'f File<'f>>,
    yml: Option<&'f File<'f>>,
}

impl<'f> Exported<'f> {
    /// The files of an exported model among `files`, given by their indices.
    ///
    /// # Errors
    /// Where there is no graph.
    pub fn of(
        files: &'f [File<'f>],
        pir: Option<usize>,
        program: Option<usize>,
        params: Option<usize>,
        yml: Option<usize>,
    ) -> Result<Self> {
        let file = |index: usize| &files[index];
        let (graph, format) = match (pir, program) {
            (Some(graph), _) => (file(graph), Format::Pir),
            (None, Some(graph)) => (file(graph), Format::Program),
            (None, None) => {
                let params = params.map_or("", |index| &files[index].name);
                let stem = params.rsplit_once('.').map_or(params, |(stem, _)| stem);
                return Err(Error::model(format!(
                    "`{stem}.json` (or `{stem}.pdmodel`) is missing: the graph names the weights that `{params}` holds"
                )));
            }
        };
        Ok(Exported { graph, format, params: params.map(file), yml: yml.map(file) })
    }
}

/// Reads an exported model.
pub(super) fn read(files: &Exported) -> Result<Model> {
    let &Exported { graph, format, params, yml } = files;
    let in_graph = || graph.name.clone();
    limits::check_size("the graph", graph.bytes.len() as u64, limits::GRAPH_BYTES).context(in_graph)?;
    let program = match format {
        Format::Pir => pir::read(&graph.bytes),
        _ => program::read(&graph.bytes),
    }
    .context(in_graph)?;
    let graph::Mapping { network, input, parameters, constants } = graph::map(&program).context(in_graph)?;
    let params = params.ok_or_else(|| {
        let name = graph.name.rsplit_once('.').map_or(&graph.name[..], |(stem, _)| stem);
        Error::model(format!("`{name}.pdiparams` is missing: it holds the weights of `{}`", graph.name))
    })?;

    let mut origin = Origin::new(format);
    let description = match yml {
        Some(yml) if matches!(network, Network::PicoDet(_)) => detector(yml, network)?,
        Some(yml) => described(yml, network, input, &mut origin)?,
        None => undescribed(network, input, &mut origin).context(in_graph)?,
    };

    let in_params = || params.name.clone();
    let raw = pdiparams::read(&params.bytes, &program.parameters).context(in_params)?;
    constants.iter().try_for_each(|constant| constant.check(&raw)).context(in_params)?;
    let mut tensors = Tensors::new();
    for (parameter, index) in description.network.parameters(Form::Deploy, None).into_iter().zip(parameters) {
        let tensor = named::widen(&parameter, &raw[index]).context(in_params)?;
        origin.remember_element(&parameter.name, raw[index].element);
        tensors.insert(parameter.name, tensor);
    }
    Ok(Model { description, form: Form::Deploy, classes: None, tensors, calibration: None, origin })
}

/// The description of a graph's network with an `inference.yml`. `declared` is the input size in the graph, if it has
/// one.
fn described(
    yml: &File,
    network: Network,
    declared: Option<[usize; 2]>,
    origin: &mut Origin,
) -> Result<ModelDescription> {
    let in_yml = || yml.name.clone();
    let settings = inference_yml::read(&yml.bytes).context(in_yml)?;
    inference_yml::check_name(&settings.model_name, &network).context(in_yml)?;
    let input = match settings.preprocess.resize {
        Resize::Stretch { width, height } | Resize::StretchCubic { width, height } => [height, width],
        Resize::ShortSide(side) => [side, side],
    };
    limits::check_input(input).context(in_yml)?;
    if !settings.normalize_features {
        origin
            .notes
            .push(format!("{} does not ask for normalised features; they are normalised here anyway", yml.name));
    }
    let network = network.with_input(input).context(in_yml)?;
    if let Some(declared) = declared.filter(|&declared| declared != input) {
        origin.notes.push(format!(
            "images are resized to {}x{} as {} says; the graph was exported for {}x{}",
            input[1], input[0], yml.name, declared[1], declared[0]
        ));
    }
    Ok(ModelDescription { name: settings.model_name, network, preprocess: settings.preprocess })
}

/// The description of a detector with an `inference.yml`.
fn detector(yml: &File, network: Network) -> Result<ModelDescription> {
    let in_yml = || yml.name.clone();
    let settings = inference_yml::detector(&yml.bytes).context(in_yml)?;
    inference_yml::check_name(&settings.model_name, &network).context(in_yml)?;
    settings.describe(network).context(in_yml)
}

/// The description of a graph's network without an `inference.yml`.
fn undescribed(network: Network, declared: Option<[usize; 2]>, origin: &mut Origin) -> Result<ModelDescription> {
    let network = match declared {
        Some(input) => {
            limits::check_input(input)?;
            network.with_input(input)?
        }
        None => network,
    };
    let description = default_description(network);
    origin.notes.push(format!(
        "there is no inference.yml: name and preprocessing are those of {}",
        published_name(&description)
    ));
    Ok(description)
}
