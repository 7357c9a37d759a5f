//! Settings of the allocator.

/// Keeps the memory that a step has freed for the next one. By default glibc maps each large tensor again, which takes a third
/// of the time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator is set by calls of the C library")]
pub(super) fn keep_freed_memory() {
    // SAFETY: these only set numbers inside the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 256 << 20);
        // arenas of other threads are too small for tensors
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn keep_freed_memory() {}
