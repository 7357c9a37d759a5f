//! The state of a training run in Paddle's three files: `.pdparams`, `.pdopt`, `.pdstates`.

use std::collections::HashMap;

use super::internal_names::internal_names;
use super::pickle_writer::{Object, write};
use crate::model::{Parameter, Role};
use crate::tensors::{Tensor, Tensors};
use crate::weights::model::Model;
use crate::weights::{named, pickle};
use crate::{Error, Result};

/// Key of the entry with the internal name of each parameter.
const INTERNAL_NAMES: &str = "StructuredToParameterName@@";
const VELOCITY: &str = "_velocity_0";

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Progress {
    /// Number of finished epochs.
    pub epoch: usize,
    /// The metric of the last evaluation.
    pub metric: f64,
}

/// The state of Paddle's scheduler of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Number of finished steps.
    pub steps: usize,
    /// Number of steps before the cosine begins.
    pub warm_up: usize,
    /// The learning rate of the next step.
    pub rate: f64,
}

fn parameters(model: &Model) -> (Vec<Parameter>, Vec<String>) {
    let parameters = model.description.network.parameters(model.form, model.classes);
    let names = internal_names(&model.description.network, &parameters);
    (parameters, names)
}

/// The bytes of a `.pdparams`: the weights and their internal names.
pub(crate) fn pdparams(model: &Model) -> Vec<u8> {
    let (parameters, names) = parameters(model);
    let mut entries: Vec<(&str, Object)> = model
        .tensors
        .iter()
        .map(|(name, tensor)| (name, Object::Array { shape: &tensor.shape, values: &tensor.values }))
        .collect();
    let names = parameters.iter().zip(&names).map(|(parameter, name)| (parameter.name.as_str(), Object::Text(name)));
    entries.push((INTERNAL_NAMES, Object::Dict(names.collect())));
    write(&Object::Dict(entries))
}

/// The bytes of a `.pdopt`: the velocities and the state of the scheduler.
pub(crate) fn pdopt(model: &Model, velocities: &Tensors, rate: Rate) -> Vec<u8> {
    let (parameters, names) = parameters(model);
    let names: Vec<String> = names.iter().map(|name| format!("{name}{VELOCITY}")).collect();
    let mut entries: Vec<(&str, Object)> = parameters
        .iter()
        .zip(&names)
        .filter_map(|(parameter, name)| {
            let Tensor { shape, values } = velocities.get(&parameter.name)?;
            Some((name.as_str(), Object::Array { shape, values }))
        })
        .collect();
    let steps = |steps: usize| [("last_epoch", Object::Int(steps as i64)), ("last_lr", Object::Float(rate.rate))];
    let mut scheduler = Vec::from(steps(rate.steps));
    if rate.warm_up > 0 {
        let cosine = steps(rate.steps.saturating_sub(rate.warm_up));
        scheduler.push(("LinearWarmup_LR", Object::Dict(cosine.into())));
    }
    entries.push(("LR_Scheduler", Object::Dict(scheduler)));
    write(&Object::List(vec![Object::Dict(entries)]))
}

/// The bytes of a `.pdstates`: the progress.
pub(crate) fn pdstates(progress: Progress) -> Vec<u8> {
    let Progress { epoch, metric } = progress;
    write(&Object::Dict(vec![("metric", Object::Float(metric)), ("epoch", Object::Int(epoch as i64))]))
}

/// The velocities of a `.pdopt`, by the parameters' structured names.
///
/// The file stores them by Paddle's internal names. `pdparams` is the file beside it, which has those names.
///
/// # Errors
/// [`Model`](crate::ErrorKind::Model) where a file is damaged, or no velocity belongs to the model.
pub(crate) fn read_pdopt(pdopt: &[u8], pdparams: &[u8], model: &Model) -> Result<Tensors> {
    let names: HashMap<&str, &str> = pickle::read_all(pdparams)?.names.into_iter().collect();
    let arrays = pickle::read_all(pdopt)?.arrays;
    let arrays: HashMap<&str, _> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    let (parameters, fresh) = parameters(model);
    let mut velocities = Tensors::new();
    for (parameter, fresh) in parameters.iter().zip(&fresh) {
        let name = names.get(parameter.name.as_str()).copied().unwrap_or(fresh);
        if let Some(array) = arrays.get(format!("{name}{VELOCITY}").as_str()) {
            let velocity = Parameter { role: Role::LinearWeight, ..parameter.clone() };
            velocities.insert(&parameter.name, named::widen(&velocity, array)?);
        }
    }
    if velocities.is_empty() {
        return Err(Error::model("none of the file's arrays is the velocity of a parameter of this model"));
    }
    Ok(velocities)
}

/// The progress in a `.pdstates`.
///
/// # Errors
/// [`Model`](crate::ErrorKind::Model) where the file is damaged, or has no epoch.
pub(crate) fn read_pdstates(bytes: &[u8]) -> Result<Progress> {
    let numbers: HashMap<&str, f64> = pickle::read_all(bytes)?.numbers.into_iter().collect();
    let epoch = numbers.get("epoch").copied().filter(|epoch| *epoch >= 0.0 && *epoch < 1e9 && epoch.fract() == 0.0);
    let epoch = epoch.ok_or_else(|| Error::model("the file does not say which epoch it is of"))?;
    Ok(Progress { epoch: epoch as usize, metric: numbers.get("metric").copied().unwrap_or(f64::NAN) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back() {
        for progress in [Progress { epoch: 3, metric: 0.972 }, Progress { epoch: 100_000, metric: 0.0 }] {
            assert_eq!(read_pdstates(&pdstates(progress)).unwrap(), progress);
        }
        assert!(read_pdstates(b"\x80\x04}.").unwrap_err().is_model());
    }
}
