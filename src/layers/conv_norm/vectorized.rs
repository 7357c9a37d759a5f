//! A macro for functions that are compiled several times, for the vector instructions of several processors.

/// Defines functions that use the widest vectors of the processor they run on.
///
/// Functions called from them must be `#[inline(always)]`: code that is not inlined, closures among it, is compiled for any
/// processor.
macro_rules! vectorized {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => { $(
        $(#[$attribute])*
        #[allow(unsafe_code)]
        fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,fma,avx2")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }

                let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                if has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: this processor has each feature that `avx512` is compiled for.
                    return unsafe { avx512($($argument),*) };
                }
                if has_avx2 {
                    // SAFETY: this processor has AVX2 and FMA, for which `avx2` is compiled.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    )* };
}
