//! Right and wrong plans, through the check and the CPU engine: wrong ones are refused, all others stay within their
//! memory and compute the same as plain loops. `./build.sh sanitize` runs these tests under AddressSanitizer.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

#[path = "../common/mod.rs"]
mod common;
mod drawn;
#[cfg(feature = "gpu-native")]
mod gpu;
mod maps;
mod mutations;
mod parts;
mod reference;
mod wrong;
