//! Functions of one argument, over lanes.

use super::super::lanes::Lanes;

/// The lowest argument of `exp`: of lower ones the result would be no normal number.
const LOWEST: f32 = -87.0;
/// 2^23 + 127: added to a small number, it rounds the number and leaves it in the lowest bits, 127 higher, which is the
/// form of an exponent.
const ROUNDING: f32 = 8_388_735.0;
/// ln 2 in two parts, the first of few digits, so that its multiples are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `(exp(r) - 1 - r) / r^2`, highest power first (Cephes' `expf`).
const EXP: [f32; 6] = [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `e` to the power of numbers up to 0, within 2e-7 of the result; below -87, and for minus infinity, as of -87: 2e-38.
///
/// # Safety
/// The instruction set of `V` is enabled.
#[inline(always)]
pub(super) unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the instruction set is enabled, and there are no pointers
    unsafe {
        let x = x.max(V::splat(LOWEST));
        // x = whole * ln 2 + rest
        let exponent = V::splat(ROUNDING).mul_add(x, V::splat(std::f32::consts::LOG2_E));
        let whole = exponent.add(V::splat(-ROUNDING));
        let rest = x.mul_add(whole, V::splat(-LN_2[0])).mul_add(whole, V::splat(-LN_2[1]));
        let square = rest.mul(rest);
        let power = rest.add(V::splat(1.0)).mul_add(square, polynomial(rest, &EXP));
        power.mul(exponent.to_exponent())
    }
}

/// The bound, in either direction, beyond which the normal distribution is 0 or 1 in f32.
const BOUND: f32 = 5.5;
/// `erf(x / sqrt(2)) / 2 / x` as a polynomial in `x^2 * 2 / BOUND^2 - 1`, highest power first: the Chebyshev series,
/// cut off where it no longer shows in f32.
const NORMAL: [f32; 15] = [
    6.562_366_6e-4,
    -1.428_040_8e-3,
    6.399_065e-4,
    -1.051_773_1e-3,
    4.723_57e-3,
    -7.878_194e-3,
    1.016_421_2e-2,
    -1.456_035_9e-2,
    2.038_480_7e-2,
    -2.614_160_6e-2,
    3.206_722_4e-2,
    -3.878_403e-2,
    4.773_779_6e-2,
    -6.417_257e-2,
    1.285_519_3e-1,
];

/// `x / 2 * (1 + erf(x / sqrt(2)))`, within 3e-7, or of numbers beyond 1, within 3e-7 of the number.
///
/// # Safety
/// The instruction set of `V` is enabled.
#[inline(always)]
pub(super) unsafe fn gelu<V: Lanes>(x: V) -> V {
    // SAFETY: as in `exp`
    unsafe {
        let inner = x.max(V::splat(-BOUND)).min(V::splat(BOUND));
        let at = V::splat(-1.0).mul_add(inner.mul(inner), V::splat(2.0 / (BOUND * BOUND)));
        x.mul(V::splat(0.5).mul_add(inner, polynomial(at, &NORMAL)))
    }
}

/// The polynomial with these coefficients, highest power first.
///
/// # Safety
/// The instruction set of `V` is enabled.
#[inline(always)]
unsafe fn polynomial<V: Lanes, const N: usize>(x: V, coefficients: &[f32; N]) -> V {
    // SAFETY: as in `exp`
    unsafe {
        let mut sum = V::splat(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            sum = V::splat(coefficient).mul_add(sum, x);
        }
        sum
    }
}
