//! The scales of activations, measured on images.

use super::kernels::Kernels;
use super::program::{NamedTask, Program};
use super::tasks::Run;
use crate::engine::Plan;
use crate::model::{Calibration, quantization};
use crate::{Error, Result};

/// Observes the activations of a network on images, to find the scales with which 8 bits represent them best.
///
/// ```no_run,ignore-wasm32
/// use image_feature::Model;
/// use image_feature::engine::{Plan, cpu};
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
/// let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
/// let mut calibrator = cpu::Calibrator::new(&plan)?;
/// for path in std::fs::read_dir("photos")? {
///     let photo = image_feature::decode(&std::fs::read(path?.path())?, &Default::default())?;
///     calibrator.observe(&model.description.network_input(&photo)?)?;
/// }
/// let quantized = plan.quantize(&calibrator.finish()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Calibrator {
    program: Program,
    kernels: Kernels,
    /// Values of an input image.
    input: usize,
    memory: Vec<f32>,
    scratch: Vec<f32>,
    layers: Vec<Layer>,
    images: usize,
}

/// A layer whose input is observed.
struct Layer {
    name: String,
    /// The task that reads the input.
    task: usize,
    /// Whether the input may be negative.
    signed: bool,
    channels: Vec<Histogram>,
}

impl Calibrator {
    /// Prepares to observe the layers of a plan that [`Plan::quantize`] changes.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the plan has a step for which there is no kernel, has no
    /// layer to observe, is too large for memory, or does not pass [`Plan::check`].
    pub fn new(plan: &Plan) -> Result<Self> {
        plan.check()?;
        let kernels = Kernels::available().swap_remove(0);
        let program = Program::unjoined(plan.clone(), &kernels)?;
        let task_of =
            |name: &str| program.tasks.iter().position(|named| named.name == name && named.task.input().is_some());
        let mut layers = Vec::new();
        for step in plan.quantizable() {
            let task = task_of(step.name())
                .ok_or_else(|| Error::internal(format!("layer `{}` became no task of its own", step.name())))?;
            let channels = vec![Histogram::default(); plan.shape(step.input()).channels];
            let signed = !plan.is_never_negative(step.input());
            layers.push(Layer { name: step.name().into(), task, signed, channels });
        }
        if layers.is_empty() {
            return Err(Error::model(format!("{} has no layer that could be computed in 8 bits", plan.name())));
        }
        let (memory, scratch) = (vec![0.0; program.memory], vec![0.0; program.scratch]);
        Ok(Calibrator { program, kernels, input: plan.shape(plan.input()).len(), memory, scratch, layers, images: 0 })
    }

    /// Observes one preprocessed image: channels x height x width values.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where an activation is not finite.
    pub fn observe(&mut self, input: &[f32]) -> Result<()> {
        if input.len() != self.input {
            return Err(Error::usage(format!("an image of {} values was given, not {}", input.len(), self.input)));
        }
        for (index, NamedTask { task, .. }) in self.program.tasks.iter().enumerate() {
            for layer in self.layers.iter_mut().filter(|layer| layer.task == index) {
                let place = task.input().expect("only matrix products are observed, which have one input");
                for y in 0..place.height {
                    for x in 0..place.width {
                        layer.observe(&self.memory[place.pixel(0, y, x)..])?;
                    }
                }
            }
            let run = Run { kernels: &self.kernels, memory: self.memory.as_mut_ptr(), input, images: 1 };
            for chunk in 0..task.chunks(1) {
                // SAFETY: the kernels are available, the memory was made for the program's arena and one thread's
                // scratch memory, and this thread runs all chunks in order
                unsafe { task.run(&run, self.scratch.as_mut_ptr(), chunk) };
            }
        }
        self.images += 1;
        Ok(())
    }

    /// Number of images observed.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The calibration that loses least on the observed images.
    ///
    /// The scale of a channel has the smallest mean square error of rounding all activations and limiting the largest.
    /// It is then moved half way, in powers, to the largest scale of the layer.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where no image was observed.
    pub fn finish(self) -> Result<Calibration> {
        if self.images == 0 {
            return Err(Error::usage("no image was observed; calibrating needs some, fifty or more are good"));
        }
        Calibration::new(self.layers.into_iter().map(|layer| (layer.name.clone(), layer.scales())).collect())
    }
}

impl Layer {
    /// Counts the values of a pixel.
    fn observe(&mut self, pixel: &[f32]) -> Result<()> {
        for (channel, &value) in self.channels.iter_mut().zip(pixel) {
            if !value.is_finite() {
                return Err(Error::model(format!(
                    "the input of layer `{}` holds {value}; are its weights damaged?",
                    self.name
                )));
            }
            channel.add(if self.signed { value.abs() } else { value });
        }
        Ok(())
    }

