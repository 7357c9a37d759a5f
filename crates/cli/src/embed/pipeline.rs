//! Reads, decodes and preprocesses images in parallel, ahead of the network, and keeps their order.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use super::decoding::Decoding;
use super::inputs::{Inputs, read_file};
use super::item::{Content, Item, Origin};
use image_feature::{DecodeBudget, DecodeLimits, Decoded, Error, Preprocess, Result, RgbImage, Roi, probe};

/// Maximum bytes of archive entries in a group of items: a group ends early with them.
const GROUP_BYTES: usize = 64 << 20;
/// Files from this size up are read one at a time.
const LARGE_FILE: u64 = 64 << 20;

/// The network's input of an image, or the reason why there is none.
pub struct Prepared {
    pub origin: Origin,
    pub input: Result<Input>,
}

/// The network's input of an image, and the damage of its file.
pub struct Input {
    pub values: Vec<f32>,
    /// The image itself, where it is wanted in place of the values.
    pub image: Option<RgbImage>,
    pub damage: Option<String>,
}

/// The steps from an image to the network's input.
pub struct Preparation {
    pub preprocess: Preprocess,
    /// Values of the network's input.
    pub input_len: usize,
    /// Whether the image is wanted as it is, and no values.
    pub images: bool,
    pub roi: Option<Roi>,
    pub decoding: Decoding,
    /// Number of images that are sent together.
    pub group: usize,
    /// Number of threads.
    pub threads: usize,
}

