mod dot;
#[cfg(feature = "gallery")]
mod stored;

use core::arch::aarch64::*;

pub(in super::super) use self::dot::{NeonDot, NeonDotProduct};
use super::Lanes;

/// AArch64's NEON: 32 registers of 4.
#[derive(Clone, Copy)]
pub(in super::super) struct Neon(float32x4_t);

impl Lanes for Neon {
    const COUNT: usize = 4;
    const FEW_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Neon(vdupq_n_f32(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Neon(vld1q_f32(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Neon(vaddq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Neon(vmulq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Neon(vfmaq_f32(self.0, a.0, b.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Neon(vmaxq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Neon(vminq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn to_exponent(self) -> Self {
        Neon(vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(self.0))))
    }
    #[inline(always)]
    unsafe fn store_u7(self, to: *mut u8) {
        let cut = vminq_f32(vmaxq_f32(self.0, vdupq_n_f32(0.0)), vdupq_n_f32(127.0));
        let words = vmovn_u32(vcvtnq_u32_f32(cut));
        let bytes = vmovn_u16(vcombine_u16(words, words));
        vst1_lane_u32::<0>(to.cast(), vreinterpret_u32_u8(bytes));
    }
}
