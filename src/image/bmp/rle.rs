//! Run-length codes of bitmaps.

use crate::Result;
use crate::image::limits::zeroed;

/// The colour number of each pixel, in rows as they are stored. Pixels that the codes skip have number 0, as in OpenCV.
/// Runs are cut off at the end of their row. With a description of what is wrong.
pub(super) fn decode(codes: &[u8], width: usize, height: usize, bits: u32) -> Result<(Vec<u8>, Option<String>)> {
    let mut canvas = Canvas { indices: zeroed(width * height)?, width, height, x: 0, y: 0, leaves: false };
    let ended = canvas.draw(codes, bits);
    let damage = match (ended, canvas.leaves) {
        (false, _) => Some(format!("the run-length codes end in row {} of {height}", canvas.y.min(height))),
        (true, true) => Some("run-length codes lead out of their row".into()),
        (true, false) => None,
    };
    Ok((canvas.indices, damage))
}

struct Canvas {
    indices: Vec<u8>,
    width: usize,
    height: usize,
    x: usize,
    y: usize,
    /// Whether a pixel outside was drawn.
    leaves: bool,
}

impl Canvas {
    /// Draws all codes; false where their end mark is missing.
    fn draw(&mut self, codes: &[u8], bits: u32) -> bool {
        const END_OF_ROW: u8 = 0;
        const END: u8 = 1;
        const MOVE: u8 = 2;
        let nibble = |byte: u8, index: usize| if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
        let mut rest = codes;
        while let Some((&[count, value], after)) = rest.split_first_chunk() {
            rest = after;
            match (count, value) {
                // all rows are there: what follows changes nothing
                (0, END_OF_ROW) if self.y + 1 >= self.height => return true,
                (0, END_OF_ROW) => (self.x, self.y) = (0, self.y + 1),
                (0, END) => return true,
                (0, MOVE) => {
                    let Some((&[right, down], after)) = rest.split_first_chunk() else { return false };
                    (self.x, self.y) = (self.x + usize::from(right), self.y + usize::from(down));
                    rest = after;
                }
                (0, count) => {
                    let count = usize::from(count);
                    let len = if bits == 4 { count.div_ceil(2) } else { count };
                    let Some(values) = rest.get(..len) else { return false };
                    for index in 0..count {
                        self.put(if bits == 4 { nibble(values[index / 2], index) } else { values[index] });
                    }
                    rest = rest.get(len.next_multiple_of(2)..).unwrap_or_default();
                }
                (count, value) => {
                    for index in 0..usize::from(count) {
                        self.put(if bits == 4 { nibble(value, index) } else { value });
                    }
                }
            }
        }
        false
    }

    fn put(&mut self, index: u8) {
        if self.x < self.width && self.y < self.height {
            self.indices[self.y * self.width + self.x] = index;
        } else {
            self.leaves = true;
        }
        self.x += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_literals_and_moves_are_drawn() {
        let codes = [2, 7, 0, 0, 0, 2, 1, 1, 0, 3, 4, 5, 6, 0, 0, 1];
        let (indices, damage) = decode(&codes, 4, 3, 8).unwrap();
        assert_eq!(indices, [7, 7, 0, 0, 0, 0, 0, 0, 0, 4, 5, 6]);
        assert_eq!(damage, None);
        let (indices, _) = decode(&[3, 0x12, 0, 0, 0, 3, 0x34, 0x50, 0, 1], 3, 2, 4).unwrap();
        assert_eq!(indices, [1, 2, 1, 3, 4, 5]);
    }

    #[test]
    fn faults_are_told() {
        let damage = |codes: &[u8]| decode(codes, 2, 2, 8).unwrap().1.unwrap();
        assert!(damage(&[2, 7]).contains("row 0 of 2"));
        assert!(damage(&[0, 9, 1]).contains("end in"));
        assert!(damage(&[0, 2, 1]).contains("end in"));
        assert!(damage(&[3, 7, 0, 1]).contains("lead out"));
    }
}
