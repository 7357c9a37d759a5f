//! The kernels of the scan, compiled for each instruction set.

use super::super::lanes::{self, Stored};

/// Registers of sums of a row: enough to hide the latency of an addition. Rows are read one after the other, because
/// processors prefetch what is read in order; several rows at a time reach 40 % of the memory's rate.
const CHAINS: usize = 4;

/// Arguments: a query, rows, values of each, the number of rows, the products.
type Dots<T> = unsafe fn(*const f32, *const T, usize, usize, *mut f32);

/// The kernels, compiled for one instruction set.
///
/// # Safety
/// For each function: the machine has the instruction set ([`available`] lists only such), and pointers are valid for
/// as many values as the numbers beside them say.
#[derive(Clone, Copy)]
pub(super) struct ScanKernels {
    /// The instruction set.
    pub name: &'static str,
    pub dots_f32: Dots<f32>,
    pub dots_f16: Dots<u16>,
    pub dots_i8: Dots<i8>,
    pub differing_bits: unsafe fn(&[u64], &[u64], &mut [u16]),
    pub widen_f16: unsafe fn(*const u16, *mut f32, usize),
    pub widen_i8: unsafe fn(*const i8, *mut f32, usize),
}

/// A type in which a row's values are stored.
trait Value<V: Stored>: Copy {
    /// # Safety
    /// The instruction set of `V` is enabled, and `from` is valid for as many values as `V` has lanes.
    unsafe fn load(from: *const Self) -> V;
    fn to_f32(self) -> f32;
}

impl<V: Stored> Value<V> for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> V {
        // SAFETY: the caller's contract, passed on
        unsafe { V::load(from) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl<V: Stored> Value<V> for u16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> V {
        // SAFETY: the caller's contract, passed on
        unsafe { V::load_f16(from) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        half::f16::from_bits(self).to_f32_const()
    }
}

impl<V: Stored> Value<V> for i8 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> V {
        // SAFETY: the caller's contract, passed on
        unsafe { V::load_i8(from) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

/// The product of a query with each of `count` rows.
///
/// # Safety
/// The instruction set of `V` is enabled; `query` is valid for `len` values, `rows` for `count` rows of as many, and
/// `out` for `count` values.
#[inline(always)]
unsafe fn dots<V: Stored, T: Value<V>>(query: *const f32, mut rows: *const T, len: usize, count: usize, out: *mut f32) {
    for row in 0..count {
        // SAFETY: there are `count` rows and places
        unsafe {
            out.add(row).write(dot::<V, T>(query, rows, len));
            rows = rows.add(len);
        }
    }
}

/// The product of a query with one row.
///
/// # Safety
/// The instruction set of `V` is enabled; `query` and `row` are valid for `len` values.
#[inline(always)]
unsafe fn dot<V: Stored, T: Value<V>>(query: *const f32, row: *const T, len: usize) -> f32 {
    // SAFETY: registers are loaded only while they lie within `len` values, and then single values up to `len`
    unsafe {
        let mut sums = [V::splat(0.0); CHAINS];
        let mut k = 0;
        while k + CHAINS * V::COUNT <= len {
            for (chain, sum) in sums.iter_mut().enumerate() {
                let at = k + chain * V::COUNT;
                *sum = sum.mul_add(V::load(query.add(at)), T::load(row.add(at)));
            }
            k += CHAINS * V::COUNT;
        }
        let [a, b, c, d] = sums;
        let mut sum = a.add(b).add(c.add(d)).sum();
        for k in k..len {
            sum += *query.add(k) * T::to_f32(*row.add(k));
        }
        sum
    }
}

/// Converts `len` values to floats.
///
/// # Safety
/// The instruction set of `V` is enabled; `from` and `to` are valid for `len` values.
#[inline(always)]
unsafe fn widen<V: Stored, T: Value<V>>(from: *const T, to: *mut f32, len: usize) {
    let mut k = 0;
    // SAFETY: as in `dot`
    unsafe {
        while k + V::COUNT <= len {
            T::load(from.add(k)).store(to.add(k));
            k += V::COUNT;
        }
        for k in k..len {
            to.add(k).write(T::to_f32(*from.add(k)));
        }
    }
}

/// The number of bits in which each row differs from a query. For queries of 8 words, the length of most features, the
/// loop over a row is unrolled.
#[inline(always)]
fn differing_bits(query: &[u64], rows: &[u64], out: &mut [u16]) {
    let count = |query: &[u64], row: &[u64]| -> u32 { query.iter().zip(row).map(|(a, b)| (a ^ b).count_ones()).sum() };
    if let Ok(query) = <&[u64; 8]>::try_from(query) {
        for (out, row) in out.iter_mut().zip(rows.as_chunks::<8>().0) {
            *out = count(query, row) as u16;
        }
    } else if !query.is_empty() {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
            *out = count(query, row) as u16;
        }
    }
}

/// Compiles every kernel for one instruction set.
macro_rules! compile {
    ($set:ident, $name:expr, $lanes:ty $(, $features:literal)?) => {
        // the contract of each function is that of the kernel that it calls
        #[allow(unsafe_op_in_unsafe_fn)]
        mod $set {
            use super::*;

            pub(super) const KERNELS: ScanKernels =
                ScanKernels { name: $name, dots_f32, dots_f16, dots_i8, differing_bits, widen_f16, widen_i8 };

            $(#[target_feature(enable = $features)])?
            unsafe fn dots_f32(query: *const f32, rows: *const f32, len: usize, count: usize, out: *mut f32) {
                dots::<$lanes, f32>(query, rows, len, count, out)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn dots_f16(query: *const f32, rows: *const u16, len: usize, count: usize, out: *mut f32) {
                dots::<$lanes, u16>(query, rows, len, count, out)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn dots_i8(query: *const f32, rows: *const i8, len: usize, count: usize, out: *mut f32) {
                dots::<$lanes, i8>(query, rows, len, count, out)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn differing_bits(query: &[u64], rows: &[u64], out: &mut [u16]) {
                super::differing_bits(query, rows, out)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn widen_f16(from: *const u16, to: *mut f32, len: usize) {
                widen::<$lanes, u16>(from, to, len)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn widen_i8(from: *const i8, to: *mut f32, len: usize) {
                widen::<$lanes, i8>(from, to, len)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(avx512, "avx512", lanes::Avx512, "avx512f,avx512bw,avx512vl,avx2,fma,f16c,popcnt");
#[cfg(target_arch = "x86_64")]
compile!(avx2, "avx2", lanes::Avx2, "avx2,fma,f16c,popcnt");
#[cfg(target_arch = "aarch64")]
compile!(neon, "neon", lanes::Neon, "neon");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
compile!(simd128, if cfg!(target_feature = "relaxed-simd") { "relaxed-simd" } else { "simd128" }, lanes::Simd128);
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
compile!(scalar, "scalar", lanes::Scalar);

/// Every compilation that this machine can run, fastest first, with the names of the engine's kernels.
#[allow(clippy::vec_init_then_push)] // which are pushed depends on the target
pub(super) fn available() -> Vec<ScanKernels> {
    let mut available = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("f16c") && is_x86_feature_detected!("popcnt") {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            available.push(avx512::KERNELS);
        }
        if avx2 {
            available.push(avx2::KERNELS);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        available.push(neon::KERNELS);
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    available.push(simd128::KERNELS);
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
    available.push(scalar::KERNELS);
    available
}
