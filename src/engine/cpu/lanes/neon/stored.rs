use core::arch::aarch64::*;

use super::Neon;
use crate::engine::cpu::lanes::Stored;

impl Stored for Neon {
    // the bits of a half float in their places in a float; the factor corrects the exponent, whose bias is another
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        let half = vmovl_u16(vld1_u16(from));
        let magnitude = vshlq_n_u32::<13>(vandq_u32(half, vdupq_n_u32(0x7fff)));
        let scaled = vmulq_f32(vreinterpretq_f32_u32(magnitude), vdupq_n_f32(f32::from_bits(0x7780_0000)));
        let sign = vshlq_n_u32::<16>(vandq_u32(half, vdupq_n_u32(0x8000)));
        Neon(vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(scaled), sign)))
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        let bytes = vcreate_s8(u64::from(from.cast::<u32>().read_unaligned()));
        Neon(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        vaddvq_f32(self.0)
    }
}
