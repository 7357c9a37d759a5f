//! The extractor: images to feature vectors, on any device.

#[cfg(feature = "burn")]
mod burn;

use serde::Serialize;

#[cfg(feature = "burn")]
use self::burn::BurnNetwork;
use crate::device::DeviceRequest;
#[cfg(feature = "cpu")]
use crate::engine::{Plan, cpu};
use crate::image::Preprocess;
#[cfg(not(target_family = "wasm"))]
use crate::image::RgbImage;
use crate::model::ModelDescription;
use crate::weights::{Dtype, Model};
use crate::{Error, Result};

/// The self-test accepts this difference between a GPU and the CPU in any element of a feature.
///
/// Features have length 1. A correct GPU differs by less than 1e-5 in f32 and less than 1e-3 in TF32; a wrong or
/// skipped kernel by 1e-2 or more.
const SELF_TEST_TOLERANCE: f32 = 2e-3;

/// Turns images into feature vectors of length 1.
///
/// Methods whose names end in `_async` are async. All others block; a browser does not allow that, so most of them
/// exist natively only.
///
#[cfg_attr(all(feature = "cpu", feature = "default-model"), doc = "```ignore-wasm32")]
#[cfg_attr(not(all(feature = "cpu", feature = "default-model")), doc = "```ignore")]
/// use image_feature::{DeviceRequest, Extractor, Model, RgbImage};
///
/// let model = Model::bundled()?;
/// let extractor = Extractor::open(&model, DeviceRequest::Auto)?;
/// let grey = RgbImage::new(32, 32, vec![128; 32 * 32 * 3])?;
/// let feature = extractor.embed(&grey)?;
/// assert_eq!(feature.len(), extractor.info().dimension);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Extractor {
    network: Network,
    description: ModelDescription,
    info: ExtractorInfo,
}

/// A network and its device.
enum Network {
    #[cfg(feature = "cpu")]
    Cpu(Box<cpu::Executor>),
    #[cfg(feature = "burn")]
    Burn(Box<BurnNetwork>),
}

/// Options of an [`Extractor`]. A [`DeviceRequest`] alone converts into them.
///
/// ```
/// use image_feature::{DeviceRequest, ExtractorOptions};
///
/// let options = ExtractorOptions { threads: Some(1), ..DeviceRequest::Cpu.into() };
/// assert_eq!(options.device, DeviceRequest::Cpu);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtractorOptions {
    /// The device to compute on.
    pub device: DeviceRequest,
    /// Number of threads on the CPU, the caller's included. The default is the number that the machine runs at once.
    /// Other devices ignore it.
    pub threads: Option<usize>,
    /// The type of numbers that the CPU computes in. The default is [`Dtype::I8`] for a calibrated model, else
    /// [`Dtype::F32`]. [`Dtype::F16`] computes in f32, since f16 is a type of storage only. Other devices always
    /// compute in f32.
    pub dtype: Option<Dtype>,
}

impl From<DeviceRequest> for ExtractorOptions {
    fn from(device: DeviceRequest) -> Self {
        ExtractorOptions { device, ..Self::default() }
    }
}

/// Facts about an [`Extractor`]: its model and its device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExtractorInfo {
    /// The model's name.
    pub model: String,
    /// Length of a feature vector.
    pub dimension: usize,
    /// `cpu`, `webgpu` or `cuda`.
    pub device: &'static str,
    /// Name of the GPU, where there is one.
    pub adapter: Option<String>,
    /// Number of threads, where the device is the CPU.
    pub threads: Option<usize>,
    /// Instruction set of the kernels, where the device is the CPU: `avx512`, `avx2`, `neon`, `relaxed-simd`, `simd128`
    /// or `scalar`.
    pub simd: Option<&'static str>,
    /// The type of numbers that it computes in: `f32` or `i8`.
    pub dtype: &'static str,
    /// Why better devices were not chosen, one sentence for each.
    pub reasons: Vec<String>,
}

