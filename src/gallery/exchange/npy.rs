//! NumPy's `.npy` files: a matrix with a vector in each row.
//!
//! ```
//! use image_feature::gallery::npy::{Writer, read};
//!
//! let mut writer = Writer::new(Vec::new(), 2, 3)?;
//! writer.row(&[1.0, 2.0, 3.0])?;
//! writer.row(&[4.0, 5.0, 6.0])?;
//! let bytes = writer.finish()?;
//! assert_eq!(read(&bytes)?.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
//! # Ok::<(), image_feature::Error>(())
//! ```

use std::io::{self, Seek, Write};

use half::f16;

use crate::file_kind::FileKind;
use crate::gallery::{Entry, Gallery, Metric, Storage};
use crate::{Error, Result};

/// Bytes of a header that is written: numpy wants a multiple of 64, and the longest shape fits.
const HEADER: usize = 128;

/// A matrix of `float32`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Values of a row.
    pub columns: usize,
    /// Row after row.
    pub values: Vec<f32>,
}

impl Matrix {
    /// Number of rows; 0 for a matrix without columns.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// A gallery with a vector for each row. `entries` has one entry a row; without it, ids are the rows' numbers from 0.
    ///
    /// # Errors
    /// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where entries and rows are not equally many, and for rows and ids that
    /// [`Gallery::extend`] refuses, with the row's number; as [`Gallery::new`] where metric and storage do not fit.
    pub fn to_gallery(&self, entries: Option<Vec<Entry>>, metric: Metric, storage: Storage) -> Result<Gallery> {
        let entries = entries.unwrap_or_else(|| (0..self.rows()).map(|row| Entry::new(row.to_string())).collect());
        if entries.len() != self.rows() {
            return Err(Error::gallery(format!("{} entries for {} vectors", entries.len(), self.rows())));
        }
        // refuses metric and storage as what they are: a wrong argument, and no fault of the matrix
        Gallery::new(1, metric, storage)?;
        let in_file = |error: Error| Error::gallery(error.to_string());
        let mut gallery = Gallery::new(self.columns, metric, storage).map_err(in_file)?;
        for (row, vector) in self.values.chunks_exact(self.columns).enumerate() {
            gallery.prepared(vector).map_err(|error| in_file(error).context(format!("row {row} (the first is 0)")))?;
        }
        gallery.extend(entries, &self.values).map_err(in_file)?;
        Ok(gallery)
    }
}

/// Reads a matrix of 16-, 32- or 64-bit floats in C order, or a single vector as a matrix of one row.
///
/// ```
/// use image_feature::gallery::npy::{Matrix, read, write};
///
/// let matrix = Matrix { columns: 2, values: vec![1.0, 2.0, 3.0, 4.0] };
/// assert_eq!(read(&write(&matrix))?, matrix);
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the file is damaged or no `.npy`,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other types, orders and shapes.
pub fn read(bytes: &[u8]) -> Result<Matrix> {
    let Array { description, data } = Array::of(bytes)?;
    let (rows, columns) = description.sides()?;
    let width = match description.kind {
        "<f2" => 2,
        "<f4" => 4,
        "<f8" => 8,
        kind => {
            let kind = kind.escape_debug();
            return Err(Error::unsupported(format!(
                "the .npy file holds values of type `{kind}`; <f2, <f4 and <f8 are read"
            )));
        }
    };
    if rows > 1 && columns > 1 && description.fortran {
        return Err(Error::unsupported("the .npy file lies in Fortran's order; save `numpy.ascontiguousarray` of it"));
    }
    check_size(data, &[rows, columns], width)?;
    let values = match width {
        2 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        4 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        _ => data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
    };
    Ok(Matrix { columns, values })
}

