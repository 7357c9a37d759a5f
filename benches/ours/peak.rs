//! What a core can do at most: multiply-adds on registers, without a load or a store.

use std::hint::black_box;
use std::time::Instant;

/// Steps of a burst: a few milliseconds.
const STEPS: u64 = 1 << 20;

/// Multiply-accumulate operations in a second that one core reaches with an instruction set's f32 instructions, in one
/// burst of some milliseconds. `None` where this program does not know the set, or the machine does not have it. The names
/// are those of `engine::cpu::instruction_sets`.
pub fn macs_per_second(instruction_set: &str) -> Option<f64> {
    let start = Instant::now();
    let macs_per_step = match instruction_set {
        #[cfg(target_arch = "x86_64")]
        "avx512" if is_x86_feature_detected!("avx512f") => {
            // SAFETY: the machine has AVX-512 F
            unsafe { x86::avx512(STEPS) }
        }
        #[cfg(target_arch = "x86_64")]
        "avx2" if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => {
            // SAFETY: the machine has AVX2 and FMA
            unsafe { x86::avx2(STEPS) }
        }
        #[cfg(target_arch = "aarch64")]
        "neon" if std::arch::is_aarch64_feature_detected!("neon") => {
            // SAFETY: the machine has NEON
            unsafe { arm::neon(STEPS) }
        }
        "scalar" => scalar(STEPS),
        _ => return None,
    };
    Some((STEPS * macs_per_step) as f64 / start.elapsed().as_secs_f64())
}

/// Independent sums: more than the latency of a multiply-add times how many start in a cycle, on any core known to us
/// (4 to 5 cycles, two or four a cycle), few enough for 16 registers with the two factors.
const SUMS: usize = 12;
/// Those of instruction sets with 32 registers.
const MANY_SUMS: usize = 24;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{MANY_SUMS, SUMS, black_box};

    #[target_feature(enable = "avx512f")]
    pub fn avx512(steps: u64) -> u64 {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums = [black_box(a); MANY_SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (MANY_SUMS * 16) as u64
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(steps: u64) -> u64 {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut sums = [black_box(a); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (SUMS * 8) as u64
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{MANY_SUMS, black_box};

    #[target_feature(enable = "neon")]
    pub fn neon(steps: u64) -> u64 {
        let (a, b) = (vdupq_n_f32(black_box(0.5)), vdupq_n_f32(black_box(1.0)));
        let mut sums = [black_box(a); MANY_SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = vfmaq_f32(b, *sum, a);
            }
        }
        black_box(sums);
        (MANY_SUMS * 4) as u64
    }
}

/// Multiplication and addition apart, as the plain kernels have them; the compiler may use the target's own vectors.
fn scalar(steps: u64) -> u64 {
    let (a, b) = (black_box(0.5f32), black_box(1.0f32));
    let mut sums = [a; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * a + b;
        }
    }
    black_box(sums);
    SUMS as u64
}