impl ExtractorInfo {
    fn new(model: &Model, device: &'static str) -> Self {
        ExtractorInfo {
            model: model.description.name.clone(),
            dimension: model.description.dimension(),
            device,
            adapter: None,
            threads: None,
            simd: None,
            dtype: "f32",
            reasons: Vec::new(),
        }
    }
}

impl Extractor {
    /// Opens a device and puts the model on it.
    ///
    /// [`DeviceRequest::Auto`] tries the devices in turn; [`ExtractorInfo::reasons`] then tells why better ones were
    /// not chosen. A GPU must pass a self-test: for a fixed input it must give the same feature as the CPU.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where the named device cannot be opened or fails its self-test,
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the weights do not fit the network,
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a detector, which gives no features.
    pub async fn open_async(model: &Model, options: impl Into<ExtractorOptions>) -> Result<Self> {
        let options = options.into();
        Self::choose(options.device, async |candidate| Self::load_on(model, candidate, options).await).await
    }

    /// The first candidate that opens, with the errors of those before it as reasons.
    async fn choose(request: DeviceRequest, attempt: impl AsyncFn(DeviceRequest) -> Result<Self>) -> Result<Self> {
        let mut reasons = Vec::new();
        for candidate in request.candidates() {
            match attempt(candidate).await {
                Ok(mut extractor) => {
                    extractor.info.reasons = reasons;
                    return Ok(extractor);
                }
                Err(error) if request == DeviceRequest::Auto && error.is_device() => {
                    reasons.push(format!("{candidate}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::device(format!("no device could be opened: {}", reasons.join("; "))))
    }

    async fn load_on(model: &Model, candidate: DeviceRequest, options: ExtractorOptions) -> Result<Self> {
        model.description.expect_features()?;
        if candidate == DeviceRequest::Cpu {
            return Self::on_cpu(model, options);
        }
        let gpu = Self::on_gpu(model, candidate, options.device == DeviceRequest::Auto).await?;
        // without the engine there is no reference: see `open_verified_async`
        if cfg!(feature = "cpu") {
            // a GPU computes in f32, so the reference must, too
            let reference = ExtractorOptions { dtype: Some(Dtype::F32), ..options };
            let expected = Self::on_cpu(model, reference)?.probe_async().await?;
            gpu.verify(&expected).await?;
        }
        Ok(gpu)
    }

    /// Opens exactly the device of `request`, and compares its [probe](Self::probe_async) with `expected`, the probe of
    /// a CPU.
    ///
    /// A build without the CPU engine needs this: it has no reference of its own.
    ///
    /// # Errors
    /// As [`open_async`](Self::open_async).
    pub async fn open_verified_async(model: &Model, request: DeviceRequest, expected: &[f32]) -> Result<Self> {
        model.description.expect_features()?;
        let extractor = match request {
            DeviceRequest::Cpu => Self::on_cpu(model, request.into())?,
            _ => Self::on_gpu(model, request, false).await?,
        };
        extractor.verify(expected).await?;
        Ok(extractor)
    }

    #[cfg(feature = "cpu")]
    fn on_cpu(model: &Model, options: ExtractorOptions) -> Result<Self> {
        let plan = Plan::of_model(model, options.dtype)?;
        let dtype = if plan.is_quantized() { "i8" } else { "f32" };
        let executor = cpu::Executor::new(plan, cpu::Options { threads: options.threads, ..cpu::Options::default() })?;
        let info = ExtractorInfo {
            threads: Some(executor.threads()),
            simd: Some(executor.instruction_set()),
            dtype,
            ..ExtractorInfo::new(model, "cpu")
        };
        Ok(Extractor { network: Network::Cpu(Box::new(executor)), description: model.description.clone(), info })
    }

    #[cfg(not(feature = "cpu"))]
    fn on_cpu(_: &Model, _: ExtractorOptions) -> Result<Self> {
        Err(crate::device::not_compiled("cpu", "cpu"))
    }

    #[cfg(feature = "burn")]
    async fn on_gpu(model: &Model, request: DeviceRequest, hardware_only: bool) -> Result<Self> {
        let opened = crate::device::OpenDevice::open(request).await?;
        if opened.software && hardware_only {
            let adapter = opened.adapter.unwrap_or_default();
            return Err(Error::device(format!("{adapter} is a software adapter, slower than the CPU itself")));
        }
        let info = ExtractorInfo { adapter: opened.adapter, ..ExtractorInfo::new(model, opened.kind) };
        let network = Network::Burn(Box::new(BurnNetwork::new(model, opened.device)?));
        Ok(Extractor { network, description: model.description.clone(), info })
    }

    #[cfg(not(feature = "burn"))]
    async fn on_gpu(_: &Model, request: DeviceRequest, _: bool) -> Result<Self> {
        let feature = if request == DeviceRequest::WebGpu { "webgpu" } else { "cuda" };
        Err(crate::device::not_compiled(feature, feature))
    }

    /// Facts about the model and the device.
    pub fn info(&self) -> &ExtractorInfo {
        &self.info
    }

    /// The preprocessing of an image before the network.
    pub fn preprocess(&self) -> &Preprocess {
        &self.description.preprocess
    }

    /// Number of values in one preprocessed image: 3 x height x width.
    fn input_len(&self) -> usize {
        let [height, width] = self.description.input_size();
        3 * height * width
    }

    /// The features of `count` preprocessed images.
    ///
    /// `input` holds `count` x 3 x height x width values; the result holds `count` x dimension, each vector of length
    /// 1.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where the device fails,
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a feature is zero or not finite.
    pub async fn run_async(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        self.check(&input, count)?;
        let mut features = match &self.network {
            #[cfg(feature = "cpu")]
            Network::Cpu(executor) => executor.run(&input, count)?,
            #[cfg(feature = "burn")]
            Network::Burn(network) => network.run(input, count, self.description.input_size()).await?,
        };
        features.chunks_exact_mut(self.info.dimension).try_for_each(normalize)?;
        Ok(features)
    }

    fn check(&self, input: &[f32], count: usize) -> Result<()> {
        if count == 0 || count.checked_mul(self.input_len()) != Some(input.len()) {
            return Err(Error::usage(format!(
                "{count} images of {} values each were announced, {} values were given",
                self.input_len(),
                input.len()
            )));
        }
        Ok(())
    }

    /// Length of a [pooled](Self::pooled_async) vector.
    pub fn pooled_len(&self) -> usize {
        self.description.pooled_len()
    }

    /// The pooled vectors of `count` preprocessed images: the input of the last layers, which
    /// [`finetune`](crate::finetune) trains.
    ///
    /// `input` holds `count` x 3 x height x width values; the result holds `count` x [`pooled_len`](Self::pooled_len).
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async).
    pub async fn pooled_async(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        self.check(&input, count)?;
        match &self.network {
            #[cfg(feature = "cpu")]
            Network::Cpu(executor) => executor.pooled(&input, count),
            #[cfg(feature = "burn")]
            Network::Burn(network) => network.pooled(input, count, self.description.input_size()).await,
        }
    }

    /// The feature of a fixed synthetic input. The self-test compares it between devices.
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async).
    pub async fn probe_async(&self) -> Result<Vec<f32>> {
        self.run_async(probe_input(self.input_len()), 1).await
    }

    async fn verify(&self, expected: &[f32]) -> Result<()> {
        let feature = self.probe_async().await?;
        let difference =
            if feature.len() == expected.len() { largest_difference(&feature, expected) } else { f32::NAN };
        // with `<=` a NaN fails
        if difference <= SELF_TEST_TOLERANCE {
            return Ok(());
        }
        let device = self.info.adapter.as_deref().unwrap_or(self.info.device);
        Err(Error::device(format!(
            "the self-test on {device} failed: its feature differs from the CPU's by {difference} (allowed {SELF_TEST_TOLERANCE})"
        )))
    }
}

/// Blocking calls. They do not exist in a browser, where nothing may block.
#[cfg(not(target_family = "wasm"))]
impl Extractor {
    /// Opens a device and puts the model on it: [`open_async`](Self::open_async), blocking.
    ///
    /// A driver that panics counts as a device that cannot be opened.
    ///
    /// # Errors
    /// As [`open_async`](Self::open_async).
    pub fn open(model: &Model, options: impl Into<ExtractorOptions>) -> Result<Self> {
        let options = options.into();
        pollster::block_on(Self::choose(options.device, async |candidate| {
            let attempt = || pollster::block_on(Self::load_on(model, candidate, options));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt))
                .unwrap_or_else(|_| Err(Error::device("its driver or runtime failed while it was opened")))
        }))
    }

    /// The features of `count` preprocessed images: [`run_async`](Self::run_async), blocking.
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async).
    pub fn run(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        pollster::block_on(self.run_async(input, count))
    }

