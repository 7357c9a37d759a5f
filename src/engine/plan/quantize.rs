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
            let input_zero =
                if self.is_never_negative(self.steps[index].input) { 0 } else { quantization::SIGNED_ZERO };
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
                for ((bias, row), scale) in bias.iter_mut().zip(values.chunks_exact(inner)).zip(&scales) {
                    let sum: i64 = row.iter().map(|&weight| i64::from(weight)).sum();
                    *bias -= scale * (sum * i64::from(input_zero)) as f32;
                }
                let input_scales = input_scales.to_vec();
                *weights = Weights::I8(QuantizedWeights { values, scales, input_scales, input_zero });
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The steps that [`quantize`](Self::quantize) changes: 1x1 convolutions in f32 of more than one pixel, since there
    /// is nothing to gain in one, and of values that are never negative or come from a 1x1 convolution without activation.
    /// Other values, those of vision transformers, have channels with outliers, for which 7 bits are too few.
    pub fn quantizable(&self) -> impl Iterator<Item = &Step> {
        self.quantizable_indices().map(|index| &self.steps[index])
    }

    fn quantizable_indices(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().enumerate().filter(|(_, step)| self.is_quantizable(step)).map(|(index, _)| index)
    }

    fn is_quantizable(&self, step: &Step) -> bool {
        let Operation::Pointwise { weights: Weights::F32(_), activation, .. } = &step.operation else { return false };
        matches!(activation, Activation::None | Activation::Relu | Activation::Relu6)
            && self.shape(step.output).pixels() > 1
            && (self.is_never_negative(step.input) || self.is_projection(step.input))
    }

    /// Whether a value is made by a 1x1 convolution without activation.
    fn is_projection(&self, value: ValueId) -> bool {
        let maker = value.0.checked_sub(1).map(|index| &self.steps[index].operation);
        matches!(maker, Some(Operation::Pointwise { activation: Activation::None, .. }))
    }

    /// Whether a value is known to hold no negative number.
    pub(in crate::engine) fn is_never_negative(&self, value: ValueId) -> bool {
        // the input has no maker
        let Some(maker) = value.0.checked_sub(1).map(|index| &self.steps[index]) else { return false };
        match &maker.operation {
            Operation::Convolution { activation, .. } | Operation::Depthwise { activation, .. } => {
                matches!(activation, Activation::Relu | Activation::Relu6)
            }
            Operation::Pointwise { activation, residual, .. } => {
                matches!(activation, Activation::Relu | Activation::Relu6)
                    && residual.is_none_or(|residual| self.is_never_negative(residual))
            }
            Operation::Mean { .. } => self.is_never_negative(maker.input),
            _ => false,
        }
    }
}
