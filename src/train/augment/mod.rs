//! Images changed at random, so that what is learnt holds for more than the images themselves.

mod auto;
mod clip;
mod products;
mod warp;

pub use products::Products;

use crate::Result;
use crate::image::RgbImage;
use crate::random::SplitMix64;

/// A chain of random changes, from a decoded image to one of the network's input size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Augmentation {
    /// Resize, flip, shift, rotate: PaddleClas's chain for PP-ShiTuV2_rec.
    Products(Products),
    /// A random part of the image, and two random operations of RandAugment: PaddleClas's chain for the CLIP models.
    Clip,
    /// Resize alone.
    None,
}

impl Augmentation {
    /// PaddleClas's chain for PP-ShiTuV2_rec, for images of this height and width.
    pub fn products(input: [usize; 2]) -> Self {
        Augmentation::Products(Products::new(input))
    }

    /// Whether the chain begins by stretching the image to the input size, so that it may be kept at that size.
    pub(super) fn begins_with_resize(&self) -> bool {
        !matches!(self, Augmentation::Clip)
    }

    /// The chain for one image, which is already of the input size (height, width) where the chain
    /// [begins with that](Self::begins_with_resize).
    pub(super) fn apply(
        &self,
        image: &RgbImage,
        [height, width]: [usize; 2],
        random: &mut SplitMix64,
    ) -> Result<RgbImage> {
        match self {
            Augmentation::Products(products) => products.apply(image, random)?.resize_bilinear(width, height),
            Augmentation::Clip => clip::apply(image, [height, width], random),
            Augmentation::None => image.resize_bilinear(width, height),
        }
    }
}

/// The image mirrored, left and right exchanged.
fn flipped(image: &RgbImage) -> Result<RgbImage> {
    let rows = image.pixels().chunks_exact(3 * image.width());
    let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied()).collect();
    RgbImage::new(image.width(), image.height(), pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize) -> RgbImage {
        let value = |at: usize| ((at / 3 % width * 5 + at / 3 / width * 3 + at % 3 * 60) % 256) as u8;
        RgbImage::new(width, height, (0..3 * width * height).map(value).collect()).unwrap()
    }

    #[test]
    fn a_flip_is_its_own_inverse() {
        let image = image(7, 3);
        let mirrored = flipped(&image).unwrap();
        assert_eq!(mirrored.pixels()[..3], image.pixels()[18..21]);
        assert_eq!(flipped(&mirrored).unwrap(), image);
    }

    #[test]
    fn every_chain_gives_the_input_size_and_repeats_itself() {
        let size = [40, 32];
        for chain in [Augmentation::products(size), Augmentation::Clip, Augmentation::None] {
            let start = if chain.begins_with_resize() { image(32, 40) } else { image(91, 57) };
            let mut different = 0;
            for seed in 0..60 {
                let apply = |seed| chain.apply(&start, size, &mut SplitMix64::new(seed)).unwrap();
                let changed = apply(seed);
                assert_eq!([changed.height(), changed.width()], size);
                assert_eq!(changed, apply(seed));
                different += usize::from(changed != apply(seed + 1));
            }
            assert_eq!(different > 50, chain != Augmentation::None, "{chain:?}: {different} of 60 differ");
        }
    }
}
