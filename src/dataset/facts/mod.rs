//! Facts of one image file, measured from its bytes alone: everything that a check needs of it.

mod digest;
mod pixels;
mod structure;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MOST_FILE_BYTES;
use crate::file_tree::FileTree;
use crate::image::structure::ends_early;
use crate::image::{DecodeOptions, decode_noting_damage};
use crate::{DecodeLimits, Error, ImageFormat, ImageInfo, RgbImage, probe};

pub use digest::Digest;
pub use pixels::PixelFacts;

/// The facts of an image file. They are small plain data: workers can measure their share of a data set and send the
/// facts as JSON.
///
/// ```
/// use image_feature::dataset::ImageFacts;
///
/// let (facts, image) = ImageFacts::of(b"P3 2 1 255  255 0 0  0 0 255", &Default::default());
/// assert_eq!((facts.width, facts.height, facts.problem.is_none()), (2, 1, true));
/// assert_eq!(image.unwrap().pixels()[0], 255);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageFacts {
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The digest of the file; zeros where it could not be read.
    pub digest: Digest,
    /// The format, by the first bytes.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub format: Option<ImageFormat>,
    /// Width in pixels, after the EXIF orientation is applied; 0 where there is no readable header.
    pub width: u32,
    /// Height in pixels, after the EXIF orientation is applied; 0 where there is no readable header.
    pub height: u32,
    /// Samples of each pixel in the file.
    pub channels: u8,
    /// Whether the colours are CMYK.
    pub cmyk: bool,
    /// Bits of each sample in the file.
    pub bits: u8,
    /// The EXIF orientation, 1 (upright) to 8.
    pub orientation: u8,
    /// Whether there are several frames or pages.
    pub animated: bool,
    /// Whether the file is cut off.
    pub ends_early: bool,
    /// The error of decoding, where there are no pixels.
    pub problem: Option<Problem>,
    /// The damage, where damaged data could be decoded in part.
    pub damage: Option<String>,
    /// Measures of the decoded image.
    pub pixels: Option<PixelFacts>,
}

/// The error of decoding an image file, as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The error's kind: see [`ErrorKind::as_str`](crate::ErrorKind::as_str).
    pub kind: String,
    /// The error's message.
    pub message: String,
}

impl ImageFacts {
    /// Decodes a file and measures its facts. Returns the image, too, where it could be decoded.
    pub fn of(bytes: &[u8], limits: &DecodeLimits) -> (ImageFacts, Option<RgbImage>) {
        ImageFacts::of_probed(bytes, probe(bytes).ok(), limits)
    }

    /// As [`of`](Self::of), with a header that was read before.
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
            facts.ends_early = ends_early(format, bytes);
        }
        if let Some(info) = header {
            (facts.width, facts.height) = (info.width(), info.height());
            (facts.channels, facts.bits, facts.orientation) =
                (info.channels(), info.bits_per_sample(), info.orientation());
            facts.cmyk = structure::is_cmyk(info.format(), info.channels(), bytes);
        }
        match decode_noting_damage(bytes, &DecodeOptions { limits: *limits, ..DecodeOptions::default() }) {
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

    /// Reads one image of a tree and measures its facts. For many images, see [`survey`](super::survey), which uses
    /// threads.
    ///
    /// ```
    /// use image_feature::dataset::ImageFacts;
    /// use image_feature::file_tree::Memory;
    ///
    /// let tree = Memory::new("example", [("a.ppm", b"P3 1 1 255 9 9 9".to_vec()), ("b.txt", b"no image".to_vec())]);
    /// let share = [0, 1];
    /// let facts = share.map(|index| ImageFacts::read(&tree, index, &Default::default()));
    /// assert!(facts[0].problem.is_none() && facts[1].problem.is_some());
    /// ```
    pub fn read(tree: &dyn FileTree, index: usize, limits: &DecodeLimits) -> ImageFacts {
        match tree.read(index, MOST_FILE_BYTES) {
            Ok(bytes) => ImageFacts::of(&bytes, limits).0,
            Err(error) => ImageFacts::unreadable(error),
        }
    }

    /// The facts of a file that could not be read.
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
    Ok([Jpeg, Png, WebP, Gif, Bmp, Tiff, Pnm, Pfm, SunRaster, Qoi].into_iter().find(|format| format.as_str() == name))
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
