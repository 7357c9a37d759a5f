//! The choice of a device, and opening Burn's devices.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The device to compute on.
///
/// ```
/// use image_feature::DeviceRequest;
///
/// assert_eq!("cuda:1".parse::<DeviceRequest>()?, DeviceRequest::Cuda(1));
/// assert_eq!(DeviceRequest::Auto.to_string(), "auto");
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceRequest {
    /// The first of these that works: CUDA, a hardware GPU through wgpu, the CPU. Only compiled devices are tried.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU through wgpu: WebGPU in browsers; Vulkan, Metal, DX12 or GL natively. Needs the feature `webgpu`. Accepts a
    /// software adapter, too.
    WebGpu,
    /// The NVIDIA GPU with this index. Needs the feature `cuda`.
    Cuda(usize),
}

impl FromStr for DeviceRequest {
    type Err = Error;

    /// Reads `auto`, `cpu`, `webgpu`, `cuda` or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::usage(format!("unknown device `{text}`; known are auto, cpu, webgpu, cuda and cuda:N"));
        Ok(match text {
            "auto" => DeviceRequest::Auto,
            "cpu" => DeviceRequest::Cpu,
            "webgpu" => DeviceRequest::WebGpu,
            "cuda" => DeviceRequest::Cuda(0),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                DeviceRequest::Cuda(index.parse().map_err(|_| unknown())?)
            }
        })
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceRequest::Auto => f.write_str("auto"),
            DeviceRequest::Cpu => f.write_str("cpu"),
            DeviceRequest::WebGpu => f.write_str("webgpu"),
            DeviceRequest::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceRequest {
    /// The devices to try, the best first. Only [`Auto`](Self::Auto) gives more than one.
    #[cfg(any(feature = "cpu", feature = "burn"))]
    pub(crate) fn candidates(self) -> Vec<DeviceRequest> {
        match self {
            DeviceRequest::Auto => {
                let mut candidates = Vec::new();
                if cfg!(feature = "cuda") {
                    candidates.push(DeviceRequest::Cuda(0));
                }
                if cfg!(feature = "webgpu") {
                    candidates.push(DeviceRequest::WebGpu);
                }
                candidates.push(DeviceRequest::Cpu);
                candidates
            }
            named => vec![named],
        }
    }
}

/// An open device of Burn's.
#[cfg(feature = "burn")]
#[derive(Clone, Debug)]
pub(crate) struct OpenDevice {
    pub device: burn::tensor::Device,
    /// `webgpu` or `cuda`.
    pub kind: &'static str,
    /// Name of the GPU, where there is one.
    pub adapter: Option<String>,
    /// Whether the CPU emulates the GPU.
    pub software: bool,
}

#[cfg(feature = "burn")]
impl OpenDevice {
    /// Opens the device that `request` names. `Auto` names none.
    pub async fn open(request: DeviceRequest) -> Result<Self> {
        match request {
            DeviceRequest::Auto | DeviceRequest::Cpu => {
                Err(Error::internal(format!("`{request}` is none of Burn's devices")))
            }
            #[cfg(feature = "webgpu")]
            DeviceRequest::WebGpu => webgpu::open().await,
            #[cfg(not(feature = "webgpu"))]
            DeviceRequest::WebGpu => Err(not_compiled("webgpu", "webgpu")),
            #[cfg(feature = "cuda")]
            DeviceRequest::Cuda(index) => Ok(OpenDevice {
                device: burn::tensor::Device::cuda(index),
                kind: "cuda",
                adapter: Some(format!("CUDA device {index}")),
                software: false,
            }),
            #[cfg(not(feature = "cuda"))]
            DeviceRequest::Cuda(_) => Err(not_compiled("cuda", "cuda")),
        }
    }
}

#[cfg(any(feature = "cpu", feature = "burn"))]
#[allow(dead_code)] // unused where every device is compiled in
pub(crate) fn not_compiled(device: &str, feature: &str) -> Error {
    Error::device(format!("{device} is not in this build; compile with the feature `{feature}`"))
}

#[cfg(feature = "webgpu")]
mod webgpu {
    use std::sync::Mutex;

    use burn::tensor::Device;
    use burn_wgpu::WgpuSetup;

    use super::OpenDevice;
    use crate::{Error, Result};

    /// The open device. Burn never releases a device and refuses a second one, so the first is kept and cloned.
    static OPENED: Mutex<Option<OpenDevice>> = Mutex::new(None);

    fn opened() -> Option<OpenDevice> {
        OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub async fn open() -> Result<OpenDevice> {
        if let Some(device) = opened() {
            return Ok(device);
        }
        let (device, setup): (Device, WgpuSetup) =
            Device::wgpu_options().init_with_setup_async().await.map_err(|error| {
                Error::device(format!("no GPU could be opened: {error}")).with_source(error.to_string())
            })?;
        let info = setup.adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let name = if info.name.is_empty() { "unnamed adapter".into() } else { info.name };
        let adapter = Some(format!("{name} ({:?})", info.backend));
        let device = OpenDevice { device, kind: "webgpu", adapter, software };
        *OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(device.clone());
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_back_what_they_print() {
        for request in [DeviceRequest::Auto, DeviceRequest::Cpu, DeviceRequest::WebGpu, DeviceRequest::Cuda(3)] {
            assert_eq!(request.to_string().parse::<DeviceRequest>().unwrap(), request);
        }
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(wrong.parse::<DeviceRequest>().unwrap_err().to_string().contains("known are"), "{wrong}");
        }
    }
}
