//! The graph of LCNetV2 as Paddle exports it.

use serde_json::json;

use super::{Graph, Node, attribute, numbers, typed};
use crate::model::lcnet_v2::{DROPOUT, EPSILON, LcNetV2Config};

/// The weight of the old statistics in Paddle. It has no effect on fixed statistics.
const MOMENTUM: f32 = 0.9;

impl Graph<'_> {
    pub(super) fn lcnet_v2(&mut self, config: &LcNetV2Config, images: Node) -> Node {
        let mut x = self.conv_norm(images, "backbone.stem.0", 2, 1);
        for block in config.blocks() {
            let input = x.clone();
            let path = &block.path;
            let channels = block.in_channels;
            x = if block.branches.is_empty() {
                self.conv_norm(x, &format!("{path}.dw_conv"), block.stride, channels)
            } else {
                let convolved = self.convolution(x, &format!("{path}.dw_conv"), block.stride, channels);
                self.unary("1.relu", convolved)
            };
            if block.squeeze {
                let gate = self.pool(x.clone());
                let gate = self.convolution(gate, &format!("{path}.se.conv1"), 1, 1);
                let gate = self.unary("1.relu", gate);
                let gate = self.convolution(gate, &format!("{path}.se.conv2"), 1, 1);
                let gate = self.unary("1.sigmoid", gate);
                let shape = x.shape.clone();
                x = self.push("1.multiply", vec![], &[x.id, gate.id], shape, false);
            }
            let pointwise: &[&str] = if block.split { &["pw_conv_1", "pw_conv_2"] } else { &["pw_conv"] };
            for name in pointwise {
                x = self.conv_norm(x, &format!("{path}.{name}"), 1, 1);
            }
            if block.shortcut {
                let shape = x.shape.clone();
                x = self.push("1.add", vec![], &[x.id, input.id], shape, false);
            }
        }
        let x = self.pool(x);
        let x = self.convolution(x, "backbone.last_conv", 1, 1);
        let x = self.dropout(x);
        let x = self.flatten_channels(x, 3);
        let x = self.flatten_channels(x, 1);
        self.norm(x, "neck.feat_bn")
    }

    fn conv_norm(&mut self, x: Node, path: &str, stride: usize, groups: usize) -> Node {
        let x = self.convolution(x, &format!("{path}.conv"), stride, groups);
        let x = self.norm(x, &format!("{path}.bn"));
        self.unary("1.relu", x)
    }

    /// A convolution with padding that keeps the size up to the stride, and its bias where it has one.
    fn convolution(&mut self, x: Node, path: &str, stride: usize, groups: usize) -> Node {
        let weight = self.weight(path, "weight");
        let padding = (weight.shape[2] - 1) / 2;
        let x = self.conv2d(x, &weight, stride, padding, groups);
        let Some(bias) = self.parameter(&format!("{path}.bias")) else { return x };
        let sides = self.constant(&[1, -1, 1, 1]);
        let bias = self.push("1.reshape", vec![], &[bias.id, sides.id], vec![1, weight.shape[0], 1, 1], false);
        let shape = x.shape.clone();
        self.push("1.add", vec![], &[x.id, bias.id], shape, false)
    }

    fn norm(&mut self, x: Node, path: &str) -> Node {
        let part = |part: &str| self.weight(path, part).id;
        let inputs = [x.id, part("_mean"), part("_variance"), part("weight"), part("bias")];
        let channels = vec![x.shape[1]];
        let attributes = vec![
            attribute("is_test", "0.a_bool", json!(true)),
            attribute("momentum", "0.a_f32", json!(f64::from(MOMENTUM))),
            attribute("epsilon", "0.a_f32", json!(f64::from(EPSILON as f32))),
            attribute("data_format", "0.a_str", json!("NCHW")),
            attribute("use_global_stats", "0.a_bool", json!(true)),
            attribute("trainable_statistics", "0.a_bool", json!(false)),
        ];
        let out = self.node(x.shape);
        let mut outputs = vec![typed(&out, "f32")];
        // running and saved statistics, which are not used
        for _ in 0..4 {
            let statistics = self.node(channels.clone());
            outputs.push(typed(&statistics, "f32"));
        }
        let reserve = self.node(vec![-1]);
        outputs.push(typed(&reserve, "ui8"));
        self.operation("1.batch_norm_", attributes, &inputs, outputs, false);
        out
    }

    /// The mean of each channel.
    fn pool(&mut self, x: Node) -> Node {
        let size = self.constant(&[1, 1]);
        let attributes = vec![
            numbers("strides", "0.a_i64", &[1, 1]),
            numbers("paddings", "0.a_i64", &[0, 0]),
            attribute("ceil_mode", "0.a_bool", json!(false)),
            attribute("exclusive", "0.a_bool", json!(true)),
            attribute("data_format", "0.a_str", json!("NCHW")),
            attribute("pooling_type", "0.a_str", json!("avg")),
            attribute("global_pooling", "0.a_bool", json!(false)),
            attribute("adaptive", "0.a_bool", json!(true)),
            attribute("padding_algorithm", "0.a_str", json!("EXPLICIT")),
        ];
        let shape = vec![-1, x.shape[1], 1, 1];
        self.push("1.pool2d", attributes, &[x.id, size.id], shape, false)
    }

    fn dropout(&mut self, x: Node) -> Node {
        let share = self.number(&[1], f64::from(DROPOUT as f32), "float32");
        let attributes = vec![
            attribute("is_test", "0.a_bool", json!(true)),
            attribute("mode", "0.a_str", json!("downgrade_in_infer")),
            attribute("seed", "0.a_i32", json!(0)),
            attribute("fix_seed", "0.a_bool", json!(false)),
        ];
        let out = self.node(x.shape.clone());
        let mask = self.node(x.shape);
        let outputs = vec![typed(&out, "f32"), typed(&mask, "ui8")];
        self.operation("1.dropout", attributes, &[x.id, 0, share.id], outputs, false);
        out
    }

    fn flatten_channels(&mut self, x: Node, stop: i64) -> Node {
        let shape = vec![-1, x.shape[1]];
        self.flatten(x, 1, stop, shape)
    }
}
