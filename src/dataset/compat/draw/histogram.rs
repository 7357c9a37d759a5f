//! The histogram: a pair of bars for each list, in Matplotlib's layout at 6.4 x 4.8 inches and 300 dots to the inch.

use super::canvas::{Canvas, Text};
use super::save::encode;
use crate::dataset::compat::{Counts, SampleFormat, Tag};
use crate::{Error, Result, RgbImage};

const WIDTH: usize = 1920;
const HEIGHT: usize = 1440;

/// A point in pixels: the unit of Matplotlib's sizes.
const POINT: f32 = 300.0 / 72.0;
/// The size of all text.
const FONT: f32 = 10.0 * POINT;

/// The plot's area. Its left side depends on the numbers beside it.
const TOP: f32 = 102.5;
const RIGHT: f32 = 1875.5;
const BOTTOM: f32 = 1264.5;

/// The width of a bar on the x axis. The pairs of bars are at 0, 1 and 2.
const BAR: f32 = 0.35;
/// The ends of the x axis.
const ENDS: [f32; 2] = [-0.485, 2.485];

const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];
const GRAY: [u8; 3] = [214; 3];
const IMAGES: [u8; 3] = [0x1f, 0x77, 0xb4];
const CLASSES: [u8; 3] = [0xff, 0x7f, 0x0e];

/// The file `histogram.png`, 1920 x 1440 pixels: the numbers of images and classes of each list.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) and others where PNG cannot be written; none is known.
pub fn histogram(counts: &[Counts; 3]) -> Result<Vec<u8>> {
    let most = counts.iter().map(|counts| counts.images.max(counts.classes)).max().unwrap_or(0) as f64;
    // Matplotlib's range for bars that are all of height 0
    let (low, high) = if most > 0.0 { (0.0, most * 1.05) } else { (-0.055, 0.055) };
    let ticks = ticks(low, high);
    let numbers: Vec<(f64, Text)> = ticks.into_iter().map(|(value, label)| (value, line(&label))).collect();
    let widest = numbers.iter().map(|(_, text)| text.advance).fold(0.0, f32::max);
    let left = 134.5 + widest;
    let x = |value: f32| left + (value - ENDS[0]) / (ENDS[1] - ENDS[0]) * (RIGHT - left);
    let y = |value: f64| BOTTOM - ((value - low) / (high - low)) as f32 * (BOTTOM - TOP);

    let mut canvas = Canvas::white(WIDTH, HEIGHT);
    let mut bars = Vec::new();
    for (index, counts) in counts.iter().enumerate() {
        let middle = index as f32;
        for (start, count, color) in [(middle - BAR, counts.images, IMAGES), (middle, counts.classes, CLASSES)] {
            let bar = [x(start), y(count as f64), x(start + BAR), y(0.0)];
            canvas.fill(bar, color);
            bars.push((bar, count));
        }
    }
    canvas.frame([left, TOP, RIGHT, BOTTOM], 0.8 * POINT, BLACK);
    for (bar, count) in &bars {
        let text = line(&count.to_string());
        // a distance of three points, and room for letters below the baseline
        let above = bar[1] - 23.0 - text.baseline;
        canvas.text(&text, (bar[0] + bar[2] - text.advance) / 2.0, above, BLACK);
    }
    for (value, text) in &numbers {
        canvas.fill([left - 16.0, y(*value) - 1.7, left, y(*value) + 1.7], BLACK);
        canvas.text(text, left - 29.0 - text.advance, y(*value) + 15.0 - text.baseline, BLACK);
    }
    for (index, tag) in Tag::ALL.into_iter().enumerate() {
        let middle = x(index as f32);
        canvas.fill([middle - 1.7, BOTTOM, middle + 1.7, BOTTOM + 16.0], BLACK);
        let text = line(tag.as_str());
        canvas.text(&text, middle - text.advance / 2.0, BOTTOM + 60.5 - text.baseline, BLACK);
    }
    let middle = (left + RIGHT) / 2.0;
    for (words, ink_middle) in [("不同集合的图片和类别数量", 65.0), ("集合", 1372.5)] {
        let text = line(words);
        let top = ink_middle - (text.ink[1] + text.ink[3]) / 2.0;
        canvas.text(&text, middle - text.advance / 2.0, top, BLACK);
    }
    let text = line("数量");
    let top = 65.0 - (text.ink[1] + text.ink[3]) / 2.0;
    canvas.text_upwards(&text, top, (TOP + BOTTOM + text.advance) / 2.0, BLACK);
    legend(&mut canvas, left, &bars);

    let image = RgbImage::new(canvas.width, canvas.height, canvas.pixels)?;
    encode(&image, SampleFormat::Png)?.ok_or_else(|| Error::internal("PNG is not written"))
}

