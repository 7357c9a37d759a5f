//! Boxes with their labels.

use super::canvas::{Canvas, Color, Text};
use crate::{Result, RgbImage};

/// The colours of labels, in the order in which labels come. PaddleX has other ones.
const COLORS: [Color; 6] = [[208, 28, 31], [0, 92, 175], [0, 122, 77], [150, 60, 160], [176, 88, 0], [70, 80, 90]];

/// A copy of an image with rectangles and the text of each: left, top, right and bottom in pixels, a name and its score. A
/// name has one colour. Sizes and places are PaddleX's: the text stands on the rectangle, or inside where there is no room.
///
/// # Errors
/// None are known.
///
/// ```
/// use image_feature::RgbImage;
/// use image_feature::dataset::compat::draw::with_boxes;
///
/// let photo = RgbImage::new(400, 300, vec![0; 400 * 300 * 3])?;
/// let drawn = with_boxes(&photo, &[([100.0, 100.0, 300.0, 200.0], "shoe".into(), 0.87)])?;
/// assert_eq!(drawn.pixels()[3 * (150 * 400 + 100)..][..3], [208, 28, 31]);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn with_boxes(image: &RgbImage, boxes: &[([f32; 4], String, f32)]) -> Result<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let mut canvas = Canvas { width, height, pixels: image.pixels().to_vec() };
    let size = (0.018 * width as f64) as usize + 2;
    // PaddleX draws no line on small images
    let line = (width.max(height) as f64 * 0.002) as usize;
    let mut names: Vec<&str> = Vec::new();
    for (rectangle, name, score) in boxes {
        let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        let color = COLORS[number % COLORS.len()];
        canvas.frame(*rectangle, line.max(2) as f32, color);
        let text = Text::new(&format!("{name} {score:.2}"), size as f32, width as f32);
        let [left, top, ..] = *rectangle;
        let (text_width, text_height) = text.size();
        let room = text_height.ceil() + 4.0;
        let top = if top < room { top } else { top - room };
        canvas.fill([left, top, left + text_width.ceil() + 4.0, top + room], color);
        canvas.text(&text, left + 2.0 - text.ink[0], top + 2.0 - text.ink[1], [255; 3]);
    }
    RgbImage::new(width, height, canvas.pixels)
}
