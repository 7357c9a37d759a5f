//! Galleries as contenders, and reading as many bytes for comparison.

use std::io::{BufWriter, Write};

use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
use serde_json::json;

use crate::{Result, protocol};

/// Hits of each query.
const K: usize = 10;
/// Vectors of a cluster, on average.
const ABOUT: usize = 20;
/// The distance of vectors from the centre of their cluster.
const SPREAD: f32 = 1.1;

/// Writes vectors of length 1 in clusters, like the features of photos of things: `count` for the gallery, then `queries` of
/// the same kind.
pub fn write_vectors(path: &str, dimension: usize, count: usize, queries: usize) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for number in 0..count + queries {
        let centre = mix(number as u64) % (count / ABOUT).max(1) as u64;
        let value = |at: usize| {
            let own = unit(mix((number * dimension + at) as u64 ^ 0x5eed << 40));
            unit(mix(centre * dimension as u64 + at as u64)) + SPREAD * own
        };
        let vector: Vec<f32> = (0..dimension).map(value).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        for value in vector {
            file.write_all(&(value / length).to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0xD129_0D3F_5EED_0001);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A value in [-1, 1).
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Answers requests with the hits of all queries in a gallery. The file has `count` vectors for the gallery, then the
/// queries.
pub fn serve(path: &str, dimension: usize, count: usize, queries: usize, storage: &str) -> Result<()> {
    let mut gallery = Gallery::new(dimension, Metric::Cosine, storage.parse::<Storage>()?)?;
    let all = protocol::read_inputs(path, count + queries, dimension)?;
    let (vectors, queries) = all.split_at(count * dimension);
    for (part, vectors) in vectors.chunks(10_000 * dimension).enumerate() {
        let ids = (0..vectors.len() / dimension).map(|id| Entry::new((10_000 * part + id).to_string()));
        gallery.extend(ids.collect(), vectors)?;
    }
    let queries = queries.to_vec();
    drop(all);
    let search = Search { k: K, ..Search::default() };
    let run = || {
        let hits = match queries.len() / dimension {
            1 => vec![gallery.search(&queries, search)?],
            _ => gallery.search_many(&queries, search)?,
        };
        let ids = hits.iter().flatten().map(|hit| hit.entry.id.parse::<f32>());
        Ok(ids.collect::<std::result::Result<Vec<f32>, _>>()?)
    };
    let version = format!("{} {}", env!("CARGO_PKG_VERSION"), gallery.instruction_set());
    protocol::serve(json!({ "version": version, "threads": rayon::current_num_threads() }), run)
}

/// Answers requests by reading as many bytes as a search, without other work: the speed of the memory.
pub fn read(bytes: usize) -> Result<()> {
    let mut words: Vec<u64> = Vec::with_capacity(bytes / 8);
    // large pages, with which reading is fastest
    #[cfg(target_os = "linux")]
    // SAFETY: the range lies inside the allocation: it begins less than 64 KiB behind its start and is 128 KiB shorter.
    // MADV_HUGEPAGE changes no content.
    unsafe {
        let start = words.as_mut_ptr().cast::<u8>().map_addr(|address| address.next_multiple_of(1 << 16));
        libc::madvise(start.cast(), bytes.saturating_sub(1 << 17), libc::MADV_HUGEPAGE);
    }
    words.extend((0..bytes as u64 / 8).map(mix));
    let threads = rayon::current_num_threads();
    let run = || {
        let mut sums = vec![0u64; threads];
        rayon::scope(|scope| {
            for (sum, words) in sums.iter_mut().zip(words.chunks(words.len().div_ceil(threads))) {
                scope.spawn(move |_| {
                    // enough independent sums to hide the latency of an operation
                    let mut parts = [0u64; 32];
                    for words in words.as_chunks::<32>().0 {
                        for (part, word) in parts.iter_mut().zip(words) {
                            *part ^= word;
                        }
                    }
                    *sum = parts.iter().fold(0, |all, part| all ^ part);
                });
            }
        });
        Ok(vec![sums.iter().fold(0, |all, sum| all ^ sum) as f32])
    };
    protocol::serve(json!({ "version": "", "threads": threads }), run)
}
