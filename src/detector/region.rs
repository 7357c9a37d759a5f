//! The parts of an image that go on to recognition: what the detector's boxes hold, or the whole image.

use super::{Detection, Detector};
use crate::Result;
use crate::image::{RgbImage, Roi};

/// The name that PaddleX gives a box around the whole image.
const WHOLE: &str = "full_img";

/// When the whole image is a part, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WholeImage {
    /// Where there is no box, as in PaddleX's pipeline.
    #[default]
    WithoutBoxes,
    /// Always, after the boxes, as in the older PP-ShiTu of PaddleClas.
    Always,
    /// Never: an image without a box has no part.
    Never,
}

/// A part of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// What the detector found there; `None` for the whole image.
    pub detection: Option<Detection>,
    /// Its pixels.
    pub roi: Roi,
}

impl Region {
    /// The whole of an image of `width` x `height` pixels.
    pub fn whole(width: usize, height: usize) -> Self {
        Region { detection: None, roi: Roi { x: 0, y: 0, width, height } }
    }

    /// Left, top, right and bottom of its box, in pixels.
    pub fn coordinate(&self) -> [f32; 4] {
        let Roi { x, y, width, height } = self.roi;
        let whole = || [x, y, x + width, y + height].map(|side| side as f32);
        self.detection.as_ref().map_or_else(whole, |found| found.coordinate)
    }

    /// The detector's score; 0 for the whole image.
    pub fn score(&self) -> f32 {
        self.detection.as_ref().map_or(0.0, |found| found.score)
    }

    /// The name of its class; `full_img` for the whole image.
    pub fn label(&self) -> &str {
        self.detection.as_ref().map_or(WHOLE, |found| &found.label)
    }
}

/// The parts of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// Those that can be cut out, in the detector's order.
    pub found: Vec<Region>,
    /// Boxes within one column or row of pixels, of which nothing can be cut out. They end PaddleX's whole run.
    pub too_small: Vec<Detection>,
}

impl Detector {
    /// The parts of an image that [`detect`](Self::detect) finds.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    pub fn regions(&self, image: &RgbImage, threshold: Option<f32>, whole: WholeImage) -> Result<Regions> {
        let (width, height) = (image.width(), image.height());
        Ok(regions(self.detect(image, threshold)?, [width, height], whole))
    }
}

fn regions(detections: Vec<Detection>, [width, height]: [usize; 2], whole: WholeImage) -> Regions {
    let mut regions = Regions::default();
    for detection in detections {
        match detection.roi(width, height) {
            Some(roi) => regions.found.push(Region { detection: Some(detection), roi }),
            None => regions.too_small.push(detection),
        }
    }
    let adds_whole = match whole {
        WholeImage::WithoutBoxes => regions.found.is_empty(),
        WholeImage::Always => true,
        WholeImage::Never => false,
    };
    if adds_whole {
        regions.found.push(Region::whole(width, height));
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(coordinate: [f32; 4]) -> Detection {
        Detection { class: 0, label: "mainbody".into(), score: 0.9, coordinate }
    }

    #[test]
    fn the_whole_image_is_a_part_where_it_is_wanted() {
        let one = detection([1.5, 2.0, 8.0, 9.0]);
        let narrow = detection([1.2, 0.0, 1.9, 9.0]);
        for (whole, detections, expected) in [
            (WholeImage::WithoutBoxes, vec![], vec!["full_img"]),
            (WholeImage::WithoutBoxes, vec![one.clone(), narrow.clone()], vec!["mainbody"]),
            (WholeImage::WithoutBoxes, vec![narrow.clone()], vec!["full_img"]),
            (WholeImage::Always, vec![one.clone()], vec!["mainbody", "full_img"]),
            (WholeImage::Never, vec![narrow.clone()], vec![]),
        ] {
            let too_small = detections.iter().filter(|found| **found == narrow).count();
            let parts = regions(detections, [10, 9], whole);
            let labels: Vec<&str> = parts.found.iter().map(Region::label).collect();
            assert_eq!((labels, parts.too_small.len()), (expected, too_small), "{whole:?}");
        }
        let whole = Region::whole(10, 9);
        assert_eq!((whole.coordinate(), whole.score()), ([0.0, 0.0, 10.0, 9.0], 0.0));
    }
}
