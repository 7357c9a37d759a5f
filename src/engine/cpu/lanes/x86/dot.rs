use std::arch::x86_64::*;

use super::super::Dot;
use super::{Avx2, Avx512};

/// Sums of a register's width, by one of the ways to multiply 8-bit values.
macro_rules! dot {
    ($(#[$doc:meta])* $name:ident, $register:ident, $lanes:ident,
     zero: $zero:ident, splat: $splat:ident, load: $load:ident, convert: $convert:ident,
     add: |$sums:ident, $quad:ident, $weights:ident| $add:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(in super::super::super) struct $name($register);

        impl Dot for $name {
            type Lanes = $lanes;
            type Quad = $register;
            type Weights = $register;

            #[inline(always)]
            unsafe fn zero() -> Self {
                $name($zero())
            }
            #[inline(always)]
            unsafe fn quad(from: *const u8) -> $register {
                $splat(from.cast::<i32>().read_unaligned())
            }
            #[inline(always)]
            unsafe fn weights(from: *const i8) -> $register {
                $load(from.cast())
            }
            #[inline(always)]
            unsafe fn add(self, $quad: $register, $weights: $register) -> Self {
                let $sums = self.0;
                $name($add)
            }
            #[inline(always)]
            unsafe fn to_lanes(self) -> $lanes {
                $lanes($convert(self.0))
            }
        }
    };
}

dot!(
    /// AVX-512 VNNI: one instruction.
    Avx512VnniDot, __m512i, Avx512,
    zero: _mm512_setzero_si512, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, convert: _mm512_cvtepi32_ps,
    add: |sums, quad, weights| _mm512_dpbusd_epi32(sums, quad, weights)
);
dot!(
    /// AVX-512 BW: sums of two in 16 bits, sums of four in 32.
    Avx512Dot, __m512i, Avx512,
    zero: _mm512_setzero_si512, splat: _mm512_set1_epi32, load: _mm512_loadu_si512, convert: _mm512_cvtepi32_ps,
    add: |sums, quad, weights| _mm512_add_epi32(
        sums,
        _mm512_madd_epi16(_mm512_maddubs_epi16(quad, weights), _mm512_set1_epi16(1))
    )
);
dot!(
    /// AVX-VNNI: one instruction.
    AvxVnniDot, __m256i, Avx2,
    zero: _mm256_setzero_si256, splat: _mm256_set1_epi32, load: _mm256_loadu_si256, convert: _mm256_cvtepi32_ps,
    add: |sums, quad, weights| _mm256_dpbusd_avx_epi32(sums, quad, weights)
);
dot!(
    /// AVX2: sums of two in 16 bits, sums of four in 32.
    Avx2Dot, __m256i, Avx2,
    zero: _mm256_setzero_si256, splat: _mm256_set1_epi32, load: _mm256_loadu_si256, convert: _mm256_cvtepi32_ps,
    add: |sums, quad, weights| _mm256_add_epi32(
        sums,
        _mm256_madd_epi16(_mm256_maddubs_epi16(quad, weights), _mm256_set1_epi16(1))
    )
);
