//! The shaders, each one text of WGSL.

use std::fmt::Write;

const COMMON: &str = include_str!("shaders/common.wgsl");

/// The largest kernel: its columns are written out one by one.
pub(super) const MAX_SIDE: usize = 9;

/// The kinds of shaders. Two dispatches with the same kind share a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shader {
    Convolution,
    Depthwise {
        side: usize,
        stride: usize,
    },
    Pointwise {
        gated: bool,
    },
    /// The same for a CPU that emulates a GPU.
    Wide {
        gated: bool,
    },
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
            Shader::Wide { gated: false } => "wide product".into(),
            Shader::Wide { gated: true } => "wide gated product".into(),
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
            Shader::Convolution => join([NUMBER, FOUR, FOUR], include_str!("shaders/convolution.wgsl")),
            Shader::Depthwise { side, stride } => join([NUMBER; 3], &depthwise(side, stride)),
            Shader::Pointwise { gated } => {
                let (gate, factor) = match gated {
                    true => ("let factors = gate[group.z * inner + k];", "* factors"),
                    false => ("", ""),
                };
                let text = include_str!("shaders/pointwise.wgsl");
                join([FOUR; 3], &text.replace("GATE", gate).replace(" FACTOR", factor))
            }
            Shader::Wide { gated } => join([NUMBER, FOUR, FOUR], &wide(gated)),
            Shader::Few => join([FOUR, NUMBER, NUMBER], include_str!("shaders/few.wgsl")),
            Shader::Mean => join([NUMBER; 3], include_str!("shaders/mean.wgsl")),
            Shader::Unfold => join([NUMBER; 3], include_str!("shaders/unfold.wgsl")),
            Shader::Normalize => join([NUMBER; 3], include_str!("shaders/normalize.wgsl")),
            Shader::Attention => join([NUMBER; 3], include_str!("shaders/attention.wgsl")),
        }
    }
}

/// The types in which a shader reads and writes.
const NUMBER: &str = "f32";
const FOUR: &str = "vec4<f32>";

/// A shader behind the common beginning, which declares input, weights and output in these types.
fn join([input, weights, output]: [&str; 3], text: &str) -> String {
    let common = COMMON.replace("INPUT", input).replace("WEIGHTS", weights).replace("OUTPUT", output);
    format!("{common}\n{text}")
}

/// Pixels and tiles of 16 channels of a thread of `wide`.
pub(super) const WIDE: [usize; 2] = [8, 4];

/// The product for a CPU that emulates a GPU, with its pixels and tiles written out.
fn wide(gated: bool) -> String {
    let [pixels, tiles] = WIDE;
    let (mut start, mut body, mut end) = (String::new(), String::new(), String::new());
    for pixel in 0..pixels {
        let _ = writeln!(start, "  let p{pixel} = start + min(row + {pixel}u, last) * shapes.pixel;");
    }
    for tile in 0..tiles {
        let _ = writeln!(start, "  let t{tile} = min(group.x * {tiles}u + {tile}u, last_tile);");
        let _ = writeln!(start, "  var w{tile} = t{tile} * shapes.pixel * 4u + local.x;");
        let _ = writeln!(start, "  var a0_{tile} = weights[shapes.bias / 4u + t{tile} * 4u + local.x];");
        let _ = writeln!(body, "    let v{tile} = weights[w{tile}];");
        let _ = writeln!(body, "    w{tile} += 4u;");
        for pixel in 1..pixels {
            let _ = writeln!(start, "  var a{pixel}_{tile} = a0_{tile};");
        }
    }
    let mut factor = "";
    if gated {
        body.push_str("    let factor = gate[group.z * shapes.pixel + k];\n");
        factor = " * factor";
    }
    for pixel in 0..pixels {
        let _ = writeln!(body, "    let x{pixel} = input[p{pixel} + k]{factor};");
        for tile in 0..tiles {
            let _ = writeln!(body, "    a{pixel}_{tile} += x{pixel} * v{tile};");
            let column = format!("(group.x * {tiles}u + {tile}u) * 4u + local.x");
            let _ = writeln!(end, "  store(a{pixel}_{tile}, row + {pixel}u, group.z, {column});");
        }
    }
    include_str!("shaders/wide.wgsl")
        .replace("  START;\n", &start)
        .replace("    BODY;\n", &body)
        .replace("  END;\n", &end)
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
