//! Vector registers of each instruction set. Kernels are written once over [`Lanes`], those for 8-bit products over
//! [`Dot`].
//!
//! The functions of these traits are unsafe for two reasons, which hold for the whole body of each: the instruction set
//! must be enabled, and pointers must be valid. Both are written at the traits; the bodies have no `unsafe` blocks of
//! their own.
#![allow(unsafe_op_in_unsafe_fn)]

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::{Neon, NeonDot, NeonDotProduct};
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) use scalar::{Scalar, ScalarDot};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wasm::Simd128;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
pub(super) use wasm::Simd128Dot;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
pub(super) use wasm::{HalvesDot, WholeDot, halves_are_faster};
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx2Dot, Avx512, Avx512Dot, Avx512VnniDot, AvxVnniDot};

/// Sums of products of 8-bit values, for as many columns of a matrix as [`Lanes`](Self::Lanes) has values.
///
/// The sums are exact, and so the same on every instruction set, as long as they fit 32 bits and no activation is above
/// 127: sums of two products then fit the 16 bits that some instruction sets keep them in.
///
/// # Safety
/// The instruction set is enabled as for [`Lanes`]. The pointer of [`quad`](Self::quad) is valid for 4 bytes, that of
/// [`weights`](Self::weights) for 4 bytes for each of the lanes. They need no alignment.
pub(super) trait Dot: Copy {
    /// The floats that the sums are converted to.
    type Lanes: Lanes;
    /// Four consecutive activations of a pixel.
    type Quad: Copy;
    /// Weights for four activations: four for each column, column after column.
    type Weights: Copy;

    /// Sums of 0.
    unsafe fn zero() -> Self;
    /// Reads four activations, from 0 to 127.
    unsafe fn quad(from: *const u8) -> Self::Quad;
    /// Reads four weights for each column.
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// Adds the products.
    unsafe fn add(self, quad: Self::Quad, weights: Self::Weights) -> Self;
    /// The sums as floats.
    unsafe fn to_lanes(self) -> Self::Lanes;
}

/// A vector register of `f32`.
///
/// # Safety
/// The caller is inlined into a function that enables the instruction set, and the machine has it. Pointers are valid
/// for [`COUNT`](Self::COUNT) values of what they point to; they need no alignment.
pub(super) trait Lanes: Copy {
    /// Values in a register: 16, 8, 4, or 1.
    const COUNT: usize;
    /// Whether a loop should not be unrolled to reuse loaded values, because they would not fit the registers.
    const FEW_REGISTERS: bool;

    /// A register with `value` in each lane.
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self + a * b`, rounded once where the instruction set can.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger; whether a NaN in `self` is kept depends on the instruction set.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller; a NaN as in `max`.
    unsafe fn min(self, other: Self) -> Self;
    /// Shifts the bits of each value 23 to the left: its lowest eight become the exponent of a power of two.
    unsafe fn to_exponent(self) -> Self;
    /// Stores each value as a byte: rounded to the nearest whole number, ties to even, and limited to 0..=127; NaN as
    /// any of these.
    unsafe fn store_u7(self, to: *mut u8);
}

/// Lanes that also read the types in which a gallery's rows are stored.
///
/// # Safety
/// As [`Lanes`].
#[cfg(feature = "gallery")]
pub(super) trait Stored: Lanes {
    /// Reads half floats, none of them infinite or NaN.
    unsafe fn load_f16(from: *const u16) -> Self;
    /// Reads whole numbers.
    unsafe fn load_i8(from: *const i8) -> Self;
    /// The sum of the values.
    unsafe fn sum(self) -> f32;
}
