//! Fax codes: ITU-T T.4 (Group 3) in one and two dimensions, T.6 (Group 4), and TIFF's own variant of T.4.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

use super::{damaged, unsupported};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Runs alone, each row from a new byte.
    Modified,
    Group3 {
        /// Whether rows may be coded as changes of the row above.
        two_dimensional: bool,
    },
    Group4,
}

/// Rows of one bit a pixel, each from a new byte; a black pixel is 1.
pub(super) fn decode(data: &[u8], width: usize, rows: usize, coding: Coding) -> Result<Vec<u8>> {
    // the tables look at more bits than the last code may have
    let bytes = data.iter().copied().chain([0; 4]).map(Ok::<u8, Infallible>);
    let Ok(mut reader) = ByteReader::new(bytes);
    let (mut out, mut above) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let row = match coding {
            Coding::Modified => {
                let _ = reader.consume(reader.bits_to_byte_boundary());
                runs(&mut reader, width)?
            }
            Coding::Group3 { two_dimensional } => {
                let is_marked = skip_end_of_line(&mut reader);
                if two_dimensional && is_marked && take_bit(&mut reader) == Some(false) {
                    changes(&mut reader, width, &above)?.unwrap_or_default()
                } else {
                    runs(&mut reader, width)?
                }
            }
            Coding::Group4 => match changes(&mut reader, width, &above)? {
                Some(row) => row,
                // some writers leave white rows at the end away
                None => break,
            },
        };
        write_row(&row, width, &mut out);
        above = row;
    }
    out.resize(rows * width.div_ceil(8), 0);
    Ok(out)
}

fn senseless() -> Error {
    damaged("fax codes cannot be read")
}

fn take_bit(reader: &mut impl BitReader) -> Option<bool> {
    let bit = reader.peek(1)?;
    reader.consume(1).ok()?;
    Some(bit == 1)
}

/// Skips marks between rows, of eleven or more zeros and a one. Whether there was one.
fn skip_end_of_line(reader: &mut impl BitReader) -> bool {
    let mut found = false;
    while reader.peek(11) == Some(0) {
        while take_bit(reader) == Some(false) {}
        found = true;
    }
    found
}

/// A row of runs: the places where the colour changes, beginning with white.
fn runs(reader: &mut impl BitReader, width: usize) -> Result<Vec<usize>> {
    let (mut row, mut at) = (Vec::new(), 0);
    while at < width {
        at += run(reader, row.len() % 2 == 1)?;
        row.push(at);
    }
    Ok(row)
}

fn run(reader: &mut impl BitReader, is_black: bool) -> Result<usize> {
    let mut sum = 0;
    loop {
        let length = if is_black { black::decode(reader) } else { white::decode(reader) };
        let length = usize::from(length.ok_or_else(senseless)?);
        sum += length;
        // longer runs are sums
        if length < 64 {
            return Ok(sum);
        }
    }
}

/// A row that is coded by what changes from the row above; `None` at the end of the data.
fn changes(reader: &mut impl BitReader, width: usize, above: &[usize]) -> Result<Option<Vec<usize>>> {
    let mut row: Vec<usize> = Vec::new();
    // the place up to which pixels are known; `None` before the first, so that a change there counts as one to the right
    let mut known: Option<usize> = None;
    let mut next = 0;
    while known.unwrap_or(0) < width {
        let is_black = row.len() % 2 == 1;
        let is_right = |at: usize| known.is_none_or(|known| at > known);
        while next > 0 && is_right(above[next - 1]) {
            next -= 1;
        }
        while next < above.len() && (!is_right(above[next]) || (next % 2 == 1) != is_black) {
            next += 1;
        }
        let change = above.get(next).map_or(width, |&at| at.min(width));
        let start = known.unwrap_or(0);
        let is_end = reader.peek(12) == Some(1);
        match mode::decode(reader) {
            Some(Mode::Pass) => known = Some(above.get(next + 1).map_or(width, |&at| at.min(width))),
            Some(Mode::Vertical(by)) => {
                let at = change.checked_add_signed(by.into()).filter(|&at| at >= start).ok_or_else(senseless)?;
                row.push(at);
                known = Some(at);
            }
            Some(Mode::Horizontal) => {
                for color in [is_black, !is_black] {
                    let at = known.unwrap_or(0) + run(reader, color)?;
                    row.push(at);
                    known = Some(at);
                }
            }
            Some(Mode::EOF) if is_end => return Ok(None),
            Some(Mode::Extension) => return Err(unsupported("fax data that is not compressed".into())),
            Some(Mode::EOF) | None => return Err(senseless()),
        }
    }
    Ok(Some(row))
}

fn write_row(changes: &[usize], width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width.div_ceil(8), 0);
    let row = &mut out[start..];
    let mut ends = changes.iter().map(|&at| at.min(width)).chain([width, width]);
    while let (Some(from), Some(to)) = (ends.next(), ends.next()) {
        for x in from..to.max(from) {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits as bytes, the last filled with zeros.
    fn bytes(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|byte| *byte != b' ').map(|byte| byte - b'0').collect();
        bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, bit)| bit << (7 - at)).sum()).collect()
    }

    #[test]
    fn each_coding_gives_the_same_rows() {
        // white 4, black 3, white 1; then black 2, white 6
        let expected = vec![0b0000_1110, 0b1100_0000];
        let (first, second) = ("1011 10 000111", "00110101 11 1110");
        let end = "000000000001";
        let cases = [
            (Coding::Modified, format!("{first} 0000 {second}")),
            (Coding::Group3 { two_dimensional: false }, format!("{end} {first} {end} {second}")),
            (Coding::Group3 { two_dimensional: true }, format!("{end}1 {first} {end}0 001 00110101 11 0001 1")),
            (Coding::Group4, "001 1011 10 1 001 00110101 11 0001 1".into()),
        ];
        for (coding, bits) in cases {
            assert_eq!(decode(&bytes(&bits), 8, 2, coding).unwrap(), expected, "{coding:?}");
        }
    }

    #[test]
    fn codes_without_sense_are_errors() {
        let codings = [
            Coding::Modified,
            Coding::Group3 { two_dimensional: false },
            Coding::Group3 { two_dimensional: true },
            Coding::Group4,
        ];
        for coding in codings {
            for data in [&[][..], &[0; 40], &[0xff; 3], &[0x55, 0xaa, 0x0f, 0xf0]] {
                assert!(decode(data, 1000, 50, coding).is_err(), "{coding:?} {data:?}");
            }
        }
    }
}
