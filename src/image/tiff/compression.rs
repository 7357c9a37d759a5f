//! Compressions of strips and tiles.

use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder as Lzw};

use super::ccitt::{self, Coding};
use super::{damaged, unsupported};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Fax(Coding),
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

impl Compression {
    /// The compression of a directory, by the values of its tags.
    pub fn of(tag: u64, fax_options: u64) -> Result<Self> {
        let other = match tag {
            1 => return Ok(Compression::None),
            2 => return Ok(Compression::Fax(Coding::Modified)),
            3 => return Ok(Compression::Fax(Coding::Group3 { two_dimensional: fax_options & 1 == 1 })),
            4 => return Ok(Compression::Fax(Coding::Group4)),
            5 => return Ok(Compression::Lzw),
            7 => return Ok(Compression::Jpeg),
            8 | 32946 => return Ok(Compression::Deflate),
            32773 => return Ok(Compression::PackBits),
            6 => "the JPEG data of TIFF 5".into(),
            34712 | 33003 | 33005 => "JPEG 2000 data".into(),
            34925 => "LZMA data".into(),
            50000 | 34926 => "Zstandard data".into(),
            50001 | 34927 => "WebP data".into(),
            50002 | 52546 => "JPEG XL data".into(),
            34887 => "LERC data".into(),
            other => format!("compression {other}"),
        };
        Err(unsupported(other))
    }

    /// Whether the data can only be black and white.
    pub fn is_bilevel(self) -> bool {
        matches!(self, Compression::Fax(_))
    }

    /// The first `len` bytes of a strip or tile, whose rows have `width` pixels.
    pub fn unpack(self, stored: &[u8], len: usize, width: usize, rows: usize) -> Result<Vec<u8>> {
        // memory is taken as the data comes: the header may announce more than there is
        let data = match self {
            Compression::None => stored[..len.min(stored.len())].to_vec(),
            Compression::Fax(coding) => ccitt::decode(stored, width, rows, coding)?,
            Compression::Lzw => lzw(stored, len)?,
            Compression::Deflate => {
                let mut data = Vec::new();
                let read = ZlibDecoder::new(stored).take(len as u64).read_to_end(&mut data);
                read.map_err(|error| damaged("a strip's Deflate data cannot be read").with_source(error))?;
                data
            }
            Compression::PackBits => pack_bits(stored, len),
            Compression::Jpeg => return Err(Error::internal("JPEG data has a decoder of its own")),
        };
        if data.len() < len {
            return Err(damaged(&format!("a strip has {} bytes of samples where {len} are needed", data.len())));
        }
        Ok(data)
    }
}

fn lzw(stored: &[u8], len: usize) -> Result<Vec<u8>> {
    let mut decoder = Lzw::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut data, mut rest) = (Vec::new(), stored);
    let mut buffer = vec![0; len.min(1 << 16)];
    while data.len() < len {
        let step = decoder.decode_bytes(rest, &mut buffer);
        rest = &rest[step.consumed_in..];
        let wanted = step.consumed_out.min(len - data.len());
        data.extend_from_slice(&buffer[..wanted]);
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(_) => return Err(damaged("a strip's LZW data cannot be read")),
        }
    }
    Ok(data)
}

fn pack_bits(stored: &[u8], len: usize) -> Vec<u8> {
    let (mut data, mut rest) = (Vec::new(), stored);
    while let Some((&code, after)) = rest.split_first()
        && data.len() < len
    {
        rest = after;
        if code < 128 {
            let (literal, after) = rest.split_at(rest.len().min(usize::from(code) + 1));
            data.extend_from_slice(literal);
            rest = after;
        } else if code > 128
            && let Some((&value, after)) = rest.split_first()
        {
            data.extend(std::iter::repeat_n(value, 257 - usize::from(code)));
            rest = after;
        }
    }
    data.truncate(len);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bits_are_runs_and_literals() {
        assert_eq!(pack_bits(&[2, 1, 2, 3, 128, 254, 9, 0, 7], 99), [1, 2, 3, 9, 9, 9, 7]);
        assert_eq!(pack_bits(&[129, 5], 4), [5; 4]);
        assert_eq!(pack_bits(&[5, 1], 4), [1]);
        assert!(pack_bits(&[200], 4).is_empty());
    }

    #[test]
    fn what_is_missing_is_told() {
        let error = Compression::None.unpack(&[1, 2, 3], 4, 4, 1).unwrap_err();
        assert!(error.is_decode() && error.to_string().contains("3 bytes of samples where 4"), "{error}");
        let error = Compression::of(34712, 0).unwrap_err();
        assert!(error.to_string().contains("JPEG 2000"), "{error}");
    }
}
