//! Convolutions without bias, dense or depthwise, in training on a GPU.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::{ConvOptions, ModuleOps};
use burn::nn::conv::Conv2d;
use burn::tensor::{Slice, Tensor};

use super::{Gpu, Values, primitive, sums, tensor};
use crate::layers::conv_shape::ConvShape;

/// Up to this number of pixels an image is too small for a matrix product of its own: all images then share one.
const FEW_PIXELS: usize = 64;

/// Whether each pixel of the output depends on one pixel of the input.
fn pointwise(shape: ConvShape) -> bool {
    !shape.depthwise && shape.kernel == 1 && shape.stride == 1
}

fn options(shape: ConvShape, channels: usize) -> ConvOptions<2> {
    let groups = if shape.depthwise { channels } else { 1 };
    ConvOptions::new([shape.stride; 2], [shape.kernel / 2; 2], [1; 2], groups)
}

/// A convolution of `x`, `[n, channels, height, width]`.
///
/// `None` where `x` is not on a GPU with autodiff, or there is no code for the convolution: take Burn's then.
pub(crate) fn forward(conv: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    if !x.device().is_autodiff() {
        return None;
    }
    let shape = ConvShape::of(conv)?;
    let input = x.clone().try_into_primitive::<Autodiff<Gpu>>().ok()?;
    let weight = conv.weight.val().try_into_primitive::<Autodiff<Gpu>>().ok()?;
    let (x, w) = (input.primitive().clone(), weight.primitive().clone());
    let channels = conv.weight.dims()[0];
    let y = match pointwise(shape) {
        true => primitive(by_pixel(tensor(&w), tensor(&x))),
        false => Gpu::conv2d(x.clone(), w.clone(), None, options(shape, channels)),
    };
    let prepared = Convolution.prepare::<NoCheckpointing>([input.node(), weight.node()]);
    let y = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((shape, x, w), y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    };
    Some(Tensor::from_primitive::<Autodiff<Gpu>>(y))
}

#[derive(Debug)]
struct Convolution;

impl Backward<Gpu, 2> for Convolution {
    type State = (ConvShape, Values, Values);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_input, to_weight]: [Option<NodeId>; 2] = ops.parents.map(|parent| parent.map(|node| node.id));
        let incoming = gradients.consume::<Gpu>(&ops.node);
        let (shape, x, w) = ops.state;
        if let Some(id) = to_weight {
            let gradient = weight_gradient(shape, tensor(&x), tensor(&incoming));
            gradients.register::<Gpu>(id, primitive(gradient));
        }
        if let Some(id) = to_input {
            let channels = tensor::<4>(&w).dims()[0];
            let gradient = match pointwise(shape) {
                true => primitive(by_pixel(tensor::<4>(&w).swap_dims(0, 1), tensor(&incoming))),
                false => Gpu::conv2d_x_backward(x, w, incoming, options(shape, channels)),
            };
            gradients.register::<Gpu>(id, gradient);
        }
    }
}

/// The product of the weight with the channels of each pixel: `[out, in, 1, 1]` and `[n, in, height, width]` to
/// `[n, out, height, width]`.
fn by_pixel(weight: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
    let [n, channels, height, width] = x.dims();
    let out = weight.dims()[0];
    let weight = weight.reshape([1, out, channels]);
    weight.matmul(x.reshape([n, channels, height * width])).reshape([n, out, height, width])
}

/// The gradient of the weight, from the gradient of the output.
fn weight_gradient(shape: ConvShape, x: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
    let ConvShape { depthwise, kernel, stride } = shape;
    let [n, out, height, width] = gradient.dims();
    let channels = x.dims()[1];
    let pixels = height * width;
    let pad = kernel / 2;
    let x = if pad > 0 { x.pad((pad, pad, pad, pad), 0.0) } else { x };
    let taps = (0..kernel * kernel).map(|tap| {
        let along = |first: usize, count: usize| {
            Slice::new(first as isize, Some((first + stride * (count - 1) + 1) as isize), stride as isize)
        };
        let seen = match pointwise(shape) {
            true => x.clone(),
            false => {
                let all = Slice::new(0, None, 1);
                x.clone().slice([all, all, along(tap / kernel, height), along(tap % kernel, width)])
            }
        };
        if depthwise {
            let products = seen.mul(gradient.clone()).reshape([n, out, pixels]);
            return sums(products).reshape([out, 1, 1]);
        }
        if pixels <= FEW_PIXELS {
            let together = |x: Tensor<4>, channels: usize| x.swap_dims(0, 1).reshape([channels, n * pixels]);
            let sums = together(gradient.clone(), out).matmul(together(seen, channels).transpose());
            return sums.reshape([out, channels, 1]);
        }
        let seen = seen.reshape([n, channels, pixels]).swap_dims(1, 2);
        gradient.clone().reshape([n, out, pixels]).matmul(seen).sum_dim(0).reshape([out, channels, 1])
    });
    let inputs = if depthwise { 1 } else { channels };
    Tensor::cat(taps.collect(), 2).reshape([out, inputs, kernel, kernel])
}

#[cfg(test)]
mod tests {
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;

    /// The output, and the gradients of input and weight for a made-up loss.
    fn run(conv: &Conv2d, x: &TensorData, forward: impl Fn(&Conv2d, &Tensor<4>) -> Tensor<4>) -> [Vec<f32>; 3] {
        let x = Tensor::<4>::from_data(x.clone(), &Device::flex().autodiff()).require_grad();
        let y = forward(conv, &x);
        let factors = Tensor::arange(0..y.dims().iter().product::<usize>() as i64, &y.device()).float().sin();
        let gradients = y.clone().mul(factors.reshape(y.dims())).sum().backward();
        let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
        [values(y), values(x.grad(&gradients).unwrap()), values(conv.weight.grad(&gradients).unwrap())]
    }

    #[test]
    fn gradients_are_burns() {
        let device = Device::flex().autodiff();
        for (depthwise, kernel, stride, size) in [
            (false, 1, 1, 5),
            (false, 1, 1, 9),
            (false, 3, 2, 12),
            (false, 3, 1, 7),
            (true, 3, 1, 6),
            (true, 3, 2, 9),
            (true, 5, 1, 9),
            (true, 5, 2, 8),
            (true, 1, 1, 5),
            (true, 1, 2, 7),
        ] {
            let (channels, out) = if depthwise { (6, 6) } else { (4, 6) };
            let conv = Conv2dConfig::new([channels, out], [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(kernel / 2, kernel / 2, kernel / 2, kernel / 2))
                .with_groups(if depthwise { channels } else { 1 })
                .with_bias(false)
                .init(&device);
            let x = Tensor::<4>::random([3, channels, size, size], Distribution::Uniform(-1.0, 1.0), &device);
            let x = x.into_data();
            let expected = run(&conv, &x, |conv, x| conv.forward(x.clone()));
            let own = run(&conv, &x, |conv, x| forward(conv, x).expect("it is one of the network's"));
            for (what, (own, expected)) in ["output", "input", "weight"].iter().zip(own.iter().zip(&expected)) {
                assert_eq!(own.len(), expected.len());
                let difference = own.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(
                    difference < 1e-4,
                    "{what} of depthwise {depthwise}, kernel {kernel}, stride {stride}: {difference}"
                );
            }
        }
    }
}
