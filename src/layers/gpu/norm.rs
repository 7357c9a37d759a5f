//! BatchNorm with the statistics of the batch, in training on a GPU.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend};
use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use super::{Gpu, Values, primitive, sums, tensor};

/// BatchNorm of `x`, `[n, channels, height, width]`. The running statistics are updated.
///
/// `None` where `x` is not on a GPU with autodiff, or the BatchNorm uses fixed statistics: take Burn's then.
pub(crate) fn forward(norm: &BatchNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    if !x.device().is_autodiff() || !norm.training.is_enabled() {
        return None;
    }
    let dims = x.dims();
    let input = x.clone().try_into_primitive::<Autodiff<Gpu>>().ok()?;
    let gamma = norm.gamma.val().try_into_primitive::<Autodiff<Gpu>>().ok()?;
    let beta = norm.beta.val().try_into_primitive::<Autodiff<Gpu>>().ok()?;

    let x = by_channel(tensor(input.primitive()));
    let count = (dims[0] * dims[2] * dims[3]) as f64;
    let mean = sums(x.clone()).div_scalar(count);
    let centred = x.sub(mean.clone());
    let variance = sums(centred.clone().square()).div_scalar(count);
    let inverse = variance.clone().add_scalar(norm.epsilon).sqrt().recip();
    let normal = centred.mul(inverse.clone());
    let factor = tensor::<1>(gamma.primitive()).reshape([1, dims[1] as i64, 1]);
    let shift = tensor::<1>(beta.primitive()).reshape([1, dims[1] as i64, 1]);
    let y = normal.clone().mul(factor.clone()).add(shift).reshape(dims);

    // as in Paddle, the running variance is the biased one
    for (running, new) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let new = <Autodiff<Gpu> as AutodiffBackend>::from_inner(primitive(new.reshape([dims[1]])));
        let new = Tensor::<1>::from_primitive::<Autodiff<Gpu>>(new).mul_scalar(norm.momentum);
        running.update(running.value_sync().mul_scalar(1.0 - norm.momentum).add(new).detach());
    }

    let prepared = Norm.prepare::<NoCheckpointing>([input.node(), gamma.node(), beta.node()]);
    let y = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let state = State { normal: primitive(normal), factor: primitive(inverse.mul(factor)), dims };
            prepared.finish(state, primitive(y))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(primitive(y)),
    };
    Some(Tensor::from_primitive::<Autodiff<Gpu>>(y))
}

/// `[n, channels, height, width]` to `[n, channels, pixels]`.
fn by_channel(x: Tensor<4>) -> Tensor<3> {
    let [n, channels, height, width] = x.dims();
    x.reshape([n, channels, height * width])
}

#[derive(Debug)]
struct Norm;

/// Values of the forward pass that the backward pass needs.
#[derive(Clone, Debug)]
struct State {
    /// The input with mean 0 and variance 1: `[n, channels, pixels]`.
    normal: Values,
    /// The scale divided by the standard deviation: `[1, channels, 1]`.
    factor: Values,
    dims: [usize; 4],
}

impl Backward<Gpu, 3> for Norm {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let parents: [Option<NodeId>; 3] = ops.parents.map(|parent| parent.map(|node| node.id));
        let incoming = by_channel(tensor(&gradients.consume::<Gpu>(&ops.node)));
        let State { normal, factor, dims } = ops.state;
        let normal: Tensor<3> = tensor(&normal);
        let to_gamma = sums(incoming.clone().mul(normal.clone()));
        let to_beta = sums(incoming.clone());
        let to_input = parents[0].map(|_| {
            let count = (dims[0] * dims[2] * dims[3]) as f64;
            // each value also changes the mean and the deviation of its channel
            let along = normal.mul(to_gamma.clone().div_scalar(count));
            let apart = incoming.sub(to_beta.clone().div_scalar(count)).sub(along);
            primitive(apart.mul(tensor(&factor)).reshape(dims))
        });
        let vector = |x: Tensor<3>| primitive(x.reshape([dims[1]]));
        for (parent, gradient) in parents.into_iter().zip([to_input, Some(vector(to_gamma)), Some(vector(to_beta))]) {
            if let (Some(id), Some(gradient)) = (parent, gradient) {
                gradients.register::<Gpu>(id, gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::BatchNormConfig;
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;

    /// The output, the gradients of input, scale and shift for a made-up loss, and the running statistics.
    fn run(x: &TensorData, forward: impl Fn(&BatchNorm, &Tensor<4>) -> Tensor<4>) -> [Vec<f32>; 6] {
        let device = Device::flex().autodiff();
        let mut norm = BatchNormConfig::new(5).init(&device);
        norm.gamma = norm.gamma.map(|gamma| (Tensor::arange(1..6, &gamma.device()).float() * 0.3).require_grad());
        let x = Tensor::<4>::from_data(x.clone(), &device).require_grad();
        let y = forward(&norm, &x);
        let factors = Tensor::arange(0..y.dims().iter().product::<usize>() as i64, &y.device()).float().sin();
        let gradients = y.clone().mul(factors.reshape(y.dims())).sum().backward();
        fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
            tensor.into_data().try_to_vec().unwrap()
        }
        [
            values(y),
            values(x.grad(&gradients).unwrap()),
            values(norm.gamma.grad(&gradients).unwrap()),
            values(norm.beta.grad(&gradients).unwrap()),
            values(norm.running_mean.value_sync()),
            values(norm.running_var.value_sync()),
        ]
    }

    #[test]
    fn gradients_and_statistics_are_burns() {
        let device = Device::flex();
        let x = Tensor::<4>::random([3, 5, 4, 6], Distribution::Normal(1.0, 2.0), &device).into_data();
        let expected = run(&x, |norm, x| norm.forward(x.clone()));
        let own = run(&x, |norm, x| forward(norm, x).expect("it trains"));
        for (at, (own, expected)) in own.iter().zip(&expected).enumerate() {
            assert_eq!(own.len(), expected.len());
            let difference = own.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-4, "{at}: {difference}");
        }
    }
}
