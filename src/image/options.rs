//! The options of decoding.

use std::fmt;
use std::str::FromStr;

use super::limits::DecodeLimits;
use crate::{Error, Result};

/// The options of [`decode_with`](crate::decode_with).
///
/// ```
/// use image_feature::{DecodeOptions, Orient, decode_with};
///
/// let options = DecodeOptions { orient: Orient::Never, ..DecodeOptions::default() };
/// let decoded = decode_with(b"P3 2 1 255  255 0 0  0 0 255", &options)?;
/// assert_eq!(decoded.image.width(), 2);
/// assert_eq!(decoded.damage, None);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The largest image.
    pub limits: DecodeLimits,
    /// The metadata that turns images.
    pub orient: Orient,
}

/// The metadata that turns images upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Orient {
    /// What OpenCV 4.10 follows, the version of PaddleX: EXIF in the first APP1 segment of a JPEG, in a PNG's `eXIf` chunk, and
    /// the tag of a TIFF; not EXIF in WebP.
    #[default]
    OpenCv,
    /// All EXIF that can be found: also in WebP, and in later segments of a JPEG.
    Exif,
    /// None: pixels stay as they are stored.
    Never,
}

impl Orient {
    const ALL: [Orient; 3] = [Orient::OpenCv, Orient::Exif, Orient::Never];

    /// The value as one lower-case word, which [`FromStr`] reads: `opencv`, `exif` or `none`.
    ///
    /// ```
    /// use image_feature::Orient;
    ///
    /// assert_eq!(Orient::Never.as_str(), "none");
    /// assert_eq!("exif".parse::<Orient>()?, Orient::Exif);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Orient::OpenCv => "opencv",
            Orient::Exif => "exif",
            Orient::Never => "none",
        }
    }
}

impl fmt::Display for Orient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Orient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Orient::ALL.into_iter().find(|orient| orient.as_str() == text);
        found.ok_or_else(|| Error::usage(format!("the orientation `{text}` is not opencv, exif or none")))
    }
}
