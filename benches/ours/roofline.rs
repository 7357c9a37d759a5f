//! The roofline: the speed of each task beside the core's peak.

use std::time::{Duration, Instant};

use image_feature::engine::cpu::Options;
use serde_json::json;

use crate::{Result, engine, peak, protocol};

/// Measures peak and tasks in turns, with one thread and one image. Keeps the best of each, because other work on the
/// machine can only make them slower.
pub fn print(model: &str, inputs: &str, rounds: usize) -> Result<()> {
    let (executor, len) = engine::open(model, Options { threads: Some(1), ..Options::default() })?;
    let image = protocol::read_inputs(inputs, 1, len)?;
    let started = Instant::now();
    let now = || started.elapsed();
    let set = executor.instruction_set();
    let mut peak = 0.0f64;
    let mut tasks = executor.profile(&image, now)?;
    for _ in 0..rounds {
        let measured = peak::macs_per_second(set).ok_or_else(|| format!("no peak is known for `{set}`"))?;
        peak = peak.max(measured);
        for (best, task) in tasks.iter_mut().zip(executor.profile(&image, now)?) {
            best.time = best.time.min(task.time);
        }
    }
    let rate = |macs: u64, time: Duration| macs as f64 / time.as_secs_f64().max(1e-9);
    let steps: Vec<_> = tasks
        .iter()
        .map(|task| {
            json!({
                "name": task.name,
                "macs": task.macs,
                "ms": task.time.as_secs_f64() * 1e3,
                "macs_per_second": rate(task.macs, task.time),
            })
        })
        .collect();
    println!("{}", json!({ "instruction_set": set, "peak_macs_per_second": peak, "steps": steps }));
    Ok(())
}
