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

/// The parameters of a convolutional network in state-dict order, while they are listed.
#[derive(Default)]
pub(super) struct List(pub Vec<Parameter>);

impl List {
    pub fn push(&mut self, name: String, shape: Vec<usize>, role: Role) {
        self.0.push(Parameter { name, shape, role });
    }

    /// The four parameters of a BatchNorm.
    pub fn norm(&mut self, path: &str, channels: usize) {
        for (name, role) in [
            ("weight", Role::NormScale),
            ("bias", Role::NormShift),
            ("_mean", Role::NormMean),
            ("_variance", Role::NormVariance),
        ] {
            self.push(format!("{path}.{name}"), vec![channels], role);
        }
    }
}

/// Rounds a channel count to a multiple of 8, never more than 10 % down (PaddleClas's `make_divisible`).
pub(super) fn make_divisible(channels: f64) -> usize {
    let rounded = ((channels + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * channels { rounded + 8 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_stay_multiples_of_eight() {
        assert_eq!(make_divisible(32.0), 32);
        assert_eq!(make_divisible(12.0), 16);
        assert_eq!(make_divisible(10.0), 16); // 8 would lose more than 10 %
        assert_eq!(make_divisible(3.0), 8);
    }
}