impl Preparation {
    /// Prepares all inputs and sends them in order, a group at a time. Stops early when the receiver is gone.
    pub fn run(&self, inputs: Inputs, sender: SyncSender<Vec<Prepared>>) {
        let memory = DecodeBudget::new(DecodeLimits::default().max_bytes);
        let (mut group, mut bytes) = (Vec::new(), 0);
        let send = |group: Vec<Item>| {
            if sender.send(self.prepare_group(group, &memory)).is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        inputs.for_each(|item| {
            bytes += if let Content::Bytes(bytes) = &item.content { bytes.len() } else { 0 };
            group.push(item);
            if group.len() < self.group && bytes < GROUP_BYTES {
                return ControlFlow::Continue(());
            }
            bytes = 0;
            send(std::mem::take(&mut group))
        });
        if !group.is_empty() {
            let _ = send(group);
        }
    }

    // Not rayon's threads, because these wait for memory: a thread of a pool that decodes in parallel could take another
    // image meanwhile, and wait for memory that is held further down its own stack.
    fn prepare_group(&self, group: Vec<Item>, memory: &DecodeBudget) -> Vec<Prepared> {
        let threads = self.threads.min(group.len());
        let items = Mutex::new(group.into_iter().enumerate());
        let next = || items.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
        let work = || -> Vec<(usize, Prepared)> {
            std::iter::from_fn(next).map(|(place, item)| (place, self.prepare(item, memory))).collect()
        };
        let mut prepared: Vec<(usize, Prepared)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("`prepare` catches panics")).collect()
        });
        prepared.sort_unstable_by_key(|(place, _)| *place);
        prepared.into_iter().map(|(_, prepared)| prepared).collect()
    }

    fn prepare(&self, Item { origin, content }: Item, memory: &DecodeBudget) -> Prepared {
        let work = || match content {
            Content::Failed(error) => Err(error),
            Content::Bytes(bytes) => self.input_of(&bytes, memory),
            Content::File(path) => self.input_of_file(&path, memory),
        };
        // a panic in one file does not end the others
        let input = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let what = crate::take_panic_message();
            Err(Error::internal(format!("decoding failed on a bug in image-feature, please report the file: {what}")))
        });
        Prepared { origin, input }
    }

    fn input_of_file(&self, path: &Path, memory: &DecodeBudget) -> Result<Input> {
        if std::fs::metadata(path)?.len() >= LARGE_FILE {
            let _everything = memory.reserve(u64::MAX);
            return self.input_of_pixels(&read_file(path)?);
        }
        self.input_of(&read_file(path)?, memory)
    }

    fn input_of(&self, bytes: &[u8], memory: &DecodeBudget) -> Result<Input> {
        let _share = memory.reserve_for(&probe(bytes)?);
        self.input_of_pixels(bytes)
    }

    fn input_of_pixels(&self, bytes: &[u8]) -> Result<Input> {
        let Decoded { mut image, damage, .. } = self.decoding.decode(bytes)?;
        if let Some(roi) = self.roi {
            image = image.crop(roi)?;
        }
        if self.images {
            return Ok(Input { values: Vec::new(), image: Some(image), damage });
        }
        let values = self.preprocess.apply(&image)?;
        if values.len() != self.input_len {
            return Err(Error::unsupported(format!(
                "the model's preprocessing makes {} values of an image of {}x{} pixels, its network takes {}",
                values.len(),
                image.width(),
                image.height(),
                self.input_len
            )));
        }
        Ok(Input { values, image: None, damage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn ppm(width: usize, height: usize, value: u8) -> Vec<u8> {
        let mut file = format!("P6 {width} {height} 255\n").into_bytes();
        file.extend(std::iter::repeat_n(value, width * height * 3));
        file
    }

    fn preparation(group: usize) -> Preparation {
        Preparation {
            preprocess: Preprocess::default(),
            input_len: 3 * 224 * 224,
            images: false,
            roi: None,
            decoding: Decoding::default(),
            group,
            threads: 3,
        }
    }

    #[test]
    fn order_is_kept_and_the_bad_are_left_in_their_place() {
        let folder = temp_dir::TempDir::new().unwrap();
        for index in 0..23u8 {
            let bytes = if index % 7 == 3 { b"no image".to_vec() } else { ppm(2 + usize::from(index), 3, index * 10) };
            std::fs::write(folder.path().join(format!("{index:02}.ppm")), bytes).unwrap();
        }
        for group in [1, 4, 100] {
            let (sender, receiver) = sync_channel(1);
            let inputs = Inputs::find(&[folder.path().to_path_buf()]).unwrap();
            let prepared: Vec<Prepared> = std::thread::scope(|scope| {
                scope.spawn(|| preparation(group).run(inputs, sender));
                receiver.iter().inspect(|sent| assert!(sent.len() <= group)).flatten().collect()
            });
            assert_eq!(prepared.len(), 23);
            for (index, Prepared { origin, input }) in prepared.into_iter().enumerate() {
                assert_eq!(origin.relative.to_str().unwrap(), format!("{index:02}.ppm"));
                match input {
                    Ok(Input { values: input, .. }) => {
                        let red = ((index * 10) as f64 / 255.0 - 0.485) / 0.229;
                        assert!((f64::from(input[0]) - red).abs() < 1e-5, "{index}: {} is not {red}", input[0]);
                    }
                    Err(error) => assert!(index % 7 == 3 && error.is_decode(), "{index}: {error}"),
                }
            }
        }
    }

    #[test]
    fn preparing_ends_when_nobody_listens() {
        let folder = temp_dir::TempDir::new().unwrap();
        for index in 0..50 {
            std::fs::write(folder.path().join(format!("{index}.ppm")), ppm(2, 2, 9)).unwrap();
        }
        let inputs = Inputs::find(&[folder.path().to_path_buf()]).unwrap();
        let (sender, receiver) = sync_channel(1);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| preparation(2).run(inputs, sender));
            assert_eq!(receiver.recv().unwrap().len(), 2);
            drop(receiver);
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_region_is_cut_out_first() {
        let folder = temp_dir::TempDir::new().unwrap();
        let mut half = ppm(4, 2, 0);
        let pixels = half.len() - 4 * 2 * 3;
        half[pixels + 6..pixels + 12].fill(255); // right half of the first row
        let file = folder.path().join("half.ppm");
        std::fs::write(&file, half).unwrap();
        let prepare = |roi| {
            let preparation = Preparation { roi: Some(roi), ..preparation(1) };
            preparation.input_of_file(&file, &DecodeBudget::new(1 << 20)).map(|input| input.values)
        };
        let white = prepare(Roi { x: 2, y: 0, width: 2, height: 1 }).unwrap();
        assert!(white.iter().all(|&value| value > 2.0), "{}", white[0]);
        let error = prepare(Roi { x: 2, y: 0, width: 3, height: 1 }).unwrap_err();
        assert!(error.to_string().contains('4'), "names the image's size: {error}");
    }
}
