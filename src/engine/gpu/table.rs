//! The printed form of programs.

use std::fmt;

use super::{Dispatch, Program, Source};

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Program { name, batch, buffers, pipelines, dispatches, .. } = self;
        writeln!(
            f,
            "{name}: {} dispatches of {} shaders, {batch} images at once, {:.1} MiB",
            dispatches.len(),
            pipelines.len(),
            self.bytes() as f64 / 1048576.0
        )?;
        let sizes: Vec<String> =
            buffers.iter().enumerate().map(|(index, len)| format!("b{index} {:.0} KiB", *len as f64 / 256.0)).collect();
        writeln!(f, "buffers for one image: {}", sizes.join(", "))?;
        writeln!(f, "{:>3}  {:32} {:20} {:>28} {:>9}  buffers", "", "step", "shader", "shape", "groups")?;
        for (index, dispatch) in dispatches.iter().enumerate() {
            let [x, y] = dispatch.groups;
            writeln!(
                f,
                "{index:>3}  {:32} {:20} {:>28} {:>9}  {}",
                dispatch.step.trim_start_matches("backbone."),
                pipelines[dispatch.pipeline].name,
                shapes(dispatch),
                format!("{x}x{y}"),
                places(dispatch)
            )?;
        }
        let (feature, pooled) = (self.feature, self.pooled);
        write!(
            f,
            "     feature: {} numbers in b{}; pooled: {} in b{}",
            feature.len, feature.buffer, pooled.len, pooled.buffer
        )
    }
}

fn shapes(dispatch: &Dispatch) -> String {
    let shapes = &dispatch.shapes;
    format!(
        "{}x{}x{} -> {}x{}x{}",
        shapes.height, shapes.width, shapes.channels, shapes.out_height, shapes.out_width, shapes.out_pixel
    )
}

/// `b1 * b3 + b2 -> b0`: the input, a gate, a residual, the output.
fn places(dispatch: &Dispatch) -> String {
    let gate = dispatch.gate.map_or(String::new(), |gate| format!(" * b{gate}"));
    let residual = match dispatch.residual {
        Some(Source::Buffer(buffer)) => format!(" + b{buffer}"),
        Some(Source::Tensor(_)) => " + weights".into(),
        None => String::new(),
    };
    format!("b{}{gate}{residual} -> b{}", dispatch.input, dispatch.output)
}
