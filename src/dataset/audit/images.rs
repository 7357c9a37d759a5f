//! Findings of single images.

use super::super::dataset::{Dataset, extension};
use super::super::facts::{ImageFacts, PixelFacts};
use super::super::findings::{Code, Finding, Findings};
use super::Uses;
use crate::ImageFormat;

/// The smallest side of an image that can show something.
const LEAST_SIDE: u32 = 8;
const HUGE_PIXELS: u64 = 50_000_000;
const MOST_ELONGATED: u32 = 8;
/// A blank picture has a lower standard deviation of gray.
const BLANK_CONTRAST: f32 = 3.0;
/// A dark picture has a lower mean gray.
const DARK: f32 = 25.0;
/// A bright picture has a higher mean gray, and a deviation below `BRIGHT_CONTRAST`.
const BRIGHT: f32 = 235.0;
/// An object on white paper has a higher deviation.
const BRIGHT_CONTRAST: f32 = 20.0;
/// A blurred picture has a lower ratio of the Laplacian's variance to the picture's. The grocery photos have at least
/// 0.015 at any contrast; blurred by a Gaussian of 2 pixels their median is 0.004, of 3 pixels 0.002.
const BLURRED: f32 = 0.004;

pub(super) fn judge(dataset: &Dataset, uses: &Uses<'_>, facts: &[Option<ImageFacts>], findings: &mut Findings) {
    for (image, facts) in facts.iter().enumerate() {
        let Some(facts) = facts else { continue };
        let path = &dataset.paths()[image];
        let row = uses.rows[image];
        let mut add = |code: Code, reason: String| {
            findings.add(code, |code| Finding::new(code, reason).at(row.list, row.line).image(path.as_str()));
        };
        judge_file(facts, path, &mut add);
        if let Some(pixels) = &facts.pixels {
            judge_picture(facts, pixels, &mut add);
        }
    }
}

fn judge_file(facts: &ImageFacts, path: &str, add: &mut dyn FnMut(Code, String)) {
    if let Some(problem) = &facts.problem {
        let code = match problem.kind.as_str() {
            "unsupported" => Code::UnsupportedFormat,
            "limit" => Code::TooLarge,
            "decode" if facts.ends_early => Code::Truncated,
            "decode" => Code::Undecodable,
            _ => Code::Unreadable,
        };
        add(code, problem.message.clone());
    } else if facts.ends_early {
        let damage = facts.damage.as_deref().unwrap_or("all pixels are there, the mark of the end is not");
        add(Code::Truncated, format!("the file ends before its end: {damage}"));
    } else if let Some(damage) = &facts.damage {
        add(Code::Damaged, damage.clone());
    }
    let Some(format) = facts.format else { return };
    let written = extension(path).unwrap_or_default();
    if !fits(format, written) {
        let written = if written.is_empty() { "no extension".into() } else { format!("the extension `{written}`") };
        add(Code::WrongExtension, format!("the file is {format} and has {written}"));
    }
    if facts.animated {
        add(Code::Animated, format!("the {format} file has several frames or pages"));
    }
    if facts.cmyk {
        add(Code::Cmyk, format!("the {format} file has four inks"));
    }
    if facts.bits > 8 {
        add(Code::SixteenBit, format!("{} bits a sample", facts.bits));
    }
    // the decoder returns all frames of a GIF with alpha
    if matches!(facts.channels, 2 | 4) && !facts.cmyk && format != ImageFormat::Gif {
        add(Code::Transparent, format!("{} channels", facts.channels));
    }
    if facts.orientation > 1 {
        add(Code::ExifRotated, format!("the EXIF orientation is {}", facts.orientation));
    }
}

fn judge_picture(facts: &ImageFacts, pixels: &PixelFacts, add: &mut dyn FnMut(Code, String)) {
    let (width, height) = (facts.width, facts.height);
    let size = format!("{width} x {height} pixels");
    if width.min(height) < LEAST_SIDE {
        // other measures mean nothing for so few pixels
        return add(Code::Tiny, size);
    }
    if u64::from(width) * u64::from(height) > HUGE_PIXELS {
        add(Code::Huge, size.clone());
    }
    if width.max(height) / width.min(height) >= MOST_ELONGATED {
        add(Code::Elongated, size);
    }
    let PixelFacts { sharpness, brightness, contrast, .. } = *pixels;
    let measures = format!("mean gray {brightness:.0}, deviation {contrast:.1}");
    if contrast < BLANK_CONTRAST {
        add(Code::Blank, measures);
    } else if brightness < DARK {
        add(Code::Dark, measures);
    } else if brightness > BRIGHT && contrast < BRIGHT_CONTRAST {
        add(Code::Bright, measures);
    } else if sharpness < BLURRED * contrast * contrast {
        add(Code::Blurred, format!("its Laplacian's variance is {sharpness:.1}"));
    }
}

/// Whether an extension is usual for a format.
fn fits(format: ImageFormat, extension: &str) -> bool {
    let usual: &[&str] = match format {
        ImageFormat::Jpeg => &["jpg", "jpeg", "jpe", "jfif", "mpo"],
        ImageFormat::Png => &["png", "apng"],
        ImageFormat::WebP => &["webp"],
        ImageFormat::Gif => &["gif"],
        ImageFormat::Bmp => &["bmp", "dib"],
        ImageFormat::Tiff => &["tif", "tiff"],
        ImageFormat::Pnm => &["pnm", "pbm", "pgm", "ppm", "pam"],
        ImageFormat::Pfm => &["pfm"],
        ImageFormat::SunRaster => &["ras", "sun"],
        ImageFormat::Qoi => &["qoi"],
    };
    usual.contains(&extension.to_ascii_lowercase().as_str())
}
