//! The settings of a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::device::DeviceRequest;

/// The settings of a run that do not change the weights: folders, devices, memory.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder that the run writes. One that holds the checkpoints of another run is refused.
    pub output: PathBuf,
    /// Delete the run that the folder holds, and only its files, before this one begins.
    pub overwrite: bool,
    /// A checkpoint to continue: its `.pdparams`, its folder, or the folder of the whole run.
    pub resume: Option<PathBuf>,
    /// Initial weights: a `.pdparams` or `.safetensors` of the same network. Tensors that do not fit are skipped.
    pub pretrained: Option<PathBuf>,
    /// The device, or several that share each step. Each takes a batch of the recipe's size.
    pub devices: Vec<DeviceRequest>,
    /// Threads that read and augment images; by default half of the machine's.
    pub threads: Option<usize>,
    /// Bytes of decoded images that may be kept in memory.
    pub cache: u64,
    /// Start even if the disk seems too small for the checkpoints.
    pub ignore_disk: bool,
    /// Set it to `true` from another thread to stop the run before its next batch. The run then ends with
    /// [`Cancelled`](crate::ErrorKind::Cancelled). Its checkpoints remain and can be resumed.
    pub stop: Arc<AtomicBool>,
}

impl RunOptions {
    /// A run on the CPU that keeps up to 1 GiB of images in memory.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        RunOptions {
            output: output.into(),
            overwrite: false,
            resume: None,
            pretrained: None,
            devices: vec![DeviceRequest::Cpu],
            threads: None,
            cache: 1 << 30,
            ignore_disk: false,
            stop: Arc::default(),
        }
    }
}
