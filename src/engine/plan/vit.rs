//! CLIP's vision transformer with its neck, a linear layer, as steps.
//!
//! Where only a linear layer reads a LayerNorm, scale and shift of the LayerNorm are folded into the layer. Attention's
//! factor on the scores is folded into the weights of the queries. Everything after the last LayerNorm is linear, so
//! the mean over the tokens is taken before the matrices: one token goes through them instead of all.

use super::{Activation, Affine, Operation, Plan, PlanBuilder, Shape, ValueId, Weights};
use crate::Result;
use crate::model::vit::{EPSILON, VitConfig};
use crate::tensors::Tensors;

/// The plan of a network.
pub(super) fn compile(name: &str, config: &VitConfig, tensors: &Tensors) -> Result<Plan> {
    config.check()?;
    let [height, width] = config.input;
    let plan = Plan::builder(name, Shape { height, width, channels: 3 });
    let mut builder = Builder { plan, config, tensors };
    let tokens = builder.embed()?;
    let affine = builder.affine("backbone.ln_pre")?;
    let mut x = builder.normalize("backbone.ln_pre", tokens, Some(affine));
    for block in 0..config.depth {
        x = builder.block(&format!("backbone.blocks.{block}"), x)?;
    }
    builder.head(x)?;
    builder.plan.finish()
}

struct Builder<'a> {
    plan: PlanBuilder,
    config: &'a VitConfig,
    tensors: &'a Tensors,
}

/// A linear layer's weights, `[out, in]`, and bias.
struct Linear {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Builder<'_> {
    fn embed(&mut self) -> Result<ValueId> {
        let VitConfig { patch, width, .. } = *self.config;
        let tokens = self.config.tokens();
        let class_token = &self.tensors.expect("backbone.cls_token", &[1, 1, width])?.values;
        let mut added = self.tensors.expect("backbone.pos_embed", &[1, tokens, width])?.values.clone();
        added.iter_mut().zip(class_token).for_each(|(added, value)| *added += value);
        let name = "backbone.patch_embed.proj";
        let weights = self.tensors.expect(&format!("{name}.weight"), &[width, 3, patch, patch])?.values.clone();
        let shape = Shape { height: 1, width: tokens, channels: width };
        Ok(self.plan.push(name, Operation::Patches { side: patch, weights, added }, self.plan.input(), shape))
    }

    fn block(&mut self, path: &str, input: ValueId) -> Result<ValueId> {
        let VitConfig { width, hidden, heads, .. } = *self.config;
        let norm = format!("{path}.norm1");
        let normal = self.normalize(&norm, input, None);
        let name = format!("{path}.attn.qkv");
        let mut qkv = self.linear(&name, width, 3 * width)?;
        // for heads of 64 channels the factor is 1/8, a power of two: no digit is lost
        let factor = 1.0 / (self.config.head_width() as f64).sqrt();
        scale(&mut qkv.weights[..width * width], factor);
        scale(&mut qkv.bias[..width], factor);
        self.take_over(&norm, &mut qkv)?;
        let qkv = self.push(name, normal, qkv, Activation::None, None);
        let shape = self.plan.shape(input);
        let attended = self.plan.push(format!("{path}.attn"), Operation::Attention { heads }, qkv, shape);
        let name = format!("{path}.attn.proj");
        let layer = self.linear(&name, width, width)?;
        let x = self.push(name, attended, layer, Activation::None, Some(input));

        let norm = format!("{path}.norm2");
        let normal = self.normalize(&norm, x, None);
        let name = format!("{path}.mlp.fc1");
        let mut layer = self.linear(&name, width, hidden)?;
        self.take_over(&norm, &mut layer)?;
        let expanded = self.push(name, normal, layer, Activation::Gelu, None);
        let name = format!("{path}.mlp.fc2");
        let layer = self.linear(&name, hidden, width)?;
        Ok(self.push(name, expanded, layer, Activation::None, Some(x)))
    }

