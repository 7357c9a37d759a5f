//! The sizes of a vision transformer, and from them every parameter's name and shape.

use crate::model::{Parameter, Role};
use crate::{Error, Result};

/// Sizes of one vision transformer of the CLIP family with its neck.
///
/// ```
/// use image_feature::model::vit::VitConfig;
///
/// let floats = |config: VitConfig| config.parameters(None).iter().map(|p| p.len()).sum::<usize>();
/// assert_eq!(floats(VitConfig::base()), 86_455_296);
/// assert_eq!(floats(VitConfig::large()), 303_966_720);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitConfig {
    /// Height and width of the input in pixels, multiples of `patch`.
    pub input: [usize; 2],
    /// Height and width of a patch in pixels.
    pub patch: usize,
    /// Channels of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Heads of the attention; `width` is a multiple of it.
    pub heads: usize,
    /// Channels between the two layers of a block's MLP.
    pub hidden: usize,
    /// Channels of CLIP's image embedding (`output_dim` of `proj`).
    pub projection: usize,
    /// Whether the mean over the tokens at the end includes the class token: true for `_large`, false for `_base`.
    pub average_class_token: bool,
    /// Length of the feature vector.
    pub embedding: usize,
}

/// The number that every LayerNorm of the family adds to the variance.
pub(crate) const EPSILON: f64 = 1e-5;

impl VitConfig {
    /// The sizes of `PP-ShiTuV2_rec_CLIP_vit_base`: ViT-B/16.
    pub fn base() -> Self {
        VitConfig {
            input: [224, 224],
            patch: 16,
            width: 768,
            depth: 12,
            heads: 12,
            hidden: 3072,
            projection: 512,
            average_class_token: false,
            embedding: 512,
        }
    }

    /// The sizes of `PP-ShiTuV2_rec_CLIP_vit_large`: ViT-L/14.
    pub fn large() -> Self {
        VitConfig {
            patch: 14,
            width: 1024,
            depth: 24,
            heads: 16,
            hidden: 4096,
            average_class_token: true,
            ..Self::base()
        }
    }

    /// Number of patches of an image.
    pub fn patches(&self) -> usize {
        (self.input[0] / self.patch) * (self.input[1] / self.patch)
    }

    /// Number of tokens: the patches and the class token.
    pub fn tokens(&self) -> usize {
        self.patches() + 1
    }

    /// Channels of one head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the sizes that do not fit.
    pub fn check(&self) -> Result<()> {
        let VitConfig { input: [height, width], patch, width: channels, heads, .. } = *self;
        let sizes = [height, width, patch, channels, self.depth, heads, self.hidden, self.projection, self.embedding];
        if sizes.contains(&0) {
            return Err(Error::model("a vision transformer has no size of 0"));
        }
        if height % patch != 0 || width % patch != 0 {
            return Err(Error::model(format!(
                "an input of {height}x{width} pixels cannot be cut into patches of {patch}x{patch}: give multiples of {patch}"
            )));
        }
        if channels % heads != 0 {
            return Err(Error::model(format!("{channels} channels cannot be shared out evenly among {heads} heads")));
        }
        Ok(())
    }

    /// Every parameter in state-dict order.
    ///
    /// `classes` adds a classification head for this many classes.
    pub fn parameters(&self, classes: Option<usize>) -> Vec<Parameter> {
        let mut list = List::default();
        let width = self.width;
        list.push("backbone.pos_embed", vec![1, self.tokens(), width], Role::Embedding);
        list.push("backbone.cls_token", vec![1, 1, width], Role::Embedding);
        list.push("backbone.proj", vec![width, self.projection], Role::LinearWeight);
        list.push("backbone.patch_embed.proj.weight", vec![width, 3, self.patch, self.patch], Role::ConvWeight);
        list.norm("backbone.ln_pre", width);
        for block in 0..self.depth {
            let path = format!("backbone.blocks.{block}");
            list.norm(&format!("{path}.norm1"), width);
            list.linear(&format!("{path}.attn.qkv"), width, 3 * width);
            list.linear(&format!("{path}.attn.proj"), width, width);
            list.norm(&format!("{path}.norm2"), width);
            list.linear(&format!("{path}.mlp.fc1"), width, self.hidden);
            list.linear(&format!("{path}.mlp.fc2"), self.hidden, width);
        }
        list.norm("backbone.norm", width);
        list.linear("neck.fc", self.projection, self.embedding);
        if let Some(classes) = classes {
            list.push("head.weight", vec![self.embedding, classes], Role::LinearWeight);
        }
        list.0
    }
}

#[derive(Default)]
struct List(Vec<Parameter>);

impl List {
    fn push(&mut self, name: impl Into<String>, shape: Vec<usize>, role: Role) {
        self.0.push(Parameter { name: name.into(), shape, role });
    }

    fn norm(&mut self, path: &str, channels: usize) {
        self.push(format!("{path}.weight"), vec![channels], Role::NormScale);
        self.push(format!("{path}.bias"), vec![channels], Role::NormShift);
    }

    fn linear(&mut self, path: &str, input: usize, output: usize) {
        self.push(format!("{path}.weight"), vec![input, output], Role::LinearWeight);
        self.push(format!("{path}.bias"), vec![output], Role::LinearBias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        VitConfig::base().check().unwrap();
        VitConfig::large().check().unwrap();
        let message = |config: VitConfig| config.check().unwrap_err().to_string();
        let base = VitConfig::base;
        assert!(message(VitConfig { input: [224, 230], ..base() }).contains("224x230"));
        assert!(message(VitConfig { heads: 7, ..base() }).contains("7 heads"));
        assert!(message(VitConfig { patch: 0, ..base() }).contains("size of 0"));
    }
}
