//! Augmentation: random changes of the training images, so that the network generalises.

mod auto;
mod crops;
mod products;
mod warp;

pub use crops::Crops;
pub use products::Products;

use crate::Result;
use crate::image::RgbImage;
use crate::random::SplitMix64;

/// A chain of random changes. It makes an image of the network's input size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Augmentation {
    /// Resize, flip, shift, rotate: PaddleClas's chain for PP-ShiTuV2_rec.
    Products(Products),
    /// Crop, flip, RandAugment, rotate: with [`Crops::clip`] PaddleClas's chain for the CLIP models.
    Crops(Crops),
    /// Only the resize.
    None,
}

impl Augmentation {
    /// PaddleClas's chain for PP-ShiTuV2_rec, for an input of this height and width.
    pub fn products(input: [usize; 2]) -> Self {
        Augmentation::Products(Products::new(input))
    }

    /// The height and width of a resize at the start of the chain, if it has one. The resized image can be kept in memory.
    pub(super) fn first_size(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        match self {
            Augmentation::Crops(crops) => crops.from.map(|side| [side; 2]),
            Augmentation::Products(_) | Augmentation::None => Some(input),
        }
    }

    /// Changes one image, which already has the [first size](Self::first_size), if there is one. Gives an image of the input
    /// size.
    pub(super) fn apply(
        &self,
        image: &RgbImage,
        [height, width]: [usize; 2],
        random: &mut SplitMix64,
    ) -> Result<RgbImage> {
        match self {
            Augmentation::Products(products) => products.apply(image, random)?.resize_bilinear(width, height),
            Augmentation::Crops(crops) => crops.apply(image, [height, width], random),
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
        let crops = [Crops::clip(), Crops::mild(size)].map(Augmentation::Crops);
        for chain in [Augmentation::products(size), crops[0], crops[1], Augmentation::None] {
            let [height, width] = chain.first_size(size).unwrap_or([57, 91]);
            let start = image(width, height);
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
