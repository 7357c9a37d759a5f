//! The shaders, each one text of WGSL.

use std::fmt::Write;

const COMMON: &str = include_str!("shaders/common.wgsl");

/// The largest kernel: its columns are written out one by one.
pub(super) const MAX_SIDE: usize = 9;

/// The kinds of shaders. Two dispatches with the same kind share a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shader {
    Convolution,
    Depthwise { side: usize, stride: usize },
    Pointwise { gated: bool },
    Few,
    Mean,
    Unfold,
    Normalize,
    Attention,
}

impl Shader {
    /// The name in tables and errors.
    pub fn name(self) -> String {
        match self {
            Shader::Convolution => "convolution".into(),
            Shader::Depthwise { side, stride: 1 } => format!("depthwise {side}x{side}"),
            Shader::Depthwise { side, stride } => format!("depthwise {side}x{side} / {stride}"),
            Shader::Pointwise { gated: false } => "product".into(),
            Shader::Pointwise { gated: true } => "gated product".into(),
            Shader::Few => "shared product".into(),
            Shader::Mean => "mean".into(),
            Shader::Unfold => "patches".into(),
            Shader::Normalize => "normalize".into(),
            Shader::Attention => "attention".into(),
        }
    }

    /// The text.
    pub fn source(self) -> String {
        match self {
            Shader::Convolution => join("f32", include_str!("shaders/convolution.wgsl")),
            Shader::Depthwise { side, stride } => join("f32", &depthwise(side, stride)),
            Shader::Pointwise { gated } => {
                let (gate, factor) = match gated {
                    true => ("let factors = gate[group.z * inner + k];", "* factors"),
                    false => ("", ""),
                };
                let text = include_str!("shaders/pointwise.wgsl");
                join("vec4<f32>", &text.replace("GATE", gate).replace(" FACTOR", factor))
            }
            Shader::Few => join("vec4<f32>", include_str!("shaders/few.wgsl")),
            Shader::Mean => join("f32", include_str!("shaders/mean.wgsl")),
            Shader::Unfold => join("f32", include_str!("shaders/unfold.wgsl")),
            Shader::Normalize => join("f32", include_str!("shaders/normalize.wgsl")),
            Shader::Attention => join("f32", include_str!("shaders/attention.wgsl")),
        }
    }
}

/// A shader behind the common beginning.
fn join(input: &str, text: &str) -> String {
    format!("{}\n{text}", COMMON.replace("INPUT", input))
}

/// A depthwise convolution with the columns of a row written out: four pixels side by side share them.
fn depthwise(side: usize, stride: usize) -> String {
    let mut row = String::new();
    for column in 0..3 * stride + side {
        let _ = writeln!(row, "    let c{column} = number(start, first + {column}, channel);");
    }
    for dx in 0..side {
        let columns: Vec<String> = (0..4).map(|pixel| format!("c{}", pixel * stride + dx)).collect();
        let _ = writeln!(
            row,
            "    sums += weights[weight + {dx}u * shapes.out_pixel] * vec4<f32>({});",
            columns.join(", ")
        );
    }
    include_str!("shaders/depthwise.wgsl")
        .replace("SIDE", &format!("{side}u"))
        .replace("STRIDE", &format!("{stride}u"))
        .replace("    ROW;\n", &row)
}
