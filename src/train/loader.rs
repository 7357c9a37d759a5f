//! Reads, decodes and augments images on threads of their own, some batches ahead of the network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Scope;

use super::augment::Augmentation;
use super::network::Batch;
use super::samples::Samples;
use crate::image::{DecodeBudget, DecodeLimits, Preprocess, Resize, RgbImage, decode, probe};
use crate::model::ModelDescription;
use crate::random::SplitMix64;
use crate::{Error, Result};

/// Larger files are refused.
const FILE_BYTES: u64 = crate::dataset::MOST_FILE_BYTES;

/// The images of a list, decoded and resized; augmentation comes later.
pub(super) struct Images {
    samples: Samples,
    /// Decoded images that are kept.
    kept: Vec<OnceLock<RgbImage>>,
    /// Bytes that may still be kept.
    room: AtomicU64,
    decoding: DecodeBudget,
    size: [usize; 2],
    resize: Stretch,
}

/// The resize right after decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// None: images keep their size, and are not kept in memory.
    No,
    Bilinear,
    Bicubic,
}

impl Images {
    /// The images of a list, resized to a height and width. Resized images are kept, up to `room` bytes.
    pub fn new(samples: Samples, size: [usize; 2], resize: Stretch, room: u64) -> Self {
        let limits = DecodeLimits::default();
        Images {
            kept: samples.images.iter().map(|_| OnceLock::new()).collect(),
            samples,
            room: AtomicU64::new(room),
            decoding: DecodeBudget::new(limits.max_bytes),
            size,
            resize,
        }
    }

    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Calls `use_it` with an image.
    pub fn with<T>(&self, image: usize, use_it: impl FnOnce(&RgbImage) -> Result<T>) -> Result<T> {
        if let Some(kept) = self.kept[image].get() {
            return use_it(kept);
        }
        let read = self.read(image).map_err(|error| error.context(self.samples.path(image).to_string()))?;
        if self.resize == Stretch::No {
            return use_it(&read);
        }
        let bytes = read.pixels().len() as u64;
        let take = |room: u64| room.checked_sub(bytes);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return use_it(&read);
        }
        use_it(self.kept[image].get_or_init(|| read))
    }

    fn read(&self, image: usize) -> Result<RgbImage> {
        let bytes = self.samples.tree.read(self.samples.images[image].entry, FILE_BYTES)?;
        let _share = self.decoding.reserve_for(&probe(&bytes)?);
        let decoded = decode(&bytes, &DecodeLimits::default())?;
        let [height, width] = self.size;
        match self.resize {
            Stretch::No => Ok(decoded),
            Stretch::Bilinear => decoded.resize_bilinear(width, height),
            Stretch::Bicubic => decoded.resize_bicubic(width, height),
        }
    }
}

/// Makes the batches of an epoch.
pub(super) struct Loader<'a> {
    pub images: &'a Images,
    /// The column of the head for each image.
    pub columns: &'a [usize],
    pub model: &'a ModelDescription,
    pub augmentation: Augmentation,
    pub seed: u64,
    pub threads: usize,
    /// Images that cannot be read, with the reason.
    pub unreadable: &'a Mutex<HashMap<usize, String>>,
}

/// The batches of an epoch, in order. When it is dropped, the threads end.
pub(super) struct Batches<'s> {
    shared: &'s Shared,
    count: usize,
}

/// The state that the threads of an epoch share.
#[derive(Default)]
pub(super) struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Tells the threads to end; they read it between images, without the lock.
    stop: AtomicBool,
}

#[derive(Default)]
struct Progress {
    /// The next batch that a thread begins.
    begun: usize,
    /// The next batch that is wanted.
    wanted: usize,
    ready: HashMap<usize, Result<Batch>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change.
    fn wait<'a>(&self, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
        self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let mut progress = self.shared.lock();
        if progress.wanted == self.count {
            return None;
        }
        let batch = loop {
            let wanted = progress.wanted;
            if let Some(batch) = progress.ready.remove(&wanted) {
                break batch;
            }
            if self.shared.stopped() {
                break Err(Error::internal("a thread that reads images ended early"));
            }
            progress = self.shared.wait(progress);
        };
        progress.wanted += 1;
        self.shared.changed.notify_all();
        Some(batch)
    }
}

