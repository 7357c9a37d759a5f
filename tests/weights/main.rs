//! Reading model files: every format against the golden files, and damaged files against clear errors.
//!
//! The golden weights follow a closed formula of their names (`../shared/golden/scripts/detweights.py`), so each value
//! is checked, not a checksum. Where `../shared` is absent the tests that need it say so and pass.
#![cfg(not(target_arch = "wasm32"))]

mod archives;
mod formula;
mod golden;
mod graphs;
mod hostile;
mod pickles;
mod quantized;
mod safetensors_files;
mod small;
mod support;
mod transformers;
