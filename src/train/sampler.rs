//! Chooses the images of each batch.

use std::collections::BTreeMap;

use super::recipe::Sampling;
use crate::finetune::per_class;
use crate::random::SplitMix64;

/// Draws the batches of an epoch.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    batch_size: usize,
    images: usize,
    /// Devices that share each batch in equal parts of `batch_size`.
    parts: usize,
    /// The images of each class.
    classes: Vec<Vec<usize>>,
    seed: u64,
}

impl Sampler {
    /// A sampler of batches with `parts` parts of `batch_size`; each part is drawn on its own. `columns` has the class of
    /// each image.
    pub fn new(sampling: Sampling, batch_size: usize, columns: &[usize], seed: u64, parts: usize) -> Self {
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        columns.iter().enumerate().for_each(|(image, &column)| classes.entry(column).or_default().push(image));
        Sampler { sampling, batch_size, images: columns.len(), parts, classes: classes.into_values().collect(), seed }
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        self.images.div_ceil(self.batch_size * self.parts)
    }

    /// The images of each batch of an epoch. They depend on the seed and the epoch's number alone.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut random = SplitMix64::for_purpose(self.seed, "sampler", &[epoch as u64]);
        match self.sampling {
            Sampling::PerClass(each) => {
                let mut part = || per_class(&self.classes, self.batch_size / each, each, &mut random);
                (0..self.batches()).map(|_| (0..self.parts).flat_map(|_| part()).collect()).collect()
            }
            Sampling::Shuffled => {
                let mut images: Vec<usize> = (0..self.images).collect();
                random.shuffle(&mut images);
                // some images come twice, so that the last batch has equal parts; Paddle's DistributedBatchSampler does it
                let missing = self.images.next_multiple_of(self.parts) - self.images;
                images.extend((0..missing).map(|place| images[place % self.images]).collect::<Vec<_>>());
                images.chunks(self.batch_size * self.parts).map(<[usize]>::to_vec).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn classes_are_drawn_by_their_sizes_and_images_once() {
        // class 0 has 3 images, class 1 has 30, class 2 has 60, class 3 has 7
        let sizes = [3, 30, 60, 7];
        let columns: Vec<usize> = sizes.iter().enumerate().flat_map(|(c, &n)| vec![c; n]).collect();
        let sampler = Sampler::new(Sampling::PerClass(4), 4, &columns, 1, 1);
        assert_eq!(sampler.batches(), 25);
        let mut counts = [0usize; 4];
        for epoch in 0..200 {
            for batch in sampler.epoch(epoch) {
                let class = columns[batch[0]];
                assert!(batch.len() == 4 && batch.iter().all(|&image| columns[image] == class));
                let distinct = batch.iter().collect::<HashSet<_>>().len();
                assert!(distinct == 4 || class == 0, "only the smallest class repeats images");
                counts[class] += 1;
            }
        }
        for (class, size) in sizes.into_iter().enumerate() {
            let share = counts[class] as f64 / 5000.0;
            assert!((share - size as f64 / 100.0).abs() < 0.025, "class {class}: {share}");
        }
    }

    #[test]
    fn a_batch_has_no_class_twice() {
        let columns: Vec<usize> = (0..200).map(|image| image % 20).collect();
        let sampler = Sampler::new(Sampling::PerClass(4), 32, &columns, 1, 1);
        for batch in sampler.epoch(0) {
            let classes: HashSet<usize> = batch.iter().map(|&image| columns[image]).collect();
            assert_eq!((batch.len(), classes.len()), (32, 8));
        }
        assert_eq!(sampler.epoch(3), sampler.epoch(3));
        assert_ne!(sampler.epoch(3), sampler.epoch(4));
    }

    #[test]
    fn shuffling_takes_each_image_once() {
        let sampler = Sampler::new(Sampling::Shuffled, 32, &[0; 70], 1, 1);
        let epoch = sampler.epoch(0);
        assert_eq!(epoch.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 6]);
        assert_eq!(epoch.concat().into_iter().collect::<HashSet<_>>().len(), 70);
    }

    #[test]
    fn devices_have_equal_parts() {
        let sampler = Sampler::new(Sampling::Shuffled, 8, &[0; 70], 1, 4);
        let epoch = sampler.epoch(0);
        assert_eq!((sampler.batches(), epoch.iter().map(Vec::len).collect::<Vec<_>>()), (3, vec![32, 32, 8]));
        assert_eq!(epoch.concat().into_iter().collect::<HashSet<_>>().len(), 70);
        let few = Sampler::new(Sampling::Shuffled, 8, &[0], 1, 4);
        assert_eq!(few.epoch(0), [[0; 4]]);

        let columns: Vec<usize> = (0..200).map(|image| image % 20).collect();
        let sampler = Sampler::new(Sampling::PerClass(4), 16, &columns, 1, 2);
        assert_eq!(sampler.batches(), 7);
        for batch in sampler.epoch(0) {
            for part in batch.chunks(16) {
                let mut counts = [0; 20];
                part.iter().for_each(|&image| counts[columns[image]] += 1);
                assert!(part.len() == 16 && counts.iter().all(|&count| count == 0 || count == 4), "{counts:?}");
            }
        }
    }
}