    fn head(&mut self, input: ValueId) -> Result<()> {
        let VitConfig { width, projection, embedding, average_class_token, .. } = *self.config;
        let norm = "backbone.norm";
        let normal = self.normalize(norm, input, None);
        let skip = usize::from(!average_class_token);
        let pooled = Shape { height: 1, width: 1, channels: width };
        let pooled = self.plan.push("backbone.mean", Operation::Mean { skip }, normal, pooled);
        let weights = &self.tensors.expect("backbone.proj", &[width, projection])?.values;
        let mut layer = Linear { weights: transposed(weights, projection), bias: vec![0.0; projection] };
        self.take_over(norm, &mut layer)?;
        let projected = self.push("backbone.proj".into(), pooled, layer, Activation::None, None);
        let layer = self.linear("neck.fc", projection, embedding)?;
        self.push("neck.fc".into(), projected, layer, Activation::None, None);
        Ok(())
    }

    fn linear(&self, path: &str, input: usize, output: usize) -> Result<Linear> {
        let weights = &self.tensors.expect(&format!("{path}.weight"), &[input, output])?.values;
        let bias = self.tensors.expect(&format!("{path}.bias"), &[output])?.values.clone();
        Ok(Linear { weights: transposed(weights, output), bias })
    }

    fn affine(&self, path: &str) -> Result<Affine> {
        let read = |name: &str| {
            Ok::<_, crate::Error>(self.tensors.expect(&format!("{path}.{name}"), &[self.config.width])?.values.clone())
        };
        Ok(Affine { scale: read("weight")?, shift: read("bias")? })
    }

    /// Folds the scale and shift of the LayerNorm before it into a layer.
    fn take_over(&self, norm: &str, layer: &mut Linear) -> Result<()> {
        let Affine { scale, shift } = self.affine(norm)?;
        for (weights, bias) in layer.weights.chunks_exact_mut(scale.len()).zip(&mut layer.bias) {
            let shifted: f64 =
                weights.iter().zip(&shift).map(|(&weight, &shift)| f64::from(weight) * f64::from(shift)).sum();
            *bias = (f64::from(*bias) + shifted) as f32;
            weights.iter_mut().zip(&scale).for_each(|(weight, scale)| *weight *= scale);
        }
        Ok(())
    }

    fn normalize(&mut self, path: &str, input: ValueId, affine: Option<Affine>) -> ValueId {
        let operation = Operation::Normalize { epsilon: EPSILON as f32, affine };
        self.plan.push(path, operation, input, self.plan.shape(input))
    }

    fn push(
        &mut self,
        name: String,
        input: ValueId,
        layer: Linear,
        activation: Activation,
        residual: Option<ValueId>,
    ) -> ValueId {
        let shape = Shape { channels: layer.bias.len(), ..self.plan.shape(input) };
        let Linear { weights, bias } = layer;
        let weights = Weights::F32(weights);
        self.plan.push(name, Operation::Pointwise { weights, bias, activation, gate: None, residual }, input, shape)
    }
}

fn scale(values: &mut [f32], factor: f64) {
    values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
}

/// Side of the squares in which a matrix is transposed. The rows of a square stay in the cache while its columns are
/// written.
const SQUARE: usize = 16;

/// A matrix with rows of `columns` values, transposed.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut transposed = vec![0.0; matrix.len()];
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..columns).step_by(SQUARE) {
            for column in left..columns.min(left + SQUARE) {
                for row in top..rows.min(top + SQUARE) {
                    transposed[column * rows + row] = matrix[row * columns + column];
                }
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_transposed_whatever_its_sides() {
        for (rows, columns) in [(1, 1), (1, 40), (17, 33), (48, 16)] {
            let matrix: Vec<f32> = (0..rows * columns).map(|index| index as f32).collect();
            let transposed = transposed(&matrix, columns);
            for (index, value) in matrix.iter().enumerate() {
                assert_eq!(transposed[index % columns * rows + index / columns], *value);
            }
            assert_eq!(super::transposed(&transposed, rows), matrix);
        }
    }
}
