//! Finding something out about many files of a tree, on several threads.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use super::MOST_FILE_BYTES;
use super::facts::ImageFacts;
use crate::file_tree::FileTree;
use crate::image::{DecodeBudget, DecodeShare};
use crate::{DecodeLimits, Error, Result, RgbImage, probe};

/// Files read and not yet looked at hold no more than this together, one larger file aside.
const BYTES_IN_FLIGHT: u64 = 256 << 20;

/// Files go to a thread, and results back, several at a time, or the threads would wake each other all the time: at most
/// as many as …
const BATCH_FILES: usize = 8;
/// … or as these bytes: large files take their time, and should be shared out.
const BATCH_BYTES: u64 = 512 << 10;

/// Finds the facts of images of a tree, on `threads` threads, and makes more of each image by `also`. `take` gets the
/// results on the caller's thread, in no particular order: it may tell progress, and breaks where the rest is not wanted.
///
/// One thread reads the files, as archives are read best in order. At any time files of 256 MB and images of
/// [`DecodeLimits::max_bytes`] are in memory, however large a file says it is.
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
    // few files, too, are to keep all threads busy
    let batch_files = (indices.len() / (4 * threads)).clamp(1, BATCH_FILES);
    let (files, pixels) = (DecodeBudget::new(BYTES_IN_FLIGHT), DecodeBudget::new(limits.max_bytes));
    let look = |read: Result<Vec<u8>>| {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return (ImageFacts::unreadable(error), None),
        };
        let header = probe(&bytes).ok();
        let share = header.as_ref().map(|info| pixels.reserve_for(info));
        let (facts, image) = ImageFacts::of_probed(&bytes, header, limits);
        (facts, image.zip(share))
    };
    let work = |read| {
        // one file that trips over a bug must not take the others along
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let (facts, image) = look(read);
            let (image, _share) = image.unzip();
            let more = also(&facts, image);
            (facts, more)
        }));
        looked.unwrap_or_else(|_| {
            let error = Error::internal("the check of this file met a bug: please report it, with the file");
            let facts = ImageFacts::unreadable(error);
            let more = also(&facts, None);
            (facts, more)
        })
    };
    std::thread::scope(|scope| {
        let (to_workers, from_reader) = sync_channel::<Vec<(usize, Result<Vec<u8>>, DecodeShare<'_>)>>(threads);
        let (to_caller, results) = sync_channel(threads);
        // the workers alone hold it: the reader ends when they have
        let from_reader = std::sync::Arc::new(Mutex::new(from_reader));
        for _ in 0..threads {
            let (from_reader, to_caller, work) = (from_reader.clone(), to_caller.clone(), &work);
            scope.spawn(move || {
                loop {
                    let next = from_reader.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
                    let Ok(batch) = next else { return };
                    let found = batch.into_iter().map(|(index, read, _share)| {
                        let (facts, more) = work(read);
                        (index, facts, more)
                    });
                    if to_caller.send(found.collect::<Vec<_>>()).is_err() {
                        return;
                    }
                }
            });
        }
        drop((from_reader, to_caller));
        let files = &files;
        scope.spawn(move || {
            let (mut batch, mut batch_bytes) = (Vec::new(), 0);
            let flow = tree.read_each(indices, MOST_FILE_BYTES, &mut |index, read| {
                let bytes = read.as_ref().map_or(0, |bytes| bytes.len() as u64);
                // before the share: what waits here must not keep others from giving theirs back
                let is_full = batch.len() == batch_files || batch_bytes + bytes > BATCH_BYTES;
                if is_full && !batch.is_empty() {
                    batch_bytes = 0;
                    if to_workers.send(std::mem::take(&mut batch)).is_err() {
                        return ControlFlow::Break(());
                    }
                }
                batch_bytes += bytes;
                batch.push((index, read, files.reserve(bytes)));
                ControlFlow::Continue(())
            });
            if flow.is_continue() {
                // nobody takes it where the caller has broken off
                let _ = to_workers.send(batch);
            }
        });
        results.iter().flatten().try_for_each(|(index, facts, more)| take(index, facts, more))
    })
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
