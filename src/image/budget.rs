//! Memory that those who decode at the same time share.

use std::sync::{Condvar, Mutex};

use super::decode::ImageInfo;

/// A number of bytes that threads take shares of: small images go in parallel, huge ones one by one.
pub struct DecodeBudget {
    total: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

/// A part of a budget, given back when dropped.
pub struct DecodeShare<'a> {
    budget: &'a DecodeBudget,
    bytes: u64,
}

impl DecodeBudget {
    pub fn new(total: u64) -> Self {
        DecodeBudget { total, free: Mutex::new(total), returned: Condvar::new() }
    }

    /// Waits until `bytes`, but at most everything, are free. Whoever holds a share must not ask for a second.
    pub fn reserve(&self, bytes: u64) -> DecodeShare<'_> {
        let bytes = bytes.min(self.total);
        let free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut free =
            self.returned.wait_while(free, |free| *free < bytes).unwrap_or_else(|poisoned| poisoned.into_inner());
        *free -= bytes;
        DecodeShare { budget: self, bytes }
    }

    /// Waits for what decoding this image takes.
    pub fn reserve_for(&self, image: &ImageInfo) -> DecodeShare<'_> {
        // 8-bit RGB and what a decoder keeps beside it, as a rule no more than twice as much again
        self.reserve(u64::from(image.width()) * u64::from(image.height()) * 9)
    }
}

impl Drop for DecodeShare<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn memory_is_never_given_out_twice() {
        let memory = DecodeBudget::new(100);
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for index in 0..40 {
                let (memory, used, most) = (&memory, &used, &most);
                scope.spawn(move || {
                    let bytes = if index % 10 == 0 { 1000 } else { 7 * (index % 10) };
                    let _share = memory.reserve(bytes);
                    let now = used.fetch_add(bytes.min(100), Ordering::SeqCst) + bytes.min(100);
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    used.fetch_sub(bytes.min(100), Ordering::SeqCst);
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 100);
        assert_eq!(*memory.free.lock().unwrap(), 100);
    }
}
