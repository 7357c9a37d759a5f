//! Boxes with their labels.

use super::canvas::{Canvas, Color, Text};
use crate::{Result, RgbImage};

/// The colours of labels, in the order in which labels come. PaddleX has other ones.
const COLORS: [Color; 6] = [[208, 28, 31], [0, 92, 175], [0, 122, 77], [150, 60, 160], [176, 88, 0], [70, 80, 90]];

/// A box with the text that is drawn at it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledBox {
    /// Left, top, right and bottom, in pixels.
    pub coordinate: [f32; 4],
    /// The name of what it holds.
    pub name: String,
    /// The score that stands behind the name; `None`: the name alone.
    pub score: Option<f32>,
}

/// A copy of an image with rectangles and the text of each. A name has one colour. Sizes and places are PaddleX's: the text stands on the rectangle, or inside where there is no room.
///
/// # Errors
/// None are known.
///
/// ```
/// use image_feature::RgbImage;
/// use image_feature::dataset::compat::draw::{LabelledBox, with_boxes};
///
/// let photo = RgbImage::new(400, 300, vec![0; 400 * 300 * 3])?;
/// let shoe = LabelledBox { coordinate: [100.0, 100.0, 300.0, 200.0], name: "shoe".into(), score: Some(0.87) };
/// let drawn = with_boxes(&photo, &[shoe])?;
/// assert_eq!(drawn.pixels()[3 * (150 * 400 + 100)..][..3], [208, 28, 31]);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn with_boxes(image: &RgbImage, boxes: &[LabelledBox]) -> Result<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let mut canvas = Canvas { width, height, pixels: image.pixels().to_vec() };
    let size = (0.018 * width as f64) as usize + 2;
    // PaddleX draws no line on small images
    let line = (width.max(height) as f64 * 0.002) as usize;
    let mut names: Vec<&str> = Vec::new();
    for LabelledBox { coordinate, name, score } in boxes {
        let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        let color = COLORS[number % COLORS.len()];
        canvas.frame(*coordinate, line.max(2) as f32, color);
        let text = score.map_or_else(|| name.clone(), |score| format!("{name} {score:.2}"));
        let text = Text::new(&text, size as f32, width as f32);
        let [left, top, ..] = *coordinate;
        let (text_width, text_height) = text.size();
        let room = text_height.ceil() + 4.0;
        let top = if top < room { top } else { top - room };
        canvas.fill([left, top, left + text_width.ceil() + 4.0, top + room], color);
        canvas.text(&text, left + 2.0 - text.ink[0], top + 2.0 - text.ink[1], [255; 3]);
    }
    RgbImage::new(width, height, canvas.pixels)
}
