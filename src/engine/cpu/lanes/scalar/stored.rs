use super::Scalar;
use crate::engine::cpu::lanes::Stored;

impl Stored for Scalar {
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        Scalar(half::f16::from_bits(from.read()).to_f32_const())
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        Scalar(f32::from(from.read()))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.0
    }
}
