mod dot;
#[cfg(feature = "gallery")]
mod stored;

use core::arch::wasm32::*;

#[cfg(not(target_feature = "relaxed-simd"))]
pub(in super::super) use self::dot::Simd128Dot;
#[cfg(target_feature = "relaxed-simd")]
pub(in super::super) use self::dot::{HalvesDot, WholeDot, halves_are_faster};
use super::Lanes;

/// WebAssembly's simd128, registers of 4; with relaxed SIMD, its fused multiply-add.
#[derive(Clone, Copy)]
pub(in super::super) struct Simd128(v128);

impl Lanes for Simd128 {
    const COUNT: usize = 4;
    const FEW_REGISTERS: bool = true;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Simd128(f32x4_splat(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Simd128(v128_load(from.cast()))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        v128_store(to.cast(), self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Simd128(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Simd128(f32x4_mul(self.0, other.0))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Simd128(f32x4_relaxed_madd(a.0, b.0, self.0))
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Simd128(f32x4_add(self.0, f32x4_mul(a.0, b.0)))
    }
    // `pmax(a, b)` is `a < b ? b : a`: one instruction on every machine, where `max` is several
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Simd128(f32x4_pmax(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Simd128(f32x4_pmin(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn to_exponent(self) -> Self {
        Simd128(u32x4_shl(self.0, 23))
    }
    #[inline(always)]
    unsafe fn store_u7(self, to: *mut u8) {
        let cut = f32x4_pmin(f32x4_pmax(self.0, f32x4_splat(0.0)), f32x4_splat(127.0));
        // adding 2^23 rounds, and leaves the whole number in the lowest bits: shorter than a conversion
        let whole = f32x4_add(cut, f32x4_splat(8_388_608.0));
        let bytes = i8x16_shuffle::<0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12>(whole, whole);
        v128_store32_lane::<0>(bytes, to.cast());
    }
}