impl Drop for Batches<'_> {
    fn drop(&mut self) {
        let _progress = self.shared.lock();
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
    }
}

/// Stops all threads if one panics: the others would wait for its batch forever.
struct StopOnPanic<'s>(&'s Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop.store(true, Ordering::Relaxed);
            self.0.changed.notify_all();
        }
    }
}

/// Finished batches that may wait, in addition to one for each thread.
const AHEAD: usize = 2;

impl Loader<'_> {
    /// Starts the threads that make the batches of an epoch.
    pub fn start<'s>(
        &'s self,
        epoch: usize,
        batches: &'s [Vec<usize>],
        shared: &'s Shared,
        scope: &'s Scope<'s, '_>,
    ) -> Batches<'s> {
        for _ in 0..self.threads.clamp(1, batches.len().max(1)) {
            scope.spawn(move || self.work(epoch, batches, shared));
        }
        Batches { shared, count: batches.len() }
    }

    fn work(&self, epoch: usize, batches: &[Vec<usize>], shared: &Shared) {
        let _stop = StopOnPanic(shared);
        loop {
            let mut progress = shared.lock();
            while progress.begun >= progress.wanted + self.threads + AHEAD && !shared.stopped() {
                progress = shared.wait(progress);
            }
            let number = progress.begun;
            let Some(images) = batches.get(number).filter(|_| !shared.stopped()) else { return };
            progress.begun += 1;
            drop(progress);
            let batch = self.batch(epoch, number, images, shared);
            shared.lock().ready.insert(number, batch);
            shared.changed.notify_all();
        }
    }

    fn batch(&self, epoch: usize, number: usize, images: &[usize], shared: &Shared) -> Result<Batch> {
        let [height, width] = self.model.input_size();
        let len = 3 * height * width;
        let mut values = vec![0.0; images.len() * len];
        for (place, (&image, values)) in images.iter().zip(values.chunks_exact_mut(len)).enumerate() {
            if shared.stopped() {
                return Err(Error::new(crate::ErrorKind::Cancelled, "stopped"));
            }
            let mut random =
                SplitMix64::for_purpose(self.seed, "augmentation", &[epoch as u64, number as u64, place as u64]);
            let mut load = |image: usize, random: &mut SplitMix64| {
                self.images.with(image, |pixels| {
                    let changed = self.augmentation.apply(pixels, [height, width], random)?;
                    normalize(self.model, [height, width], &changed, values)
                })
            };
            if let Err(error) = load(image, &mut random) {
                self.remember(image, &error);
                self.replace(image, &mut random, &mut load).ok_or(error)?;
            }
        }
        Ok(Batch { images: values, labels: images.iter().map(|&image| self.columns[image]).collect() })
    }

    /// Loads another image of the same class instead of one that cannot be read. PaddleClas takes an image of any class.
    fn replace(
        &self,
        image: usize,
        random: &mut SplitMix64,
        load: &mut dyn FnMut(usize, &mut SplitMix64) -> Result<()>,
    ) -> Option<()> {
        let class = self.columns[image];
        let mut others: Vec<usize> =
            (0..self.columns.len()).filter(|&other| other != image && self.columns[other] == class).collect();
        random.shuffle(&mut others);
        others.into_iter().find_map(|other| match load(other, random) {
            Ok(()) => Some(()),
            Err(error) => {
                self.remember(other, &error);
                None
            }
        })
    }

    fn remember(&self, image: usize, error: &Error) {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.entry(image).or_insert_with(|| error.to_string());
    }
}

/// Normalises an image of the input size into `values`.
fn normalize(
    model: &ModelDescription,
    [height, width]: [usize; 2],
    image: &RgbImage,
    values: &mut [f32],
) -> Result<()> {
    let preprocess = Preprocess { resize: Resize::Stretch { width, height }, ..model.preprocess };
    preprocess.apply_into(image, values)
}
