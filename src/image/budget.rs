//! A bound on the memory of images that are decoded at the same time.

use std::sync::{Condvar, Mutex};

use super::info::ImageInfo;

/// A number of bytes that decoding threads share: small images are decoded in parallel, huge ones one after the other.
///
/// ```
/// use image_feature::{DecodeBudget, DecodeLimits, decode, probe};
///
/// let budget = DecodeBudget::new(1 << 30);
/// let file = b"P3 1 1 255  9 9 9";
/// let share = budget.reserve_for(&probe(file)?); // waits until there is enough
/// let image = decode(file, &DecodeLimits::default())?;
/// drop(share); // after the image is no longer needed
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct DecodeBudget {
    total: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

/// A part of a [`DecodeBudget`], returned to it when dropped.
pub struct DecodeShare<'a> {
    budget: &'a DecodeBudget,
    bytes: u64,
}

impl DecodeBudget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        DecodeBudget { total, free: Mutex::new(total), returned: Condvar::new() }
    }

    /// Blocks until `bytes` are free, and takes them. A request for more than the whole budget takes the whole budget.
    ///
    /// A thread that holds a share must not ask for a second one: two such threads would wait for each other.
    pub fn reserve(&self, bytes: u64) -> DecodeShare<'_> {
        let bytes = bytes.min(self.total);
        let free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut free =
            self.returned.wait_while(free, |free| *free < bytes).unwrap_or_else(|poisoned| poisoned.into_inner());
        *free -= bytes;
        DecodeShare { budget: self, bytes }
    }

    /// Blocks until there is enough memory to decode this image, and takes it.
    pub fn reserve_for(&self, image: &ImageInfo) -> DecodeShare<'_> {
        // 8-bit RGB, and twice as much for the decoder's own buffers
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
