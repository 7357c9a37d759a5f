//! What one image file is: everything a check needs to know of it, found from its bytes alone.

mod digest;
mod pixels;
mod structure;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MOST_FILE_BYTES;
use crate::file_tree::FileTree;
use crate::image::decode_noting_damage;
use crate::{DecodeLimits, Error, ImageFormat, ImageInfo, RgbImage, probe};

pub use digest::Digest;
pub use pixels::PixelFacts;

/// What is known of an image file. Small, and plain data: workers can find the facts of their share of a data set and
/// send them as JSON.
///
/// ```
/// use image_feature::dataset::ImageFacts;
///
/// let (facts, image) = ImageFacts::of(b"P3 2 1 255  255 0 0  0 0 255", &Default::default());
/// assert_eq!((facts.width, facts.height, facts.problem.is_none()), (2, 1, true));
/// assert_eq!(image.unwrap().pixels()[0], 255);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// The size of the file.
    pub bytes: u64,
    /// Of the file; zeros where it could not be read.
    pub digest: Digest,
    /// By the first bytes.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub format: Option<ImageFormat>,
    /// Pixels as seen, that is, with the EXIF orientation applied; 0 where the header tells nothing.
    pub width: u32,
    pub height: u32,
    /// Samples of each pixel in the file.
    pub channels: u8,
    /// Whether the samples are of four inks.
    pub cmyk: bool,
    /// Bits of each sample in the file.
    pub bits: u8,
    /// As EXIF has it: 1 is upright.
    pub orientation: u8,
    /// Whether there are several frames or pages.
    pub animated: bool,
    /// Whether the file ends before the format's end.
    pub ends_early: bool,
    /// Why there are no pixels.
    pub problem: Option<Problem>,
    /// What is wrong with data that gave pixels all the same.
    pub damage: Option<String>,
    /// Of the decoded image.
    pub pixels: Option<PixelFacts>,
}

/// Why a file gave no pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// As [`ErrorKind::as_str`](crate::ErrorKind::as_str) has it.
    pub kind: String,
    pub message: String,
}

impl ImageFacts {
    /// Decodes a file and looks at it from all sides. The image comes along for those who need it, too.
    pub fn of(bytes: &[u8], limits: &DecodeLimits) -> (ImageFacts, Option<RgbImage>) {
        ImageFacts::of_probed(bytes, probe(bytes).ok(), limits)
    }

    /// As [`of`](Self::of), where the header has been read already.
    pub(super) fn of_probed(
        bytes: &[u8],
        header: Option<ImageInfo>,
        limits: &DecodeLimits,
    ) -> (ImageFacts, Option<RgbImage>) {
        let mut facts = ImageFacts {
            bytes: bytes.len() as u64,
            digest: Digest::of(&[bytes]),
            format: ImageFormat::detect(bytes).ok(),
            width: 0,
            height: 0,
            channels: 0,
            cmyk: false,
            bits: 0,
            orientation: 1,
            animated: false,
            ends_early: false,
            problem: None,
            damage: None,
            pixels: None,
        };
        if let Some(format) = facts.format {
            facts.animated = structure::is_animated(format, bytes);
            facts.ends_early = structure::ends_early(format, bytes);
        }
        if let Some(info) = header {
            (facts.width, facts.height) = (info.width(), info.height());
            (facts.channels, facts.bits, facts.orientation) =
                (info.channels(), info.bits_per_sample(), info.orientation());
            facts.cmyk = structure::is_cmyk(info.format(), info.channels(), bytes);
        }
        match decode_noting_damage(bytes, limits) {
            Ok((image, damage)) => {
                facts.damage = damage;
                facts.pixels = Some(PixelFacts::of(&image));
                (facts, Some(image))
            }
            Err(error) => {
                facts.problem = Some(Problem::from(error));
                (facts, None)
            }
        }
    }

    /// Reads and looks at one image of a tree: a step of those who take one after the other, and may stop between them.
    ///
    /// ```
    /// use image_feature::dataset::ImageFacts;
    /// use image_feature::file_tree::Memory;
    ///
    /// let tree = Memory::new("example", [("a.ppm", b"P3 1 1 255 9 9 9".to_vec()), ("b.txt", b"no image".to_vec())]);
    /// let share = [0, 1];
    /// let facts: Vec<ImageFacts> = share.iter().map(|&index| ImageFacts::read(&tree, index, &Default::default())).collect();
    /// assert!(facts[0].problem.is_none() && facts[1].problem.is_some());
    /// ```
    pub fn read(tree: &dyn FileTree, index: usize, limits: &DecodeLimits) -> ImageFacts {
        match tree.read(index, MOST_FILE_BYTES) {
            Ok(bytes) => ImageFacts::of(&bytes, limits).0,
            Err(error) => ImageFacts::unreadable(error),
        }
    }

    /// Of a file that could not be read.
    pub fn unreadable(error: Error) -> ImageFacts {
        let (facts, _) = ImageFacts::of(&[], &DecodeLimits::default());
        ImageFacts {
            digest: Digest::default(),
            problem: Some(Problem { kind: "io".into(), message: error.to_string() }),
            ..facts
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem { kind: error.kind().as_str().into(), message: error.to_string() }
    }
}

fn write_format<S: Serializer>(format: &Option<ImageFormat>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.map_or("", ImageFormat::as_str))
}

fn read_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ImageFormat>, D::Error> {
    use ImageFormat::*;
    let name = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    Ok([Jpeg, Png, WebP, Gif, Bmp, Tiff, Pnm, Qoi].into_iter().find(|format| format.as_str() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_the_way_through_json() {
        for bytes in [&b"P3 2 1 255  255 0 0  0 0 255"[..], b"no image", b""] {
            let (facts, _) = ImageFacts::of(bytes, &DecodeLimits::default());
            let json = serde_json::to_string(&facts).unwrap();
            assert_eq!(serde_json::from_str::<ImageFacts>(&json).unwrap(), facts, "{json}");
        }
    }
}
