//! Opens the devices of a run.

use burn::tensor::Device;

use crate::device::DeviceRequest;
use crate::{Error, Result};

/// The devices, and their names joined.
pub(super) fn open(requests: &[DeviceRequest]) -> Result<(Vec<Device>, String)> {
    let named: Vec<_> = requests.iter().filter(|request| matches!(request, DeviceRequest::Cuda(_))).collect();
    if let Some(twice) = named.iter().enumerate().find_map(|(place, one)| named[..place].contains(one).then_some(one)) {
        return Err(Error::usage(format!("{twice} is named twice")));
    }
    if requests.is_empty() {
        return Err(Error::usage("no device is named"));
    }
    let opened = requests.iter().map(|&request| open_one(request)).collect::<Result<Vec<_>>>()?;
    let (devices, names): (Vec<Device>, Vec<String>) = opened.into_iter().unzip();
    Ok((devices, names.join(" + ")))
}

fn open_one(request: DeviceRequest) -> Result<(Device, String)> {
    match request {
        DeviceRequest::Auto | DeviceRequest::Cpu => Ok((Device::flex(), "cpu".into())),
        named => {
            let opened = pollster::block_on(crate::device::OpenDevice::open(named))?;
            let adapter = opened.adapter.map_or(String::new(), |adapter| format!(" ({adapter})"));
            Ok((opened.device, format!("{}{adapter}", opened.kind)))
        }
    }
}