fn line(text: &str) -> Text {
    Text::new(text, FONT, f32::INFINITY)
}

/// Draws the legend of the colours, at the place with the fewest bars.
fn legend(canvas: &mut Canvas, left: f32, bars: &[([f32; 4], usize)]) {
    let rows = [(line("Num Images"), IMAGES), (line("Num Classes"), CLASSES)];
    let words = rows.iter().map(|(text, _)| text.advance).fold(0.0, f32::max);
    let [width, height] = [2.0 * 16.7 + 83.3 + 33.3 + words, 139.0];
    let [low, high] = [left + 22.0, RIGHT - 22.0 - width];
    let [top, bottom] = [TOP + 19.0, BOTTOM - 19.0 - height];
    let [across, down] = [(low + high) / 2.0, (top + bottom) / 2.0];
    let places = [
        (high, top),
        (low, top),
        (low, bottom),
        (high, bottom),
        (high, down),
        (low, down),
        (across, bottom),
        (across, top),
        (across, down),
    ];
    let in_the_way = |&(x, y): &(f32, f32)| {
        let meets = |bar: &[f32; 4]| bar[0] < x + width && bar[2] > x && bar[1] < y + height && bar[3] > y;
        bars.iter().filter(|(bar, _)| meets(bar)).count()
    };
    let Some(&(x, y)) = places.iter().min_by_key(|place| in_the_way(place)) else { return };
    canvas.fill([x, y, x + width, y + height], WHITE);
    canvas.frame([x, y, x + width, y + height], POINT, GRAY);
    for (index, (text, color)) in rows.iter().enumerate() {
        let baseline = y + 50.0 + 63.0 * index as f32;
        canvas.fill([x + 16.7, baseline - 29.0, x + 100.0, baseline], *color);
        canvas.text(text, x + 133.3, baseline - text.baseline, BLACK);
    }
}

/// The values at an axis, and their texts. Matplotlib's choice: at most ten, in steps of 1, 2, 2.5 or 5 times a power
/// of ten.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let least = (high - low) / 9.0;
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power).into_iter().find(|&step| step >= least);
    let step = step.unwrap_or(10.0 * power);
    let is_whole = |decimals: i32| {
        let shifted = step * 10f64.powi(decimals);
        (shifted - shifted.round()).abs() < 1e-6 * shifted
    };
    let decimals = (0..6).find(|&decimals| is_whole(decimals)).unwrap_or(6) as usize;
    let [first, last] = [(low / step).ceil(), (high / step).floor()];
    let values = (0..=(last - first) as usize).map(|index| (first + index as f64) * step);
    values.map(|value| (value, format!("{value:.decimals$}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(most: f64) -> Vec<String> {
        ticks(0.0, most * 1.05).into_iter().map(|(_, label)| label).collect()
    }

    /// As Matplotlib chooses them for bars of this height.
    #[test]
    fn numbers_at_the_axis() {
        assert_eq!(labels(24.0), ["0", "5", "10", "15", "20", "25"]);
        assert_eq!(labels(1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(20.0), ["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0", "17.5", "20.0"]);
        assert_eq!(labels(8.0), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert_eq!(labels(5500.0), ["0", "1000", "2000", "3000", "4000", "5000"]);
    }

    #[test]
    fn it_has_the_size_and_the_colours() {
        for counts in [[24, 12, 12], [0, 0, 0], [1, 99_999_999, 3]] {
            let counts = counts.map(|images| Counts { images, classes: images / 3 });
            let image = crate::decode(&histogram(&counts).unwrap(), &crate::DecodeLimits::default()).unwrap();
            assert_eq!((image.width(), image.height()), (1920, 1440));
            let pixels = image.pixels().as_chunks::<3>().0;
            for color in [IMAGES, CLASSES, BLACK, GRAY] {
                assert!(pixels.contains(&color), "{color:?} in {counts:?}");
            }
        }
    }
}
