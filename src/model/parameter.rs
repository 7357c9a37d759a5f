//! What a network's parameters are called and what they are for.

/// What a parameter does in its layer.
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
    /// Vectors added to tokens or standing for one: positions, the class token.
    Embedding,
}

/// One parameter of a network: PaddleClas's structured name, its shape, and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

impl Parameter {
    /// Number of values.
    #[allow(clippy::len_without_is_empty)] // a parameter is never empty
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}
