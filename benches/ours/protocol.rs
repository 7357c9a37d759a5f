//! The line protocol: a first line with version and threads, then one line of JSON for each request line.

use std::io::{BufRead, Write};
use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;

/// Answers requests until the input ends. `infer` does the work once and gives its output.
pub fn serve(about: Value, mut infer: impl FnMut() -> Result<Vec<f32>>) -> Result<()> {
    answer(&about)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["features"] => answer(&json!(infer()?))?,
            ["run", count] => {
                let mut times = Vec::new();
                for _ in 0..count.parse()? {
                    let start = Instant::now();
                    std::hint::black_box(infer()?);
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                }
                answer(&json!(times))?;
            }
            ["rss"] => answer(&json!(peak_memory()?))?,
            _ => return Err(format!("unknown request `{line}`: there are features, run N, rss").into()),
        }
    }
    Ok(())
}

fn answer(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

/// The first `batch` images of a file of f32 values, each `len` values long.
pub fn read_inputs(path: &str, batch: usize, len: usize) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let wanted = bytes.get(..batch * len * 4).ok_or_else(|| format!("{path} holds fewer than {batch} images"))?;
    Ok(wanted.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().expect("four bytes"))).collect())
}

/// The peak memory of this process, in bytes (VmHWM).
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|_| "peak memory needs Linux's /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("/proc/self/status has no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
