//! Measuring the facts of many files of a tree, on several threads.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::MOST_FILE_BYTES;
use super::facts::ImageFacts;
use crate::file_tree::FileTree;
use crate::image::{DecodeBudget, DecodeShare};
use crate::{DecodeLimits, Error, Result, RgbImage, probe};

/// The most bytes of files in memory, except for a single larger file.
const BYTES_IN_FLIGHT: u64 = 256 << 20;

/// The most files that are passed between threads at a time. Passing them one by one would wake threads all the time.
const BATCH_FILES: usize = 8;
/// The most bytes of files that are passed at a time. Large files take long, and go to different threads.
const BATCH_BYTES: u64 = 512 << 10;

/// Measures the facts of images of a tree, on `threads` threads. Blocks until all are done or `take` breaks.
///
/// `also` is called on these threads with the facts and the image, where there is one, and may compute more from them.
/// `take` gets the results on the caller's thread, in no particular order.
///
/// One thread reads the files, because archives are read fastest in order. At most 256 MB of files, or one larger file,
/// and [`DecodeLimits::max_bytes`] of images are in memory at a time.
///
/// ```
/// use std::ops::ControlFlow;
/// use image_feature::dataset::survey;
/// use image_feature::file_tree::Memory;
///
/// let tree = Memory::new("example", [("a.ppm", b"P3 1 1 255 9 9 9".to_vec()), ("b.txt", b"no image".to_vec())]);
/// let mut decoded = 0;
/// survey(&tree, &[0, 1], 2, &Default::default(), |_, _| (), |_index, facts, ()| {
///     decoded += usize::from(facts.problem.is_none());
///     ControlFlow::Continue(())
/// });
/// assert_eq!(decoded, 1);
/// ```
pub fn survey<T: Send>(
    tree: &dyn FileTree,
    indices: &[usize],
    threads: usize,
    limits: &DecodeLimits,
    also: impl Fn(&ImageFacts, Option<RgbImage>) -> T + Sync,
    mut take: impl FnMut(usize, ImageFacts, T) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let threads = threads.max(1);
    let job = Job {
        tree,
        indices,
        limits,
        also,
        // batches so small that few files, too, keep all threads busy
        batch_files: (indices.len() / (4 * threads)).clamp(1, BATCH_FILES),
        files: DecodeBudget::new(BYTES_IN_FLIGHT),
        pixels: DecodeBudget::new(limits.max_bytes),
    };
    std::thread::scope(|scope| {
        let (to_workers, from_reader) = sync_channel(threads);
        let (to_caller, results) = sync_channel(threads);
        // only the workers hold the receiver: when they end, the reader's `send` fails and it ends, too
        let from_reader = Arc::new(Mutex::new(from_reader));
        for _ in 0..threads {
            let (from_reader, to_caller, job) = (from_reader.clone(), to_caller.clone(), &job);
            scope.spawn(move || job.work(from_reader, to_caller));
        }
        drop((from_reader, to_caller));
        let job = &job;
        scope.spawn(move || job.read(to_workers));
        results.iter().flatten().try_for_each(|(index, facts, more)| take(index, facts, more))
    })
}

/// A file that was read, and its share of the memory.
type FileRead<'a> = (usize, Result<Vec<u8>>, DecodeShare<'a>);

/// The common data of the threads.
struct Job<'a, F> {
    tree: &'a dyn FileTree,
    indices: &'a [usize],
    limits: &'a DecodeLimits,
    also: F,
    batch_files: usize,
    /// Memory for files.
    files: DecodeBudget,
    /// Memory for images.
    pixels: DecodeBudget,
}

