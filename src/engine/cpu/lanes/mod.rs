//! One vector register of `f32`, on each instruction set: kernels are written once over [`Lanes`].

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) use scalar::Scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wasm::Simd128;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// A vector register of `f32`.
///
/// # Safety
/// Every method may be called only where the instruction set is enabled, and is inlined into a function that enables
/// it. Pointers must be valid for [`COUNT`](Self::COUNT) values; they need no alignment.
pub(super) trait Lanes: Copy {
    /// Values in a register: 16, 8, 4, or 1.
    const COUNT: usize;
    /// Whether a loop had better not be unrolled for the sake of reusing what it loads.
    const FEW_REGISTERS: bool;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self + a * b`, rounded once where the instruction set can.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger; a NaN in `self` is dropped or kept as the instruction set has it.
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// To the nearest whole number, ties to even.
    unsafe fn round(self) -> Self;
    /// `2^self` of whole numbers from -126 to 127.
    unsafe fn exp2_whole(self) -> Self;
    /// The sum of all values.
    unsafe fn sum(self) -> f32;
    /// The largest of all values.
    unsafe fn largest(self) -> f32;
}
