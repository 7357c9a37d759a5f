//! NumPy's `.npy` files: a matrix with a vector in each row.

use half::f16;

use crate::{Error, Result};

/// Bytes of a header: numpy wants a multiple of 64, and the longest shape fits.
pub const HEADER: usize = 128;

/// A matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub columns: usize,
    /// Row after row.
    pub values: Vec<f32>,
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
    let damaged = |why: &str| Error::gallery(format!("the .npy file is damaged: {why}"));
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| Error::gallery("no .npy file: it begins otherwise"))?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [_, _, _, ..] => return Err(Error::unsupported("the .npy file is of a version that is not known")),
        _ => return Err(damaged("it ends within its header")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(|| damaged("it ends within its header"))?;
    let header = std::str::from_utf8(header).map_err(|_| damaged("its header is no text"))?;
    let value = |key: &str| {
        let (_, after) = header.split_once(&format!("'{key}':"))?;
        Some(after.trim_start())
    };
    let (Some(descr), Some(order), Some(shape)) = (value("descr"), value("fortran_order"), value("shape")) else {
        return Err(damaged("its header lacks `descr`, `fortran_order` or `shape`"));
    };
    let descr = descr.strip_prefix('\'').and_then(|descr| descr.split('\'').next()).unwrap_or_default();
    let width = match descr {
        "<f2" => 2,
        "<f4" => 4,
        "<f8" => 8,
        _ => {
            return Err(Error::unsupported(format!(
                "the .npy file holds values of type `{}`; <f2, <f4 and <f8 are read",
                descr.escape_debug()
            )));
        }
    };
    let shape = shape.strip_prefix('(').and_then(|shape| shape.split(')').next()).unwrap_or_default();
    let sides: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|side| !side.is_empty()).map(|side| side.parse().ok()).collect();
    let (rows, columns) = match sides.as_deref() {
        Some([columns]) => (1, *columns),
        Some([rows, columns]) => (*rows, *columns),
        _ => return Err(Error::unsupported(format!("the .npy file has shape ({shape}); a matrix is needed"))),
    };
    if rows > 1 && columns > 1 && !order.starts_with("False") {
        return Err(Error::unsupported("the .npy file lies in Fortran's order; save `numpy.ascontiguousarray` of it"));
    }
    if rows.checked_mul(columns).and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(damaged(&format!("{} bytes for {rows} x {columns} values of {width}", data.len())));
    }
    let values = match width {
        2 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        4 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        _ => data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
    };
    Ok(Matrix { columns, values })
}

/// A matrix of `float32`.
pub fn write(matrix: &Matrix) -> Vec<u8> {
    let rows = matrix.values.len().checked_div(matrix.columns).unwrap_or(0);
    let mut bytes = header(rows, matrix.columns).to_vec();
    bytes.reserve_exact(4 * matrix.values.len());
    bytes.extend(matrix.values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// What begins a matrix of `float32`.
pub fn header(rows: usize, columns: usize) -> [u8; HEADER] {
    let mut header = [b' '; HEADER];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&(HEADER as u16 - 10).to_le_bytes());
    let description = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    header[10..10 + description.len()].copy_from_slice(description.as_bytes());
    header[HEADER - 1] = b'\n';
    header
}
