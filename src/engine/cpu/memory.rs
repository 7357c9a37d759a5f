//! Where values lie in the arena, counted in values of four bytes.

use super::pack;
use crate::engine::Shape;

/// Where a value lies: maps of pixels, one for each image of a batch, each with margins of zeros left and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Values before the first image's map.
    pub offset: usize,
    pub height: usize,
    pub width: usize,
    /// Padded to whole lanes; the padding holds zeros.
    pub channels: usize,
    /// Values from a pixel to the next.
    pub stride: usize,
    /// Pixels of zeros left and right of each row.
    pub margin: usize,
}

impl Place {
    /// The place of a map, its offset yet to be found.
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

    /// Values from a row to the next.
    pub fn row(&self) -> usize {
        (self.width + 2 * self.margin) * self.stride
    }

    /// Values from an image to the next.
    pub fn image(&self) -> usize {
        self.height * self.row()
    }

    /// Pixels of an image, without margin.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Where a pixel begins.
    pub fn pixel(&self, image: usize, y: usize, x: usize) -> usize {
        self.offset + image * self.image() + y * self.row() + (x + self.margin) * self.stride
    }
}