    /// A scale for each channel.
    fn scales(&self) -> Vec<f32> {
        let largest =
            quantization::LARGEST_ACTIVATION - if self.signed { f32::from(quantization::SIGNED_ZERO) } else { 0.0 };
        let scales: Vec<Option<f32>> = self.channels.iter().map(|channel| channel.scale(largest)).collect();
        let largest = scales.iter().flatten().copied().fold(0.0, f32::max);
        // the scale of a channel that was always zero
        let usual = if largest > 0.0 { largest } else { 1.0 };
        // Half way, in powers, to one scale for all. A channel's scale is folded into its weights, which share one
        // scale with the weights of the other channels. Of 0, 1/4, 1/2, 3/4 and 1 of the way this lost least on photos.
        scales
            .into_iter()
            .map(|scale| scale.map_or(usual, |scale| (f64::from(scale) * f64::from(largest)).sqrt() as f32))
            .collect()
    }
}

/// Counts of values by their size. Zeros, which are always represented exactly, are not counted.
#[derive(Clone, Default)]
struct Histogram {
    /// Width of a bin, once a value was counted.
    width: f32,
    counts: Vec<u32>,
}

/// Number of bins: four to a step of the activations.
const BINS: usize = 512;
/// Number of scales that are tried.
const CANDIDATES: usize = 64;

impl Histogram {
    /// Counts a value.
    fn add(&mut self, value: f32) {
        if value <= 0.0 {
            return;
        }
        if self.counts.is_empty() {
            self.counts = vec![0; BINS];
            self.width = (value / BINS as f32).max(f32::MIN_POSITIVE);
        }
        while value >= self.width * BINS as f32 {
            self.widen();
        }
        let count = &mut self.counts[((value / self.width) as usize).min(BINS - 1)];
        *count = count.saturating_add(1);
    }

    /// Doubles the range.
    fn widen(&mut self) {
        for bin in 0..BINS / 2 {
            self.counts[bin] = self.counts[2 * bin].saturating_add(self.counts[2 * bin + 1]);
        }
        self.counts[BINS / 2..].fill(0);
        self.width *= 2.0;
    }

    /// The scale with the smallest error, where `integer` is the largest quantized value; none where there were only zeros.
    fn scale(&self, integer: f32) -> Option<f32> {
        let last = self.counts.iter().rposition(|&count| count > 0)?;
        let most = (last + 1) as f64 * f64::from(self.width) / f64::from(integer);
        let errors = (1..=CANDIDATES).map(|part| {
            let scale = most * part as f64 / CANDIDATES as f64;
            (scale, self.error(scale, integer))
        });
        let (best, _) = errors.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some((best as f32).max(f32::MIN_POSITIVE.sqrt()))
    }

    /// The sum of square errors.
    fn error(&self, scale: f64, integer: f32) -> f64 {
        let largest = scale * f64::from(integer);
        let width = f64::from(self.width);
        let bins = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        bins.map(|(bin, &count)| {
            let value = (bin as f64 + 0.5) * width;
            let error = match value {
                value if value > largest => value - largest,
                value if value < scale / 2.0 => value,
                // evenly spread over a step
                _ => scale / 12f64.sqrt(),
            };
            f64::from(count) * error * error
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl Iterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        values.for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn values_are_counted_whatever_their_order() {
        let counted = histogram((0..5000).map(|at| ((at * 7919) % 5000) as f32 / 3.0));
        assert_eq!(counted.counts.iter().sum::<u32>(), 4999);
        assert_eq!(Histogram::default().scale(127.0), None);
    }

    #[test]
    fn an_even_spread_is_kept_whole_and_a_far_outlier_cut() {
        let even = || (0..1_000_000).map(|value| (1 + value % 10_000) as f32 / 1e4);
        let whole = histogram(even()).scale(127.0).unwrap();
        assert!((whole * 127.0 - 1.0).abs() < 0.03, "{whole}");
        let cut = histogram(even().chain([5.0])).scale(127.0).unwrap();
        assert!(cut * 127.0 < 1.5, "{cut}");
    }

    #[test]
    fn damaged_activations_and_silent_channels() {
        let channels = vec![Histogram::default(); 2];
        let mut layer = Layer { name: "layer".into(), task: 0, signed: false, channels };
        assert_eq!(layer.scales(), [1.0, 1.0]);
        layer.observe(&[0.0, 2.0]).unwrap();
        assert_eq!(layer.scales()[0], layer.scales()[1]);
        for damaged in [f32::NAN, f32::INFINITY] {
            let error = layer.observe(&[0.0, damaged]).unwrap_err();
            assert!(error.is_model() && error.to_string().contains("`layer`"), "{error}");
        }
    }
}
