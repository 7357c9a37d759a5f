//! Plans that multiply 8-bit whole numbers.

use super::{Activation, Operation, Plan, QuantizedWeights, Step, ValueId, Weights};
use crate::model::{Calibration, quantization};
use crate::{Error, Result};

impl Plan {
    /// Whether any layer multiplies 8-bit whole numbers.
    pub fn is_quantized(&self) -> bool {
        let quantized = |step: &Step| matches!(&step.operation, Operation::Pointwise { weights: Weights::I8(_), .. });
        self.steps.iter().any(quantized)
    }

    /// The plan with its 1x1 convolutions in 8-bit whole numbers: weights with a scale for each output channel,
    /// activations with the scales of the calibration.
    ///
    /// Only the layers of [`quantizable`](Self::quantizable) change.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the layer, where the calibration lacks one of these
    /// layers, has another one, or has not one scale for each channel of a layer's input.
    pub fn quantize(mut self, calibration: &Calibration) -> Result<Plan> {
        let layers: Vec<usize> = self.quantizable_indices().collect();
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
        self.check()?;
        Ok(self)
    }

    /// The steps that [`quantize`](Self::quantize) changes: 1x1 convolutions in f32 of more than one pixel, since there
    /// is nothing to gain in one, and of values that are never negative.
    pub fn quantizable(&self) -> impl Iterator<Item = &Step> {
        self.quantizable_indices().map(|index| &self.steps[index])
    }

    fn quantizable_indices(&self) -> impl Iterator<Item = usize> {
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
        // the input has no maker
        let Some(maker) = value.0.checked_sub(1).map(|index| &self.steps[index]) else { return false };
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
