//! The state in which a run starts: random weights, pretrained ones, or a checkpoint.

use std::path::{Path, PathBuf};

use super::RunOptions;
use crate::error::Context;
use crate::tensors::Tensors;
use crate::train::earlier::stem;
use crate::train::initial::initial;
use crate::train::recipe::Recipe;
use crate::weights::checkpoint::{Progress, read_pdopt, read_pdstates};
use crate::weights::{Model, ModelLoader};
use crate::{Error, Result};

/// Weights and the state of the optimiser at the start of a run.
pub(super) struct Start {
    pub tensors: Tensors,
    /// `None` in a new run.
    pub velocities: Option<Tensors>,
    pub epochs_done: usize,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl Start {
    /// Reads the files that the options name. Without one, weights are random.
    pub fn of(recipe: &Recipe, options: &RunOptions) -> Result<Self> {
        if let Some(path) = &options.resume {
            return Start::resumed(path, recipe);
        }
        let mut tensors = initial(&recipe.model.network, recipe.classes, recipe.seed);
        let notes = match &options.pretrained {
            Some(path) => take_over(path, recipe, &mut tensors)?,
            None => Vec::new(),
        };
        Ok(Start { tensors, velocities: None, epochs_done: 0, notes })
    }

    fn resumed(path: &Path, recipe: &Recipe) -> Result<Self> {
        let kept = Kept::read(path, recipe)?;
        if kept.progress.epoch >= recipe.epochs {
            return Err(Error::usage(format!(
                "{}: its {} epochs are done; ask for more than {} to continue",
                path.display(),
                kept.progress.epoch,
                recipe.epochs
            )));
        }
        Ok(Start {
            tensors: kept.model.tensors,
            velocities: Some(kept.velocities),
            epochs_done: kept.progress.epoch,
            notes: Vec::new(),
        })
    }
}

/// A checkpoint to continue.
struct Kept {
    model: Model,
    velocities: Tensors,
    progress: Progress,
}

impl Kept {
    fn read(path: &Path, recipe: &Recipe) -> Result<Self> {
        let stem = stem(path)?;
        let in_file = |extension: &str| format!("{}.{extension}", stem.display());
        let read = |extension: &str| {
            let path = PathBuf::from(in_file(extension));
            std::fs::read(&path).context(|| path.display().to_string())
        };
        let (pdparams, pdopt, pdstates) = (read("pdparams")?, read("pdopt")?, read("pdstates")?);
        let mut model = ModelLoader::new().with_head().from_bytes(&in_file("pdparams"), &pdparams)?;
        if model.classes != Some(recipe.classes) {
            return Err(Error::model(format!(
                "{}: it has {} classes, but {} are asked for",
                in_file("pdparams"),
                model.classes.unwrap_or(0),
                recipe.classes
            )));
        }
        // the file holds weights only; name and preprocessing are the recipe's
        model.description = recipe.model.clone();
        let network = &recipe.model.network;
        if let Some(other) = network
            .parameters(model.form, model.classes)
            .into_iter()
            .find(|parameter| model.tensors.get(&parameter.name).is_some_and(|tensor| tensor.shape != parameter.shape))
        {
            return Err(Error::model(format!(
                "{}: `{}` is of another network than {}; ask for the one that the run was begun with, by --model, --width and \
                 --embedding: its config.yaml says which",
                in_file("pdparams"),
                other.name,
                recipe.model.name
            )));
        }
        let velocities = read_pdopt(&pdopt, &pdparams, &model).context(|| in_file("pdopt"))?;
        let progress = read_pdstates(&pdstates).context(|| in_file("pdstates"))?;
        Ok(Kept { model, velocities, progress })
    }
}

/// Replaces random weights by those of a file. Gives a note if some tensors keep random values.
fn take_over(path: &Path, recipe: &Recipe, tensors: &mut Tensors) -> Result<Vec<String>> {
    let loader = ModelLoader::new().with_head();
    let given = path.to_path_buf();
    let with_extension = PathBuf::from(format!("{}.pdparams", path.display()));
    let path = if !given.exists() && with_extension.exists() { with_extension } else { given };
    let model = loader.open(&path)?;
    let shown = path.display();
    if model.form != recipe.model.network.training_form() {
        return Err(Error::model(format!(
            "{shown}: an exported model cannot be trained, because its branches are fused; give the .pdparams of its training"
        )));
    }
    let names: Vec<String> = tensors.iter().map(|(name, _)| name.to_string()).collect();
    let (mut taken, mut left) = (0, Vec::new());
    for name in names {
        match model.tensors.get(&name) {
            Some(tensor) if tensors.get(&name).is_some_and(|own| own.shape == tensor.shape) => {
                tensors.insert(name, tensor.clone());
                taken += 1;
            }
            _ => left.push(name),
        }
    }
    if taken == 0 {
        return Err(Error::model(format!("{shown}: none of its tensors fits {}", recipe.model.name)));
    }
    Ok(match left.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "{shown}: {} of {} tensors have another shape or are missing, such as `{first}`; they start at random",
            left.len(),
            left.len() + taken
        )],
    })
}
