//! The places of values in the arena, counted in numbers of four bytes.

use super::pack;
use crate::engine::Shape;

/// The place of a value: maps of pixels, one for each image of a batch, each with margins of zeros left and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Numbers before the first image's map.
    pub offset: usize,
    /// Rows of an image.
    pub height: usize,
    /// Pixels of a row, without margins.
    pub width: usize,
    /// Numbers of a pixel, padded to whole lanes; the padding holds zeros.
    pub channels: usize,
    /// Numbers from a pixel to the next.
    pub stride: usize,
    /// Pixels of zeros left and right of each row.
    pub margin: usize,
}

impl Place {
    /// The place of a map. Its offset is assigned later.
    pub fn new(shape: Shape, margin: usize) -> Self {
        let Shape { height, width, channels } = shape;
        let (stride, channels) = (pack::stride(channels), pack::padded(channels));
        Place { offset: 0, height, width, channels, stride, margin }
    }

    /// The place of a map of bytes, which have no margin.
    pub fn bytes(shape: Shape) -> Self {
        let Shape { height, width, channels } = shape;
        let (stride, channels) = (pack::byte_stride(channels), pack::padded(channels));
        Place { offset: 0, height, width, channels, stride, margin: 0 }
    }

    /// Numbers from a row to the next.
    pub fn row(&self) -> usize {
        (self.width + 2 * self.margin) * self.stride
    }

    /// Numbers of the maps of `images`, or `usize::MAX` where they are too many to count. While this is less, no other
    /// product here overflows.
    pub fn values(&self, images: usize) -> usize {
        let row = self.width.saturating_add(2 * self.margin).saturating_mul(self.stride);
        row.saturating_mul(self.height).saturating_mul(images)
    }

    /// Numbers from an image to the next.
    pub fn image(&self) -> usize {
        self.height * self.row()
    }

    /// Pixels of an image, without margin.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The index in the arena at which a pixel begins.
    pub fn pixel(&self, image: usize, y: usize, x: usize) -> usize {
        self.offset + image * self.image() + y * self.row() + (x + self.margin) * self.stride
    }
}
