use core::arch::wasm32::*;

use super::super::Dot;
use super::Simd128;

#[cfg(target_feature = "relaxed-simd")]
mod relaxed {
    use super::*;

    /// Relaxed SIMD's products of signed and 7-bit values.
    macro_rules! dot {
        ($(#[$doc:meta])* $name:ident, |$sums:ident, $quad:ident, $weights:ident| $add:expr) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super::super::super) struct $name(v128);

            impl Dot for $name {
                type Lanes = Simd128;
                type Quad = v128;
                type Weights = v128;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    $name(i32x4_splat(0))
                }
                #[inline(always)]
                unsafe fn quad(from: *const u8) -> v128 {
                    v128_load32_splat(from.cast())
                }
                #[inline(always)]
                unsafe fn weights(from: *const i8) -> v128 {
                    v128_load(from.cast())
                }
                #[inline(always)]
                unsafe fn add(self, $quad: v128, $weights: v128) -> Self {
                    let $sums = self.0;
                    $name($add)
                }
                #[inline(always)]
                unsafe fn to_lanes(self) -> Simd128 {
                    Simd128(f32x4_convert_i32x4(self.0))
                }
            }
        };
    }

    dot!(
        /// Four at once: one instruction on ARM and on x86 with VNNI, five on other x86.
        WholeDot, |sums, quad, weights| i32x4_relaxed_dot_i8x16_i7x16_add(weights, quad, sums)
    );
    dot!(
        /// Two, then four: three instructions on every x86.
        HalvesDot,
        |sums, quad, weights| i32x4_add(
            sums,
            i32x4_dot_i16x8(i16x8_relaxed_dot_i8x16_i7x16(weights, quad), i16x8_splat(1))
        )
    );

    /// Whether [`HalvesDot`] is the faster one on this machine. Relaxed SIMD leaves the result for activations above
    /// 127 to the machine, and x86 without VNNI has a result of its own.
    pub(in super::super::super::super) fn halves_are_faster() -> bool {
        let (weights, quad) = std::hint::black_box((i8x16_splat(127), u8x16_splat(255)));
        // x86 without VNNI: unsigned, sums of two limited to 16 bits
        i32x4_extract_lane::<0>(i32x4_relaxed_dot_i8x16_i7x16_add(weights, quad, i32x4_splat(0))) == 2 * 32_767
    }
}
#[cfg(target_feature = "relaxed-simd")]
pub(in super::super::super) use relaxed::{HalvesDot, WholeDot, halves_are_faster};

#[cfg(not(target_feature = "relaxed-simd"))]
mod plain {
    use super::*;

    /// simd128's product of 16-bit values: each column's sum is kept in two parts, of two columns in one register.
    #[derive(Clone, Copy)]
    pub(in super::super::super::super) struct Simd128Dot(v128, v128);

    impl Dot for Simd128Dot {
        type Lanes = Simd128;
        type Quad = v128;
        type Weights = (v128, v128);

        #[inline(always)]
        unsafe fn zero() -> Self {
            Simd128Dot(i32x4_splat(0), i32x4_splat(0))
        }
        #[inline(always)]
        unsafe fn quad(from: *const u8) -> v128 {
            i16x8_extend_low_u8x16(v128_load32_splat(from.cast()))
        }
        #[inline(always)]
        unsafe fn weights(from: *const i8) -> (v128, v128) {
            (i16x8_load_extend_i8x8(from), i16x8_load_extend_i8x8(from.add(8)))
        }
        #[inline(always)]
        unsafe fn add(self, quad: v128, weights: (v128, v128)) -> Self {
            Simd128Dot(
                i32x4_add(self.0, i32x4_dot_i16x8(quad, weights.0)),
                i32x4_add(self.1, i32x4_dot_i16x8(quad, weights.1)),
            )
        }
        #[inline(always)]
        unsafe fn to_lanes(self) -> Simd128 {
            let even = i32x4_shuffle::<0, 2, 4, 6>(self.0, self.1);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(self.0, self.1);
            Simd128(f32x4_convert_i32x4(i32x4_add(even, odd)))
        }
    }
}
#[cfg(not(target_feature = "relaxed-simd"))]
pub(in super::super::super) use plain::Simd128Dot;