impl<'a, F, T> Job<'a, F>
where
    F: Fn(&ImageFacts, Option<RgbImage>) -> T + Sync,
{
    /// The reader's thread: reads the files, and sends them in batches.
    fn read<'s>(&'s self, to_workers: SyncSender<Vec<FileRead<'s>>>) {
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        let flow = self.tree.read_each(self.indices, MOST_FILE_BYTES, &mut |index, read| {
            let bytes = read.as_ref().map_or(0, |bytes| bytes.len() as u64);
            // before the share is taken: a batch that waits here would keep its shares from others
            let is_full = batch.len() == self.batch_files || batch_bytes + bytes > BATCH_BYTES;
            if is_full && !batch.is_empty() {
                batch_bytes = 0;
                if to_workers.send(std::mem::take(&mut batch)).is_err() {
                    return ControlFlow::Break(());
                }
            }
            batch_bytes += bytes;
            batch.push((index, read, self.files.reserve(bytes)));
            ControlFlow::Continue(())
        });
        if flow.is_continue() {
            // an error means that the caller has broken off
            let _ = to_workers.send(batch);
        }
    }

    /// A worker's thread: examines batches until there are no more, or until nobody takes the results.
    fn work(
        &self,
        from_reader: Arc<Mutex<Receiver<Vec<FileRead<'_>>>>>,
        to_caller: SyncSender<Vec<(usize, ImageFacts, T)>>,
    ) {
        loop {
            let next = from_reader.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
            let Ok(batch) = next else { return };
            let found = batch.into_iter().map(|(index, read, _share)| {
                let (facts, more) = self.examine(read);
                (index, facts, more)
            });
            if to_caller.send(found.collect()).is_err() {
                return;
            }
        }
    }

    /// The facts of a file, and the result of `also`. A panic becomes a fact: it must not end the survey of other
    /// files.
    fn examine(&self, read: Result<Vec<u8>>) -> (ImageFacts, T) {
        let examined = catch_unwind(AssertUnwindSafe(|| {
            let (facts, image) = self.facts(read);
            let (image, _share) = image.unzip();
            let more = (self.also)(&facts, image);
            (facts, more)
        }));
        examined.unwrap_or_else(|_| {
            let error = Error::internal("the check of this file met a bug: please report it, with the file");
            let facts = ImageFacts::unreadable(error);
            let more = (self.also)(&facts, None);
            (facts, more)
        })
    }

    /// The facts of a file, and its image with its share of the memory.
    fn facts(&self, read: Result<Vec<u8>>) -> (ImageFacts, Option<(RgbImage, DecodeShare<'_>)>) {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return (ImageFacts::unreadable(error), None),
        };
        let header = probe(&bytes).ok();
        let share = header.as_ref().map(|info| self.pixels.reserve_for(info));
        let (facts, image) = ImageFacts::of_probed(&bytes, header, self.limits);
        (facts, image.zip(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::Memory;

    fn tree(count: usize) -> Memory {
        let image = |index: usize| format!("P3 1 1 255 {index} 0 0").into_bytes();
        Memory::new("test", (0..count).map(|index| (format!("{index:04}.ppm"), image(index))))
    }

    #[test]
    fn every_file_is_looked_at_once() {
        let tree = tree(200);
        let indices: Vec<usize> = (0..200).collect();
        for threads in [0, 1, 5] {
            let mut seen = vec![0; 200];
            let flow = survey(
                &tree,
                &indices,
                threads,
                &DecodeLimits::default(),
                |_, image| image.unwrap().pixels()[0],
                |index, facts, red| {
                    assert_eq!((facts.problem, usize::from(red)), (None, index));
                    seen[index] += 1;
                    ControlFlow::Continue(())
                },
            );
            assert!(flow.is_continue() && seen.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn it_ends_when_the_rest_is_not_wanted() {
        let tree = tree(2000);
        let mut taken = 0;
        let flow = survey(
            &tree,
            &(0..2000).collect::<Vec<_>>(),
            3,
            &DecodeLimits::default(),
            |_, _| (),
            |_, _, ()| {
                taken += 1;
                if taken == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert!(flow.is_break() && taken == 5);
    }
}
