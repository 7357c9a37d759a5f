use core::arch::wasm32::*;

use super::Simd128;
use crate::engine::cpu::lanes::Stored;

impl Stored for Simd128 {
    // the bits of a half float in their places in a float; the factor corrects the exponent, whose bias is another
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        let half = v128_load64_zero(from.cast());
        let half = u32x4_extend_low_u16x8(half);
        let magnitude = u32x4_shl(v128_and(half, u32x4_splat(0x7fff)), 13);
        let scaled = f32x4_mul(magnitude, f32x4_splat(f32::from_bits(0x7780_0000)));
        Simd128(v128_or(scaled, u32x4_shl(v128_and(half, u32x4_splat(0x8000)), 16)))
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        let bytes = v128_load32_zero(from.cast());
        Simd128(f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes))))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let two = f32x4_add(self.0, i32x4_shuffle::<2, 3, 0, 1>(self.0, self.0));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
}
