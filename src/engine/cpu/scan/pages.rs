//! Memory for matrices that are read from end to end.

/// The size from which on a matrix is read from memory rather than from a cache.
const LEAST_BYTES: usize = 4 << 20;

/// Reserves memory for `more` values, in large pages where the system provides them. A core that reads one page of 4
/// KiB after the other waits at each, and reaches half of the memory's rate (on Zen 4: 31 GB/s instead of 63 on two
/// cores).
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) {
    let before = values.capacity();
    values.reserve(more);
    if values.capacity() != before && values.capacity() * size_of::<T>() >= LEAST_BYTES {
        advise(values);
    }
}

#[cfg(target_os = "linux")]
fn advise<T>(values: &mut Vec<T>) {
    // at least the size of a page, so that the advised range lies within the allocation
    const ALIGNMENT: usize = 1 << 16;
    let start = values.as_mut_ptr().addr().next_multiple_of(ALIGNMENT);
    let end_of = |count: usize| (values.as_ptr().addr() + count * size_of::<T>()) / ALIGNMENT * ALIGNMENT;
    let (filled, end) = (end_of(values.len()), end_of(values.capacity()));
    let address = values.as_mut_ptr().cast::<u8>().with_addr(start).cast::<libc::c_void>();
    // SAFETY: the ranges lie within the allocation of `values`, which is borrowed mutably, and the advice does not
    // change their content. A system that does not know the advice returns an error, which changes nothing.
    unsafe {
        libc::madvise(address, end - start, libc::MADV_HUGEPAGE);
        if filled > start {
            // the values that were moved here when the allocation grew
            libc::madvise(address, filled - start, libc::MADV_COLLAPSE);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &mut Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let mut values: Vec<u32> = (0..3_000_000).collect();
        reserve(&mut values, 2_000_000);
        assert!(values.capacity() >= 5_000_000);
        values.extend(3_000_000..5_000_000);
        assert!(values.iter().enumerate().all(|(at, &value)| at as u32 == value));
        let mut none: Vec<()> = Vec::new();
        reserve(&mut none, 10);
    }
}
