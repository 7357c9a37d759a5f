//! The plan of a model that was read.

use super::{Dtype, Model};
use crate::engine::Plan;
use crate::{Error, Result};

impl Plan {
    /// The plan of a model that computes with `dtype` or, by default, with the type that the model's file is made for.
    /// Weights of type f16 are computed with as f32.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where i8 is asked for and the model has no calibration;
    /// as [`compile`](Self::compile) and [`quantize`](Self::quantize).
    pub fn of_model(model: &Model, dtype: Option<Dtype>) -> Result<Plan> {
        let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
        match (dtype, &model.calibration) {
            (None | Some(Dtype::I8), Some(calibration)) => plan.quantize(calibration),
            (Some(Dtype::I8), None) => Err(Error::usage(format!(
                "{} has not been calibrated, which computing with i8 needs; make a calibrated file with \
                 `image-feature model convert MODEL --dtype i8 --calibrate IMAGES --output FILE.safetensors`",
                model.description.name
            ))),
            (None | Some(Dtype::F32 | Dtype::F16), _) => Ok(plan),
        }
    }
}
