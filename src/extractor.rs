//! Images to feature vectors, on any device.

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

/// Largest difference of a feature's element between a GPU and the CPU that passes the self-test.
///
/// Features have length 1. A correct f32 GPU stays below 1e-5, one that multiplies in TF32 below 1e-3; a wrong or
/// skipped kernel is off by 1e-2 and more.
const SELF_TEST_TOLERANCE: f32 = 2e-3;

/// Turns images into feature vectors of length 1.
///
/// ```no_run,ignore-wasm32
/// use image_feature::{DecodeLimits, DeviceRequest, Extractor, Model};
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar".as_ref())?;
/// let extractor = Extractor::open(&model, DeviceRequest::Auto)?;
/// let image = image_feature::decode(&std::fs::read("photo.jpg")?, &DecodeLimits::default())?;
/// let feature = extractor.embed(&image)?;
/// assert_eq!(feature.len(), extractor.info().dimension);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Extractor {
    network: Network,
    description: ModelDescription,
    info: ExtractorInfo,
}

/// A network on a device.
enum Network {
    #[cfg(feature = "cpu")]
    Cpu(Box<cpu::Executor>),
    #[cfg(feature = "burn")]
    Burn(Box<BurnNetwork>),
}

/// How an [`Extractor`] is to work. A [`DeviceRequest`] alone is made into one.
///
/// ```
/// use image_feature::{DeviceRequest, ExtractorOptions};
///
/// let options = ExtractorOptions { threads: Some(1), ..DeviceRequest::Cpu.into() };
/// assert_eq!(options.device, DeviceRequest::Cpu);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtractorOptions {
    /// Where to compute.
    pub device: DeviceRequest,
    /// Threads on the CPU, the caller's included; by default as many as the machine runs at once. Other devices have
    /// no use for it.
    pub threads: Option<usize>,
    /// What the CPU computes in; by default what the model's file is made for: [`Dtype::I8`] where it is calibrated, else
    /// [`Dtype::F32`]. [`Dtype::F16`] is a way to keep weights and computed with as f32. Other devices compute in f32.
    pub dtype: Option<Dtype>,
}

impl From<DeviceRequest> for ExtractorOptions {
    fn from(device: DeviceRequest) -> Self {
        ExtractorOptions { device, ..Self::default() }
    }
}

