use super::super::Dot;
use super::Scalar;

/// One sum at a time: the reference.
#[derive(Clone, Copy)]
pub(in super::super::super) struct ScalarDot(i32);

impl Dot for ScalarDot {
    type Lanes = Scalar;
    type Quad = [u8; 4];
    type Weights = [i8; 4];

    #[inline(always)]
    unsafe fn zero() -> Self {
        ScalarDot(0)
    }
    #[inline(always)]
    unsafe fn quad(from: *const u8) -> [u8; 4] {
        from.cast::<[u8; 4]>().read()
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [i8; 4] {
        from.cast::<[i8; 4]>().read()
    }
    #[inline(always)]
    unsafe fn add(self, quad: [u8; 4], weights: [i8; 4]) -> Self {
        let products = quad.into_iter().zip(weights).map(|(a, b)| i32::from(a) * i32::from(b));
        ScalarDot(self.0 + products.sum::<i32>())
    }
    #[inline(always)]
    unsafe fn to_lanes(self) -> Scalar {
        Scalar(self.0 as f32)
    }
}
