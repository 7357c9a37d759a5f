//! Plans that multiply 8-bit whole numbers.

use super::plan::{Activation, Operation, Plan, QuantizedWeights, Step, ValueId, Weights};
use crate::model::{Calibration, quantization};
use crate::weights::{Dtype, Model};
use crate::{Error, Result};

impl Plan {
    /// The plan of a model in the numbers it is to be computed with: those asked for, or, by default, those of its file.
    /// f16 is a way to keep weights; they are computed with as f32.
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

    /// Whether any of its layers is computed in 8-bit whole numbers.
    pub fn is_quantized(&self) -> bool {
        let quantized = |step: &Step| matches!(&step.operation, Operation::Pointwise { weights: Weights::I8(_), .. });
        self.steps.iter().any(quantized)
    }

    /// The plan with its 1x1 convolutions in 8-bit whole numbers: weights by output channel, activations as calibrated.
    ///
    /// Convolutions of a single pixel stay as they are, since there is nothing to gain, and so do those of maps that may hold
    /// negative numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the layer, where the calibration lacks one of the plan's layers
    /// or has one that the plan has not.
    pub fn quantize(mut self, calibration: &Calibration) -> Result<Plan> {
        let layers: Vec<usize> = self.quantizable().collect();
        let known = |name: &str| layers.iter().any(|&index| self.steps[index].name == name);
        if let Some((stranger, _)) = calibration.iter().find(|(name, _)| !known(name)) {
            return Err(Error::model(format!(
                "the calibration is of another network: it has a layer `{stranger}`, which {} has not",
                self.name
            )));
        }
        for index in layers {
            let step = &mut self.steps[index];
            let input_scales = calibration.scales(&step.name).ok_or_else(|| {
                Error::model(format!(
                    "the calibration lacks layer `{}` of {}; calibrate once more",
                    step.name, self.name
                ))
            })?;
            if let Operation::Pointwise { weights, bias, .. } = &mut step.operation
                && let Weights::F32(values) = weights
            {
                let inner = values.len() / bias.len();
                if input_scales.len() != inner {
                    return Err(Error::model(format!(
                        "the calibration of layer `{}` has {} scales for an input of {inner} channels; calibrate once more",
                        step.name,
                        input_scales.len()
                    )));
                }
                quantization::scale_columns(values, input_scales.iter().copied(), inner);
                let (values, scales) = quantization::quantize(values, inner);
                let input_scales = input_scales.to_vec();
                *weights = Weights::I8(QuantizedWeights { values, scales, input_scales });
            }
        }
        Ok(self)
    }

    /// Indices of the steps that [`quantize`](Self::quantize) changes.
    pub(crate) fn quantizable(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().enumerate().filter(|(_, step)| self.is_quantizable(step)).map(|(index, _)| index)
    }

    fn is_quantizable(&self, step: &Step) -> bool {
        let Operation::Pointwise { weights: Weights::F32(_), activation, .. } = &step.operation else { return false };
        matches!(activation, Activation::None | Activation::Relu)
            && self.shape(step.output).pixels() > 1
            && self.is_never_negative(step.input)
    }

    /// Whether a value is known to hold no negative number.
    fn is_never_negative(&self, value: ValueId) -> bool {
        let Some(maker) = self.steps.iter().find(|step| step.output == value) else { return false };
        match &maker.operation {
            Operation::Convolution { activation, .. } | Operation::Depthwise { activation, .. } => {
                *activation == Activation::Relu
            }
            Operation::Pointwise { activation, residual, .. } => {
                *activation == Activation::Relu && residual.is_none_or(|residual| self.is_never_negative(residual))
            }
            Operation::Mean { .. } => self.is_never_negative(maker.input),
            _ => false,
        }
    }
}