    /// The feature vector of one image, of length 1.
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async), and as [`ModelDescription::network_input`].
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.run(self.description.network_input(image)?, 1)
    }

    /// The [pooled](Self::pooled_async) vectors of `count` [views](crate::model::views) of an image, one after the
    /// other.
    ///
    /// [`Samples::add`](crate::finetune::Samples::add) takes them.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn pooled_views(&self, image: &RgbImage, count: usize) -> Result<Vec<f32>> {
        pollster::block_on(self.pooled_async(crate::model::views(&self.description, image, count)?, count))
    }

    /// The feature vectors of several images, computed as one batch. Without images there are no features.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn embed_batch(&self, images: &[RgbImage]) -> Result<Vec<Vec<f32>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let len = self.input_len();
        let mut input = vec![0.0; len * images.len()];
        for (image, values) in images.iter().zip(input.chunks_exact_mut(len)) {
            self.description.preprocess.apply_into(image, values)?;
        }
        let features = self.run(input, images.len())?;
        Ok(features.chunks_exact(self.info.dimension).map(<[f32]>::to_vec).collect())
    }
}

/// Divides a vector by its length, as PaddleX does after the network.
///
/// In Paddle a vector of length zero becomes NaN; here it is an error.
fn normalize(feature: &mut [f32]) -> Result<()> {
    let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(Error::model(format!(
            "the network gave a feature of length {length}, which cannot be normalised; are its weights damaged?"
        )));
    }
    feature.iter_mut().for_each(|value| *value /= length);
    Ok(())
}

