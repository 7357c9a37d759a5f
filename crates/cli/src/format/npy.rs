//! numpy's `.npy` files, format 1.0.

use std::io::{Seek, SeekFrom, Write};

use image_feature::Result;
use image_feature::gallery::npy::header;

/// Writes a C-ordered little-endian `float32` matrix row by row, without knowing beforehand how many there will be.
pub struct NpyWriter<W: Write + Seek> {
    out: W,
    columns: usize,
    rows: usize,
}

impl<W: Write + Seek> NpyWriter<W> {
    /// Starts a matrix of `columns` columns.
    pub fn new(mut out: W, columns: usize) -> Result<Self> {
        out.write_all(&header(0, columns))?;
        Ok(NpyWriter { out, columns, rows: 0 })
    }

    /// Adds one row, which has as many values as the matrix has columns.
    pub fn row(&mut self, values: &[f32]) -> Result<()> {
        assert_eq!(values.len(), self.columns, "a row of another length");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.out.write_all(&bytes)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the number of rows into the header, and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.rows, self.columns))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_feature::gallery::npy::HEADER;
    use std::io::Cursor;

    #[test]
    fn rows_are_counted_in_the_header() {
        let mut writer = NpyWriter::new(Cursor::new(Vec::new()), 3).unwrap();
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
}
