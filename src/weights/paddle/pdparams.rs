//! `.pdparams`: the weights of a training run, by their structured names.

use std::collections::HashMap;

use crate::Result;
use crate::weights::element::RawTensor;
use crate::weights::model::Model;
use crate::weights::named;
use crate::weights::origin::{Format, Origin};
use crate::weights::pickle;
use crate::weights::published::{default_description, published_name};

/// Reads a model. `keep_head` keeps the classification head.
pub(in crate::weights) fn read(bytes: &[u8], keep_head: bool) -> Result<Model> {
    let arrays = pickle::read(bytes)?;
    let by_name: HashMap<&str, &RawTensor> = arrays.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let identified = named::identify(&by_name, None)?;
    let mut origin = Origin::new(Format::Pdparams);
    let description = default_description(identified.network.clone());
    origin.notes.push(format!(
        "a .pdparams holds weights only: name and preprocessing are those of {}",
        published_name(&description)
    ));
    let tensors = named::collect(&by_name, &identified, keep_head, &mut origin)?;
    Ok(Model {
        description,
        form: identified.form,
        classes: identified.classes.filter(|_| keep_head),
        tensors,
        calibration: None,
        origin,
    })
}