/// Reads a list of texts or whole numbers, the numbers as texts.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the file is damaged or no `.npy`,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other types and shapes.
pub fn read_texts(bytes: &[u8]) -> Result<Vec<String>> {
    let Array { description, data } = Array::of(bytes)?;
    let Some(&[rows]) = description.shape.as_deref() else {
        return Err(Error::unsupported(format!("an array of shape ({}); a list is needed", description.stated)));
    };
    let kind = description.kind;
    let unknown = || {
        let hint = if kind.contains('O') { "; save it as texts: `numpy.array(list, dtype=str)`" } else { "" };
        let kind = kind.escape_debug();
        Error::unsupported(format!("an array of type `{kind}`; texts (<U, |S) and whole numbers are read{hint}"))
    };
    let (letter, size) = kind.split_at_checked(2).ok_or_else(unknown)?;
    let size: usize = size.parse().map_err(|_| unknown())?;
    let width = if letter == "<U" { size.checked_mul(4).ok_or_else(unknown)? } else { size };
    check_size(data, &[rows], width)?;
    if width == 0 && rows > 0 {
        return Err(unknown()); // no bytes in the file bound the number of rows
    }
    let whole = |cell: &[u8], signed: bool| {
        let negative = signed && cell.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..cell.len()].copy_from_slice(cell);
        i128::from_le_bytes(wide).to_string()
    };
    let text = |cell: &[u8]| -> Result<String> {
        match letter {
            "<U" => unicode(cell),
            "|S" => {
                let end = cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                let text = std::str::from_utf8(&cell[..end]).map_err(|_| damaged("a text is not UTF-8"))?;
                Ok(text.into())
            }
            "<i" | "|i" if size <= 8 => Ok(whole(cell, true)),
            "<u" | "|u" if size <= 8 => Ok(whole(cell, false)),
            _ => Err(unknown()),
        }
    };
    data.chunks_exact(width.max(1)).map(text).collect()
}

/// A text of four bytes a character, filled up with NUL.
fn unicode(cell: &[u8]) -> Result<String> {
    let codes = cell.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes));
    let text =
        codes.map(char::from_u32).collect::<Option<String>>().ok_or_else(|| damaged("a text has no characters"))?;
    Ok(text.trim_end_matches('\0').into())
}

/// Refuses data that is not `sides` values of `width` bytes.
fn check_size(data: &[u8], sides: &[usize], width: usize) -> Result<()> {
    let bytes = sides.iter().try_fold(width, |product, &side| product.checked_mul(side));
    if bytes == Some(data.len()) {
        return Ok(());
    }
    let sides = sides.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    Err(damaged(format!("{} bytes for {sides} values of {width}", data.len())))
}

/// A file: what its header says, and its data.
struct Array<'b> {
    description: Description<'b>,
    data: &'b [u8],
}

impl<'b> Array<'b> {
    fn of(bytes: &'b [u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| match FileKind::of(bytes) {
            Some(kind) => Error::gallery(format!("no .npy file but {kind}; {}", kind.remedy())),
            None => Error::gallery("no .npy file: it begins otherwise"),
        })?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            [_, _, _, ..] => return Err(Error::unsupported("the .npy file is of a version that is not known")),
            _ => return Err(damaged("it ends within its header")),
        };
        let (header, data) = rest.split_at_checked(length).ok_or_else(|| damaged("it ends within its header"))?;
        let header = std::str::from_utf8(header).map_err(|_| damaged("its header is no text"))?;
        Ok(Array { description: Description::parse(header)?, data })
    }
}

/// The Python dictionary of a header.
struct Description<'h> {
    /// NumPy's code of the type.
    kind: &'h str,
    fortran: bool,
    /// `None` where the sides are no numbers.
    shape: Option<Vec<usize>>,
    /// The shape as it is written.
    stated: &'h str,
}

impl<'h> Description<'h> {
    fn parse(header: &'h str) -> Result<Self> {
        let value = |key: &str| {
            let (_, after) = header.split_once(&format!("'{key}':"))?;
            Some(after.trim_start())
        };
        let (Some(kind), Some(order), Some(shape)) = (value("descr"), value("fortran_order"), value("shape")) else {
            return Err(damaged("its header lacks `descr`, `fortran_order` or `shape`"));
        };
        let kind = kind.strip_prefix('\'').and_then(|kind| kind.split('\'').next()).unwrap_or_default();
        let stated = shape.strip_prefix('(').and_then(|shape| shape.split(')').next()).unwrap_or_default();
        let sides = stated.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(|side| side.parse().ok()).collect();
        Ok(Description { kind, fortran: !order.starts_with("False"), shape, stated })
    }

