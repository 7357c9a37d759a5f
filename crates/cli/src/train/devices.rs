//! Names of the devices that train together.

use image_feature::{DeviceRequest, Error, Result};

/// Devices that share the steps of a run; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Devices(pub(super) Vec<DeviceRequest>);

/// Reads `--device`: a device's name, or several GPUs as `cuda:0,1` or, as in PaddleX, `gpu:0,1`.
pub(super) fn devices(text: &str) -> Result<Devices> {
    match text.strip_prefix("cuda:").or_else(|| text.strip_prefix("gpu:")) {
        Some(places) => gpus(places).ok_or_else(|| Error::usage(format!("`{text}`: expected numbers, as in cuda:0,1"))),
        None => Ok(Devices(vec![text.parse()?])),
    }
}

/// Reads PaddleX's names of devices: `cpu`, `gpu`, `gpu:0`, `gpu:0,1`.
pub fn paddle_devices(text: &str) -> Result<Devices> {
    let (kind, places) = text.split_once(':').unwrap_or((text, "0"));
    match kind {
        "cpu" => Ok(Devices(vec![DeviceRequest::Cpu])),
        "gpu" => gpus(places)
            .ok_or_else(|| Error::usage(format!("Global.device is `{text}`; expected gpu:0, gpu:0,1 or cpu"))),
        _ => Err(Error::usage(format!("Global.device is `{text}`; cpu and gpu:N are known"))),
    }
}

/// The device for work on one device: the first, as in PaddleX.
pub fn paddle_device(text: &str) -> Result<DeviceRequest> {
    let Devices(devices) = paddle_devices(text)?;
    devices.first().copied().ok_or_else(|| Error::usage(format!("Global.device is `{text}`; no device is named")))
}

fn gpus(places: &str) -> Option<Devices> {
    let indices = places.split(',').map(|place| Some(DeviceRequest::Cuda(place.trim().parse().ok()?)));
    indices.collect::<Option<_>>().map(Devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_in_two_ways() {
        let gpus = |indices: &[usize]| Devices(indices.iter().map(|&index| DeviceRequest::Cuda(index)).collect());
        assert_eq!(devices("cuda:0,1").unwrap(), gpus(&[0, 1]));
        assert_eq!(devices("gpu:2").unwrap(), gpus(&[2]));
        assert_eq!(devices("cpu").unwrap(), Devices(vec![DeviceRequest::Cpu]));
        assert_eq!(paddle_devices("gpu:0,1,2,3").unwrap(), gpus(&[0, 1, 2, 3]));
        assert_eq!(paddle_devices("gpu").unwrap(), gpus(&[0]));
        assert_eq!(paddle_device("gpu:1, 0").unwrap(), DeviceRequest::Cuda(1));
        for wrong in ["cuda:", "cuda:0,", "cuda:0,x", "gpu:a", "tpu"] {
            assert!(devices(wrong).is_err() && paddle_devices(wrong).is_err(), "{wrong}");
        }
    }
}
