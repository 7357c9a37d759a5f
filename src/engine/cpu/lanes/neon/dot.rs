use core::arch::aarch64::*;
use core::arch::asm;

use super::super::Dot;
use super::Neon;

/// ARMv8.2's dot product: one instruction for four columns.
#[derive(Clone, Copy)]
pub(in super::super::super) struct NeonDotProduct(int32x4_t);

impl Dot for NeonDotProduct {
    type Lanes = Neon;
    type Quad = int8x16_t;
    type Weights = int8x16_t;

    #[inline(always)]
    unsafe fn zero() -> Self {
        NeonDotProduct(vdupq_n_s32(0))
    }
    #[inline(always)]
    unsafe fn quad(from: *const u8) -> int8x16_t {
        vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> int8x16_t {
        vld1q_s8(from)
    }
    #[inline(always)]
    unsafe fn add(self, quad: int8x16_t, weights: int8x16_t) -> Self {
        let mut sums = self.0;
        // the intrinsic is not stable
        asm!(
            "sdot {sums:v}.4s, {quad:v}.16b, {weights:v}.16b",
            sums = inout(vreg) sums, quad = in(vreg) quad, weights = in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags)
        );
        NeonDotProduct(sums)
    }
    #[inline(always)]
    unsafe fn to_lanes(self) -> Neon {
        Neon(vcvtq_f32_s32(self.0))
    }
}

/// NEON without the dot product: each column's sum is kept in two parts, those of two columns in one register.
#[derive(Clone, Copy)]
pub(in super::super::super) struct NeonDot(int32x4_t, int32x4_t);

impl Dot for NeonDot {
    type Lanes = Neon;
    type Quad = int8x16_t;
    type Weights = int8x16_t;

    #[inline(always)]
    unsafe fn zero() -> Self {
        NeonDot(vdupq_n_s32(0), vdupq_n_s32(0))
    }
    #[inline(always)]
    unsafe fn quad(from: *const u8) -> int8x16_t {
        vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> int8x16_t {
        vld1q_s8(from)
    }
    #[inline(always)]
    unsafe fn add(self, quad: int8x16_t, weights: int8x16_t) -> Self {
        let low = vmull_s8(vget_low_s8(quad), vget_low_s8(weights));
        let high = vmull_high_s8(quad, weights);
        NeonDot(vpadalq_s16(self.0, low), vpadalq_s16(self.1, high))
    }
    #[inline(always)]
    unsafe fn to_lanes(self) -> Neon {
        Neon(vcvtq_f32_s32(vpaddq_s32(self.0, self.1)))
    }
}