/// The largest absolute difference; NaN if any difference is NaN, which `f32::max` would drop.
fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    let mut largest = 0.0;
    for (a, b) in a.iter().zip(b) {
        let difference = (a - b).abs();
        if difference.is_nan() {
            return difference;
        }
        largest = f32::max(largest, difference);
    }
    largest
}

/// Pseudo-random values in [-2, 2), the range of normalised pixels.
fn probe_input(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|index| {
            let hash = index.wrapping_mul(0x9E37_79B9).rotate_left(15).wrapping_mul(0x85EB_CA6B);
            (hash >> 8) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_gets_length_one_and_a_zero_one_is_refused() {
        let mut feature = [3.0, 4.0];
        normalize(&mut feature).unwrap();
        assert_eq!(feature, [0.6, 0.8]);
        assert!(normalize(&mut [0.0, 0.0]).unwrap_err().is_model());
        assert!(normalize(&mut [f32::NAN, 1.0]).unwrap_err().is_model());
        assert!(normalize(&mut [f32::INFINITY, 1.0]).unwrap_err().is_model());
    }

    #[test]
    fn differences_do_not_hide_nan() {
        assert_eq!(largest_difference(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert!(largest_difference(&[1.0, f32::NAN, 2.0], &[1.0, 0.0, 2.0]).is_nan());
    }

    #[test]
    fn the_probe_is_spread_over_its_range() {
        let values = probe_input(3 * 224 * 224);
        assert!(values.iter().all(|value| (-2.0..2.0).contains(value)));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.05, "{mean}");
    }
}
