//! Things in an image: PaddleX's result, and its picture.

use crate::format::value::Value;
use image_feature::dataset::compat::SampleFormat;
use image_feature::dataset::compat::draw::{self, LabelledBox};
use image_feature::{Error, Result, RgbImage};

/// The result of a detector or of a pipeline for one image.
pub struct Objects {
    /// Whether the result has a field `page_index`, as that of a detector has.
    pub has_page: bool,
    /// The list of boxes.
    pub boxes: Value,
    /// The boxes as they are drawn.
    pub frames: Vec<LabelledBox>,
    pub image: RgbImage,
}

impl Objects {
    /// The result with PaddleX's keys.
    pub fn value(&self, input_path: &str) -> Value {
        let mut fields = vec![("input_path", Value::Text(input_path.into()))];
        if self.has_page {
            fields.push(("page_index", Value::None));
        }
        fields.push(("boxes", self.boxes.clone()));
        Value::Dict(fields)
    }

    /// The image with its boxes, as a PNG.
    pub fn picture(&self) -> Result<Vec<u8>> {
        let drawn = draw::with_boxes(&self.image, &self.frames)?;
        draw::encode(&drawn, SampleFormat::Png)?.ok_or_else(|| Error::internal("a PNG was not written"))
    }
}

/// The sides of a box as PaddleX gives them: the edge of the image, where it cuts the box, is a whole number.
pub fn box_sides(coordinate: [f32; 4], image: &RgbImage) -> Value {
    let edges = [0, 0, image.width(), image.height()];
    let side = |(value, edge): (f32, usize)| {
        if value == edge as f32 { Value::Whole(edge as u64) } else { Value::Single(value) }
    };
    Value::List(coordinate.into_iter().zip(edges).map(side).collect())
}