    /// Rows and columns.
    fn sides(&self) -> Result<(usize, usize)> {
        match self.shape.as_deref() {
            Some(&[columns]) => Ok((1, columns)),
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(Error::unsupported(format!("the .npy file has shape ({}); a matrix is needed", self.stated))),
        }
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::gallery(format!("the .npy file is damaged: {why}"))
}

/// The bytes of a matrix as a file.
pub fn write(matrix: &Matrix) -> Vec<u8> {
    let mut bytes = header(matrix.rows(), matrix.columns).to_vec();
    bytes.reserve_exact(4 * matrix.values.len());
    bytes.extend(matrix.values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Writes the vectors of a gallery as a matrix, one after the other, in the order in which they were added.
///
/// # Errors
/// Errors of the output.
pub fn write_gallery(gallery: &Gallery, out: &mut dyn Write) -> Result<()> {
    let mut writer = Writer::new(out, gallery.len(), gallery.dimension())?;
    gallery.iter().try_for_each(|(_, vector)| writer.row(&vector))?;
    writer.finish().map(|_| ())
}

/// Writes a matrix of `float32` row by row: it is never in memory as a whole.
pub struct Writer<W> {
    out: W,
    columns: usize,
    /// Rows that the header has.
    announced: usize,
    written: usize,
    /// Goes back to the header, where the number of rows is written last.
    rewind: Option<fn(&mut W) -> io::Result<()>>,
    /// A row as bytes.
    bytes: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a matrix of `rows` rows and `columns` columns.
    ///
    /// # Errors
    /// Errors of the output.
    pub fn new(mut out: W, rows: usize, columns: usize) -> Result<Self> {
        out.write_all(&header(rows, columns))?;
        Ok(Writer { out, columns, announced: rows, written: 0, rewind: None, bytes: Vec::with_capacity(4 * columns) })
    }

    /// Begins a matrix of `columns` columns with any number of rows, at the start of `out`. [`finish`](Self::finish) writes
    /// the number.
    ///
    /// # Errors
    /// Errors of the output.
    pub fn of_any_length(out: W, columns: usize) -> Result<Self>
    where
        W: Seek,
    {
        Ok(Writer { rewind: Some(W::rewind), ..Self::new(out, 0, columns)? })
    }

    /// Writes the next row.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `values` are not as many as the matrix has columns, and errors of
    /// the output.
    pub fn row(&mut self, values: &[f32]) -> Result<()> {
        if values.len() != self.columns {
            return Err(Error::usage(format!("a row of {} values; the matrix has {}", values.len(), self.columns)));
        }
        self.bytes.clear();
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.out.write_all(&self.bytes)?;
        self.written += 1;
        Ok(())
    }

    /// Completes the file and gives the output back.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the rows are not as many as [`new`](Self::new) was given, and
    /// errors of the output.
    pub fn finish(mut self) -> Result<W> {
        if let Some(rewind) = self.rewind {
            rewind(&mut self.out)?;
            self.out.write_all(&header(self.written, self.columns))?;
        } else if self.written != self.announced {
            return Err(Error::usage(format!("{} rows; the matrix has {}", self.written, self.announced)));
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The header of a matrix of `float32`.
fn header(rows: usize, columns: usize) -> [u8; HEADER] {
    let mut header = [b' '; HEADER];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&(HEADER as u16 - 10).to_le_bytes());
    let description = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    header[10..10 + description.len()].copy_from_slice(description.as_bytes());
    header[HEADER - 1] = b'\n';
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn rows_are_counted_in_the_header() {
        let mut writer = Writer::of_any_length(Cursor::new(Vec::new()), 3).unwrap();
        writer.row(&[1.0, -2.0, 0.5]).unwrap();
        writer.row(&[f32::NAN, f32::INFINITY, 0.0]).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(bytes.len(), 128 + 2 * 3 * 4);
        let text = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        assert_eq!(bytes[128..136], [0, 0, 128, 63, 0, 0, 0, 192]);
    }

    #[test]
    fn the_longest_header_fits() {
        assert_eq!(header(usize::MAX, usize::MAX)[HEADER - 2..], *b" \n");
    }

    #[test]
    fn texts_without_bytes_are_refused_however_many() {
        let file = |kind: &str, rows: u64| {
            let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows},), }}\n");
            [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat()
        };
        for kind in ["<U0", "|S0"] {
            let error = read_texts(&file(kind, 1 << 60)).unwrap_err();
            assert!(error.is_unsupported(), "{error}");
            assert!(read_texts(&file(kind, 0)).unwrap().is_empty());
        }
    }

    #[test]
    fn other_rows_than_announced_are_refused() {
        let mut writer = Writer::new(Vec::new(), 2, 1).unwrap();
        assert!(writer.row(&[1.0, 2.0]).unwrap_err().is_usage());
        writer.row(&[1.0]).unwrap();
        assert!(writer.finish().unwrap_err().is_usage());
    }
}
