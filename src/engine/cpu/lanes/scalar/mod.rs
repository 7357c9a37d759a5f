mod dot;
#[cfg(feature = "gallery")]
mod stored;

pub(in super::super) use self::dot::ScalarDot;
use super::Lanes;

/// One value at a time: the reference for the tests of the others, and the fallback where there is no SIMD.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalar(f32);

impl Lanes for Scalar {
    const COUNT: usize = 1;
    const FEW_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Scalar(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Scalar(from.read())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.write(self.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Scalar(self.0 + other.0)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Scalar(self.0 * other.0)
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // not `f32::mul_add`: without the instruction that is a slow library call
        Scalar(self.0 + a.0 * b.0)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Scalar(self.0.max(other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Scalar(self.0.min(other.0))
    }
    #[inline(always)]
    unsafe fn to_exponent(self) -> Self {
        Scalar(f32::from_bits(self.0.to_bits() << 23))
    }
    #[inline(always)]
    unsafe fn store_u7(self, to: *mut u8) {
        to.write(self.0.clamp(0.0, 127.0).round_ties_even() as u8)
    }
}
