//! A canvas for rectangles and text.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, OutlinedGlyph, PxScale, ScaleFont, point};

/// Noto Sans SC, cut down to Latin-1 and the histogram's words by `subset_font.sh`. See OFL.txt for its licence.
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("noto-sans-sc-subset.otf")).expect("the font is part of the program")
});

pub type Color = [u8; 3];

/// An RGB image to draw on.
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

/// A line of text. Its origin is its left end at the height of the font's ascender.
pub struct Text {
    glyphs: Vec<OutlinedGlyph>,
    /// The distance from the origin down to the baseline.
    pub baseline: f32,
    /// The distance from the origin to the next letter.
    pub advance: f32,
    /// The rectangle of its pixels: left, top, right, bottom.
    pub ink: [f32; 4],
}

impl Text {
    /// Lays out text with `size` pixels to the em, up to the first letter that ends beyond `limit` pixels.
    pub fn new(text: &str, size: f32, limit: f32) -> Self {
        let font = &*FONT;
        let per_em = font.units_per_em().unwrap_or(1000.0);
        let scale = PxScale::from(size * font.height_unscaled() / per_em);
        let scaled = font.as_scaled(scale);
        let baseline = scaled.ascent();
        let mut advance = 0.0;
        let mut glyphs = Vec::new();
        let mut ink = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        for c in text.chars() {
            let id = font.glyph_id(c);
            let glyph = Glyph { id, scale, position: point(advance, baseline) };
            if let Some(outlined) = font.outline_glyph(glyph) {
                let bounds = outlined.px_bounds();
                ink[0] = ink[0].min(bounds.min.x);
                ink[1] = ink[1].min(bounds.min.y);
                ink[2] = ink[2].max(bounds.max.x);
                ink[3] = ink[3].max(bounds.max.y);
                glyphs.push(outlined);
            }
            advance += scaled.h_advance(id);
            if advance > limit {
                break;
            }
        }
        if glyphs.is_empty() {
            ink = [0.0; 4];
        }
        Text { glyphs, baseline, advance, ink }
    }

    /// Width and height of the ink.
    pub fn size(&self) -> (f32, f32) {
        (self.ink[2] - self.ink[0], self.ink[3] - self.ink[1])
    }
}

impl Canvas {
    pub fn white(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![255; width * height * 3] }
    }

    /// Fills a rectangle. The right column and the bottom row do not belong to it.
    pub fn fill(&mut self, [left, top, right, bottom]: [f32; 4], color: Color) {
        let inside = |value: f32, side: usize| (value.round().max(0.0) as usize).min(side);
        let (left, right) = (inside(left, self.width), inside(right, self.width));
        for y in inside(top, self.height)..inside(bottom, self.height) {
            for x in left..right {
                self.blend(x, y, color, 1.0);
            }
        }
    }

    /// Draws the outline of a rectangle, `width` pixels wide, half of them inside.
    pub fn frame(&mut self, [left, top, right, bottom]: [f32; 4], width: f32, color: Color) {
        let half = width / 2.0;
        let (l, t, r, b) = (left - half, top - half, right + half, bottom + half);
        for side in [[l, t, r, t + width], [l, b - width, r, b], [l, t, l + width, b], [r - width, t, r, b]] {
            self.fill(side, color);
        }
    }

    /// Draws text with its origin at `x`, `y`.
    pub fn text(&mut self, text: &Text, x: f32, y: f32, color: Color) {
        self.glyphs(text, color, |dx, dy| (x + dx, y + dy));
    }

    /// Draws text that reads upwards, with its origin at `x`, `y`.
    pub fn text_upwards(&mut self, text: &Text, x: f32, y: f32, color: Color) {
        self.glyphs(text, color, |dx, dy| (x + dy, y - dx));
    }

    fn glyphs(&mut self, text: &Text, color: Color, place: impl Fn(f32, f32) -> (f32, f32)) {
        for glyph in &text.glyphs {
            let bounds = glyph.px_bounds();
            glyph.draw(|dx, dy, coverage| {
                let (x, y) = place(bounds.min.x + dx as f32, bounds.min.y + dy as f32);
                let (x, y) = (x.round(), y.round());
                if x >= 0.0 && y >= 0.0 && (x as usize) < self.width && (y as usize) < self.height {
                    self.blend(x as usize, y as usize, color, coverage);
                }
            });
        }
    }

    fn blend(&mut self, x: usize, y: usize, color: Color, coverage: f32) {
        let at = 3 * (y * self.width + x);
        let coverage = coverage.clamp(0.0, 1.0);
        for (pixel, color) in self.pixels[at..at + 3].iter_mut().zip(color) {
            *pixel = (f32::from(*pixel) * (1.0 - coverage) + f32::from(color) * coverage).round() as u8;
        }
    }
}
