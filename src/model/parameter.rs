//! The parameters of a network: name, shape and role.

/// The purpose of a parameter in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Convolution weight, `[out, in / groups, height, width]`.
    ConvWeight,
    /// Convolution bias.
    ConvBias,
    /// Scale (gamma) of a BatchNorm or LayerNorm.
    NormScale,
    /// Shift (beta) of a BatchNorm or LayerNorm.
    NormShift,
    /// BatchNorm running mean.
    NormMean,
    /// BatchNorm running variance.
    NormVariance,
    /// Linear weight, `[in, out]`.
    LinearWeight,
    /// Linear bias.
    LinearBias,
    /// Learnt vectors: the positions, which are added to tokens, and the class token.
    Embedding,
}

/// One parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// PaddleClas's structured name, such as `backbone.stem.0.conv.weight`.
    pub name: String,
    /// Its shape, in Paddle's layout.
    pub shape: Vec<usize>,
    /// Its purpose in its layer.
    pub role: Role,
}

impl Parameter {
    /// Number of values.
    #[allow(clippy::len_without_is_empty)] // a parameter is never empty
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}
