//! The kernels, and the choice among their compilations.
//!
//! Each kernel is written once over [`Lanes`](super::lanes::Lanes) and compiled for each instruction set; [`Kernels`]
//! is one such compilation. All work on channels in multiples of [`CHANNELS`], so none has a remainder of channels to
//! treat. The padding holds zeros, in weights and in pixels, and remains zero.

mod convolution;
mod depthwise;
mod elementwise;
mod functions;
mod gemm;
mod gemm_i8;
mod rows;
#[cfg(test)]
pub(super) mod tests;

pub(super) use convolution::Convolution;
pub(super) use depthwise::{Depthwise, Target};
pub(super) use elementwise::Quantize;
pub(super) use gemm::{Gemm, Pixels};
pub(super) use gemm_i8::{GemmI8, Output};

pub(super) use rows::Normalize;

use super::lanes::{self, Lanes};

/// Channels are padded to a multiple of this: the lanes of the widest instruction set.
pub(super) const CHANNELS: usize = 16;

/// The function that a kernel applies to a sum before it stores it. Other activations are passes of their own over
/// values that are still in the cache: a long function would make each kernel several times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    /// Negative values become 0.
    Relu,
    /// Negative values become 0, and values above 6 become 6.
    Relu6,
    /// `x` times `x / 6 + 1 / 2`, where that factor is at least 0 and at most 1.
    HardSwish,
}

impl Activation {
    /// # Safety
    /// The instruction set of `V` is enabled.
    #[inline(always)]
    unsafe fn apply<V: Lanes>(self, value: V) -> V {
        match self {
            Activation::None => value,
            // SAFETY: the instruction set is enabled
            Activation::Relu => unsafe { value.max(V::splat(0.0)) },
            // SAFETY: as above
            Activation::Relu6 => unsafe { value.max(V::splat(0.0)).min(V::splat(6.0)) },
            // SAFETY: as above
            Activation::HardSwish => unsafe {
                let factor = V::splat(0.5).mul_add(value, V::splat(1.0 / 6.0));
                value.mul(factor.max(V::splat(0.0)).min(V::splat(1.0)))
            },
        }
    }
}

/// The kernels, compiled for one instruction set.
///
/// # Safety
/// For each function: the machine has the instruction set ([`available`](Self::available) lists only such), and
/// pointers are valid as the kernel of the same name asks. The functions only enable the instruction set and pass their
/// arguments on.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    /// The instruction set.
    pub name: &'static str,
    /// Columns of a panel of packed weights.
    pub panel: usize,
    /// Rows of a matrix tile: work is best cut in multiples of it.
    pub tile_rows: usize,
    pub gemm: unsafe fn(&Gemm),
    /// The product of 8-bit values.
    pub product_i8: ProductI8,
    pub convolution: unsafe fn(&Convolution),
    pub depthwise_3x3: unsafe fn(&Depthwise),
    pub depthwise_5x5: unsafe fn(&Depthwise),
    /// Pixels, their number and stride, channels, factors.
    pub scale: unsafe fn(*mut f32, usize, usize, usize, *const f32),
    /// Pixels, their number and stride, channels, factors, a gate's factors.
    pub quantize: unsafe fn(&Quantize),
    /// Pixels, their number and stride, channels, sums.
    pub sum: unsafe fn(*const f32, usize, usize, usize, *mut f32),
    /// Pixels, their number and stride, channels.
    pub gelu: unsafe fn(*mut f32, usize, usize, usize),
    pub normalize: unsafe fn(&Normalize),
    /// Rows, their number and stride, columns.
    pub softmax: unsafe fn(*mut f32, usize, usize, usize),
}

/// The matrix product of 8-bit values, compiled for one instruction set: processors with the same registers differ in
/// how they multiply bytes.
///
/// # Safety
/// As [`Kernels`].
#[derive(Clone, Copy)]
pub(super) struct ProductI8 {
    /// The instructions that multiply.
    pub name: &'static str,
    /// Columns of a panel of packed weights.
    pub panel: usize,
    /// Rows of a tile.
    pub tile_rows: usize,
    pub gemm: unsafe fn(&GemmI8),
}

