//! The options of decoding that commands share, and what they tell of damaged files.

use image_feature::{DecodeOptions, Decoded, Error, Orient, Result, decode_with};

/// The arguments that say how images are decoded.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Decoding {
    /// Metadata that turns photos upright: opencv, what OpenCV 4.10 and so PaddleX follows (not EXIF in WebP); exif, all
    /// that there is; none
    #[arg(long, value_name = "RULE", default_value_t = Orient::OpenCv)]
    orientation: Orient,
    /// Refuse damaged images. Without it, the part that can be decoded is used, and a note tells it
    #[arg(long)]
    strict: bool,
}

impl Decoding {
    /// Decodes a file.
    ///
    /// # Errors
    /// Errors of decoding, and damage where it is not wanted.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded> {
        let decoded = decode_with(bytes, &DecodeOptions { orient: self.orientation, ..DecodeOptions::default() })?;
        match &decoded.damage {
            Some(damage) if self.strict => Err(Error::decode(format!("the image is damaged: {damage}"))),
            _ => Ok(decoded),
        }
    }

    /// The metadata that turns images.
    pub fn orient(&self) -> Orient {
        self.orientation
    }
}

/// The damaged images of a run, of which only a part was seen.
#[derive(Default)]
pub struct Damaged {
    count: u64,
    examples: Vec<String>,
}

impl Damaged {
    /// Counts an image.
    pub fn add(&mut self, name: &str, damage: &str) {
        const MOST_EXAMPLES: usize = 10;
        self.count += 1;
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(format!("{name} ({damage})"));
        }
    }

    /// The note at the end of a run over `images`; `None` where no image is damaged.
    pub fn note(&self, images: u64) -> Option<String> {
        let told = self.told(images)?;
        Some(format!("warning: {told}; their vectors are of the part that could be decoded, --strict refuses them"))
    }

    /// Which of `images` are damaged, with their number; `None` where none is.
    pub fn told(&self, images: u64) -> Option<String> {
        let more = match self.count - self.examples.len() as u64 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let are = if self.count == 1 { "is" } else { "are" };
        (self.count > 0)
            .then(|| format!("{} of {images} images {are} damaged: {}{more}", self.count, self.examples.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_images_are_counted_and_named() {
        let mut damaged = Damaged::default();
        assert_eq!(damaged.note(3), None);
        damaged.add("a.jpg", "the file ends early");
        let note = damaged.note(3).unwrap();
        assert!(note.starts_with("warning: 1 of 3 images is damaged"), "{note}");
        assert!(note.contains(": a.jpg (the file ends early); their vectors"), "{note}");
        (0..20).for_each(|_| damaged.add("b.jpg", "x"));
        assert!(damaged.note(30).unwrap().contains("21 of 30 images are damaged"));
        assert!(damaged.note(30).unwrap().contains(", and 11 more; their"));
    }
}
