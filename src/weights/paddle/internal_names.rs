//! Paddle's internal names of parameters: the kind of the layer, and a number in the order of creation.

use crate::model::lcnet_v2::LcNetV2Config;
use crate::model::{Network, Parameter, Role};

/// The internal name of each parameter of a network's training form with head, in a process that creates only this
/// network.
///
/// PaddleClas creates the original LCNetV2 and then replaces its last stage, last convolution and classifier. The
/// numbers of the replaced layers are not used again.
pub(super) fn internal_names(network: &Network, parameters: &[Parameter]) -> Vec<String> {
    let mut counters = Counters::default();
    let mut last: Option<(String, String)> = None;
    let replaced = match network {
        Network::LcNetV2(config) => Replaced::of(config),
        Network::Vit(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => Replaced::default(),
    };
    let mut name = |parameter: &Parameter| {
        let (path, part) = parameter.name.rsplit_once('.').unwrap_or(("", &parameter.name));
        let kind = kind(network, parameter);
        let layer = match &last {
            Some((last_path, layer)) if last_path == path && kind != "vision_transformer" => layer.clone(),
            _ => match kind {
                "vision_transformer" | "arc_margin" => format!("{kind}_0"),
                "conv2d" if path == "backbone.last_conv" => format!("conv2d_{}", replaced.last_conv),
                "conv2d" => counters.next(kind, if path.starts_with(LAST_STAGE) { replaced.convolutions } else { 0 }),
                "batch_norm2d" => counters.next(kind, if path.starts_with(LAST_STAGE) { replaced.norms } else { 0 }),
                // number 0 is the replaced classifier
                "linear" if path == "head.fc" => "linear_1".into(),
                _ => counters.next(kind, 0),
            },
        };
        last = Some((path.into(), layer.clone()));
        let suffix = match (part, kind) {
            ("cls_token", _) => "w_1",
            ("proj", "vision_transformer") => "w_2",
            ("bias", _) => "b_0",
            ("_mean", _) => "w_1",
            ("_variance", _) => "w_2",
            _ => "w_0",
        };
        format!("{layer}.{suffix}")
    };
    parameters.iter().map(&mut name).collect()
}

const LAST_STAGE: &str = "backbone.stages.3.";

/// Numbers of the layers that PaddleClas replaces.
#[derive(Default)]
struct Replaced {
    convolutions: usize,
    norms: usize,
    last_conv: usize,
}

impl Replaced {
    fn of(config: &LcNetV2Config) -> Self {
        let (mut convolutions, mut norms, mut before) = (0, 0, 1);
        for block in config.blocks() {
            // the original network halves the resolution here, so it has no 1x1 branch
            let stock = if block.path.starts_with(LAST_STAGE) && !block.shortcut { 1 } else { 0 };
            let branches = block.branches.len();
            let pointwise = if block.split { 2 } else { 1 };
            let depthwise = if branches == 0 { 1 } else { branches + 1 };
            let squeeze = if block.squeeze { 2 } else { 0 };
            if block.path.starts_with(LAST_STAGE) {
                convolutions += depthwise + pointwise - stock;
                norms += branches + pointwise - stock;
            } else {
                before += depthwise + squeeze + pointwise;
            }
        }
        // the original last convolution and its replacement
        Replaced { last_conv: before + convolutions + 1, convolutions: convolutions + 2, norms }
    }
}

#[derive(Default)]
struct Counters {
    counts: std::collections::HashMap<&'static str, usize>,
}

impl Counters {
    fn next(&mut self, kind: &'static str, offset: usize) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}_{}", *count - 1 + offset)
    }
}

fn kind(network: &Network, parameter: &Parameter) -> &'static str {
    match (parameter.role, network) {
        (Role::Embedding, _) => "vision_transformer",
        (Role::LinearWeight, Network::Vit(_)) if parameter.name == "backbone.proj" => "vision_transformer",
        (Role::LinearWeight, Network::Vit(_)) if parameter.name == "head.weight" => "arc_margin",
        (Role::ConvWeight | Role::ConvBias, _) => "conv2d",
        (Role::LinearWeight | Role::LinearBias, _) => "linear",
        (_, Network::Vit(_)) => "layer_norm",
        _ if parameter.name.starts_with("neck.") => "batch_norm1d",
        _ => "batch_norm2d",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lcnet_v2::Form;
    use crate::model::vit::VitConfig;

    /// `golden/models/*_params.tsv` lists PaddleClas's names.
    #[test]
    fn names_are_paddles() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/models");
        if !folder.is_dir() {
            return eprintln!("skipped: {} is absent", folder.display());
        }
        for (file, network) in [
            ("PP-ShiTuV2_rec", Network::LcNetV2(LcNetV2Config::default())),
            ("PP-ShiTuV2_rec_CLIP_vit_base", Network::Vit(VitConfig::base())),
            ("PP-ShiTuV2_rec_CLIP_vit_large", Network::Vit(VitConfig::large())),
        ] {
            let table = std::fs::read_to_string(folder.join(format!("{file}_params.tsv"))).unwrap();
            let expected: Vec<(&str, &str)> = table
                .lines()
                .skip(1)
                .map(|line| (line.split('\t').next().unwrap(), line.split('\t').next_back().unwrap()))
                .collect();
            let parameters = network.parameters(Form::Training, Some(10));
            let names = internal_names(&network, &parameters);
            let ours: Vec<(&str, &str)> = parameters
                .iter()
                .zip(&names)
                .map(|(parameter, name)| (parameter.name.as_str(), name.as_str()))
                .collect();
            assert_eq!(ours, expected, "{file}");
        }
    }
}