/// What an [`Extractor`] is and runs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExtractorInfo {
    /// The model's name.
    pub model: String,
    /// Length of a feature vector.
    pub dimension: usize,
    /// `cpu`, `webgpu` or `cuda`.
    pub device: &'static str,
    /// Name of the GPU, where there is one.
    pub adapter: Option<String>,
    /// Threads that compute, where that is the CPU.
    pub threads: Option<usize>,
    /// Instruction set of the kernels, where the CPU computes: `avx512`, `avx2`, `neon`, `relaxed-simd`, `simd128` or
    /// `scalar`.
    pub simd: Option<&'static str>,
    /// What is computed in: `f32` or `i8`.
    pub dtype: &'static str,
    /// Why devices that come before this one were not chosen, one sentence each.
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
    /// [`DeviceRequest::Auto`] tries the devices in turn; [`ExtractorInfo::reasons`] then says why those before the
    /// chosen one were not. A GPU is trusted only after a self-test: it must give the CPU's feature for a known input.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where the named device cannot be opened or fails its self-test,
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the weights do not fit the network.
    pub async fn load(model: &Model, options: impl Into<ExtractorOptions>) -> Result<Self> {
        let options = options.into();
        Self::choose(options.device, async |candidate| Self::load_on(model, candidate, options).await).await
    }

    /// The first candidate that opens, with the reasons of those before it.
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
        if candidate == DeviceRequest::Cpu {
            return Self::on_cpu(model, options);
        }
        let gpu = Self::on_gpu(model, candidate, options.device == DeviceRequest::Auto).await?;
        // without the engine there is nothing to compare with: see `load_verified`
        if cfg!(feature = "cpu") {
            // a GPU computes in f32, whatever the CPU is to compute in
            let reference = ExtractorOptions { dtype: Some(Dtype::F32), ..options };
            let expected = Self::on_cpu(model, reference)?.probe().await?;
            gpu.verify(&expected).await?;
        }
        Ok(gpu)
    }

    /// Opens exactly the device of `request` and compares its [`probe`](Self::probe) with `expected`, a CPU's.
    ///
    /// For builds that hold no CPU engine.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn load_verified(model: &Model, request: DeviceRequest, expected: &[f32]) -> Result<Self> {
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

    /// The model, the device, and why others were not chosen.
    pub fn info(&self) -> &ExtractorInfo {
        &self.info
    }

    /// What is done to an image before it enters the network.
    pub fn preprocess(&self) -> &Preprocess {
        &self.description.preprocess
    }

    /// Values in one preprocessed image: 3 * height * width.
    fn input_len(&self) -> usize {
        let [height, width] = self.description.input_size();
        3 * height * width
    }

    /// Features of `count` preprocessed images: `count` x 3 x height x width values in, `count` x dimension out,
    /// each vector of length 1.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) where the device failed,
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a feature is zero or not finite.
    pub async fn forward(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
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

    /// Length of a [pooled](Self::pooled) vector.
    pub fn pooled_len(&self) -> usize {
        self.description.pooled_len()
    }

    /// What the last layers, those that [`finetune`](crate::finetune) teaches, are given for `count` preprocessed images: `count` x 3 x
    /// height x width values in, `count` x [`pooled_len`](Self::pooled_len) out.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub async fn pooled(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        self.check(&input, count)?;
        match &self.network {
            #[cfg(feature = "cpu")]
            Network::Cpu(executor) => executor.pooled(&input, count),
            #[cfg(feature = "burn")]
            Network::Burn(network) => network.pooled(input, count, self.description.input_size()).await,
        }
    }

    /// The feature of a fixed synthetic input: what a self-test compares between devices.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub async fn probe(&self) -> Result<Vec<f32>> {
        self.forward(probe_input(self.input_len()), 1).await
    }

    async fn verify(&self, expected: &[f32]) -> Result<()> {
        let feature = self.probe().await?;
        let difference =
            if feature.len() == expected.len() { largest_difference(&feature, expected) } else { f32::NAN };
        // written so that a NaN fails
        if difference <= SELF_TEST_TOLERANCE {
            return Ok(());
        }
        let device = self.info.adapter.as_deref().unwrap_or(self.info.device);
        Err(Error::device(format!(
            "the self-test on {device} failed: its feature differs from the CPU's by {difference} (allowed {SELF_TEST_TOLERANCE})"
        )))
    }
}

/// Blocking calls. In a browser nothing may block, so there only the async ones exist.
#[cfg(not(target_family = "wasm"))]
impl Extractor {
    /// [`load`](Self::load), blocking. A driver that panics counts as a device that cannot be opened.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(model: &Model, options: impl Into<ExtractorOptions>) -> Result<Self> {
        let options = options.into();
        pollster::block_on(Self::choose(options.device, async |candidate| {
            let attempt = || pollster::block_on(Self::load_on(model, candidate, options));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt))
                .unwrap_or_else(|_| Err(Error::device("its driver or runtime failed while it was opened")))
        }))
    }

    /// [`forward`](Self::forward), blocking.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn run(&self, input: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        pollster::block_on(self.forward(input, count))
    }

    /// The feature vector of one image.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>> {
        self.run(self.description.network_input(image)?, 1)
    }

    /// The [pooled](Self::pooled) vectors of `count` [views](crate::model::views) of an image, one after the other: what
    /// [`Samples::add`](crate::finetune::Samples::add) takes.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn pooled_views(&self, image: &RgbImage, count: usize) -> Result<Vec<f32>> {
        pollster::block_on(self.pooled(crate::model::views(&self.description, image, count)?, count))
    }

    /// The feature vectors of several images, run as one batch.
    ///
    /// # Errors
    /// As [`forward`](Self::forward). No images give no features.
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
/// Paddle lets a vector of length zero become NaN; here it is an error, since nothing can be searched with it.
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

/// NaN where any difference is: `f32::max` would drop it.
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