/// Compiles the product of 8-bit values for one instruction set.
macro_rules! compile_i8 {
    ($set:ident, $name:expr, $dot:ty, rows: $rows:literal, vectors: $vectors:literal $(, $features:literal)?) => {
        // the contract of `multiply` is that of the kernel that it calls
        #[allow(unsafe_op_in_unsafe_fn)]
        mod $set {
            use super::super::lanes::{Dot, Lanes};
            use super::*;

            pub(super) const PRODUCT: ProductI8 = ProductI8 {
                name: $name,
                panel: $vectors * <$dot as Dot>::Lanes::COUNT,
                tile_rows: $rows,
                gemm: multiply,
            };

            $(#[target_feature(enable = $features)])?
            unsafe fn multiply(work: &GemmI8) {
                gemm_i8::gemm_i8::<$dot, $rows, $vectors>(work)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile_i8!(avx512_vnni, "avx512-vnni", lanes::Avx512VnniDot, rows: 14, vectors: 2, "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma");
#[cfg(target_arch = "x86_64")]
compile_i8!(avx512_bytes, "avx512-maddubs", lanes::Avx512Dot, rows: 12, vectors: 2, "avx512f,avx512bw,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
compile_i8!(avx_vnni, "avx-vnni", lanes::AvxVnniDot, rows: 6, vectors: 2, "avxvnni,avx2,fma");
#[cfg(target_arch = "x86_64")]
compile_i8!(avx2_bytes, "avx2-maddubs", lanes::Avx2Dot, rows: 5, vectors: 2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
compile_i8!(neon_dot_product, "neon-dotprod", lanes::NeonDotProduct, rows: 6, vectors: 4, "neon,dotprod");
#[cfg(target_arch = "aarch64")]
compile_i8!(neon_bytes, "neon", lanes::NeonDot, rows: 4, vectors: 2, "neon");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
compile_i8!(simd128_bytes, "relaxed-simd", lanes::WholeDot, rows: 4, vectors: 2);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
compile_i8!(simd128_halves, "relaxed-simd-halves", lanes::HalvesDot, rows: 3, vectors: 2);
// the sums of a column take two registers
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
compile_i8!(simd128_bytes, "simd128", lanes::Simd128Dot, rows: 2, vectors: 2);
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
compile_i8!(scalar_bytes, "scalar", lanes::ScalarDot, rows: 4, vectors: 2);

/// Compiles every kernel for one instruction set.
macro_rules! compile {
    ($set:ident, $name:expr, $lanes:ty, rows: $rows:literal, vectors: $vectors:literal, pixels: $pixels:literal,
     product_i8: $product:ident $(, $features:literal)?) => {
        // the contract of each function is that of the kernel that it calls
        #[allow(unsafe_op_in_unsafe_fn)]
        mod $set {
            use super::super::lanes::Lanes;
            use super::*;

            pub(super) const KERNELS: Kernels = Kernels {
                name: $name,
                panel: $vectors * <$lanes as Lanes>::COUNT,
                tile_rows: $rows,
                gemm: multiply,
                product_i8: super::$product::PRODUCT,
                convolution: convolve,
                depthwise_3x3,
                depthwise_5x5,
                scale,
                quantize,
                sum,
                gelu,
                normalize,
                softmax,
            };

            $(#[target_feature(enable = $features)])?
            unsafe fn multiply(work: &Gemm) {
                gemm::gemm::<$lanes, $rows, $vectors>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn convolve(work: &Convolution) {
                convolution::convolution::<$lanes, $rows, $vectors>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_3x3(work: &Depthwise) {
                depthwise::depthwise::<$lanes, $pixels, 3>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_5x5(work: &Depthwise) {
                depthwise::depthwise::<$lanes, $pixels, 5>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn scale(pixels: *mut f32, count: usize, stride: usize, channels: usize, factors: *const f32) {
                elementwise::scale::<$lanes>(pixels, count, stride, channels, factors)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn quantize(work: &Quantize) {
                elementwise::quantize::<$lanes>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn sum(pixels: *const f32, count: usize, stride: usize, channels: usize, sums: *mut f32) {
                elementwise::sum::<$lanes>(pixels, count, stride, channels, sums)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gelu(pixels: *mut f32, count: usize, stride: usize, channels: usize) {
                elementwise::gelu::<$lanes>(pixels, count, stride, channels)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn normalize(work: &Normalize) {
                rows::normalize::<$lanes>(work)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn softmax(rows: *mut f32, count: usize, stride: usize, columns: usize) {
                rows::softmax::<$lanes>(rows, count, stride, columns)
            }
        }
    };
}

// Tiles are as large as the registers allow. They have 14 rows, since the maps of a 224-pixel input are 112, 56, 28 and
// 14 pixels wide.
#[cfg(target_arch = "x86_64")]
compile!(avx512, "avx512", super::super::lanes::Avx512, rows: 14, vectors: 2, pixels: 7, product_i8: avx512_bytes, "avx512f,avx512bw,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
compile!(avx2, "avx2", super::super::lanes::Avx2, rows: 6, vectors: 2, pixels: 4, product_i8: avx2_bytes, "avx2,fma");
#[cfg(target_arch = "aarch64")]
compile!(neon, "neon", super::super::lanes::Neon, rows: 6, vectors: 4, pixels: 7, product_i8: neon_bytes, "neon");
// WebAssembly engines on x86-64 can use 15 registers; larger tiles spill.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
compile!(simd128, SIMD128_NAME, super::super::lanes::Simd128, rows: 2, vectors: 4, pixels: 7, product_i8: simd128_bytes);
// Builds for browsers with SIMD need it only in tests.
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
compile!(scalar, "scalar", super::super::lanes::Scalar, rows: 4, vectors: 2, pixels: 2, product_i8: scalar_bytes);

/// The name of this WebAssembly build's instruction set.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
const SIMD128_NAME: &str = if cfg!(target_feature = "relaxed-simd") { "relaxed-simd" } else { "simd128" };

impl Kernels {
    /// Every compilation that this machine can run, fastest first. The last is the scalar one, except in browsers.
    #[allow(clippy::vec_init_then_push)] // which are pushed depends on the target
    pub fn available() -> Vec<Kernels> {
        let mut available = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                let vnni = is_x86_feature_detected!("avx512vnni");
                let product_i8 = if vnni { avx512_vnni::PRODUCT } else { avx512_bytes::PRODUCT };
                available.push(Kernels { product_i8, ..avx512::KERNELS });
            }
            if avx2 {
                let vnni = is_x86_feature_detected!("avxvnni");
                let product_i8 = if vnni { avx_vnni::PRODUCT } else { avx2_bytes::PRODUCT };
                available.push(Kernels { product_i8, ..avx2::KERNELS });
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            let dot_product = std::arch::is_aarch64_feature_detected!("dotprod");
            let product_i8 = if dot_product { neon_dot_product::PRODUCT } else { neon_bytes::PRODUCT };
            available.push(Kernels { product_i8, ..neon::KERNELS });
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
        available.push(simd128::KERNELS);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
        {
            let product_i8 = if lanes::halves_are_faster() { simd128_halves::PRODUCT } else { simd128_bytes::PRODUCT };
            available.push(Kernels { product_i8, ..simd128::KERNELS });
        }
        #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
        available.push(scalar::KERNELS);
        available
    }
}
