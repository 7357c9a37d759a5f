//! Samples with their label.

use super::canvas::{Canvas, Text};
use crate::{Result, RgbImage};

/// A copy of an image with its label in white on red in the top left corner. The font size is PaddleX's: a twentieth of
/// the image's width or less, down to a fiftieth, so that the label fits.
///
/// # Errors
/// None are known.
///
/// ```
/// use image_feature::RgbImage;
/// use image_feature::dataset::compat::draw::with_label;
///
/// let image = with_label(&RgbImage::new(400, 300, vec![0; 400 * 300 * 3])?, "17")?;
/// assert_eq!((image.width(), image.height()), (400, 300));
/// assert_eq!(image.pixels()[3 * (400 * 3 + 3)..][..3], [255, 0, 0]);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn with_label(image: &RgbImage, label: &str) -> Result<RgbImage> {
    let width = image.width() as f32;
    let [least, most] = [0.02, 0.05].map(|part| (image.width() as f64 * part) as usize);
    let text = (least.max(1)..=most.max(1))
        .rev()
        .map(|size| Text::new(label, size as f32, width))
        .find(|text| text.size().0 <= width)
        .unwrap_or_else(|| Text::new(label, least.max(1) as f32, width));
    let mut canvas = Canvas { width: image.width(), height: image.height(), pixels: image.pixels().to_vec() };
    let (ink_width, ink_height) = text.size();
    // Pillow's rectangles include their last row and column
    canvas.fill([3.0, 3.0, 7.0 + ink_width.ceil(), 10.0 + ink_height.ceil()], [255, 0, 0]);
    canvas.text(&text, 6.0, 3.0, [255, 255, 255]);
    RgbImage::new(canvas.width, canvas.height, canvas.pixels)
}
