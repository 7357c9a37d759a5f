//! The file of vectors that an argument means, and the files that belong to it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::suffix;
use image_feature::error::Context;
use image_feature::gallery::beside::SUFFIXES;
use image_feature::gallery::paddlex::{LABEL_FILES, VECTORS};
use image_feature::{Error, Result};

/// First bytes of FAISS's files.
const FAISS: [&[u8]; 4] = [b"Ix", b"IH", b"Iw", b"IB"];

/// Files of vectors.
#[derive(Debug, PartialEq)]
pub enum Source {
    /// An index, and the labels beside it.
    Index { vectors: PathBuf, labels: Option<PathBuf> },
    /// A gallery's own file.
    Gallery(PathBuf),
    /// A matrix, and the file beside it that says what its rows are.
    Npy { matrix: PathBuf, beside: Option<PathBuf> },
    /// Several arrays in one file.
    Npz(PathBuf),
    /// JSON lines.
    Lines(PathBuf),
}

impl Source {
    /// The vectors of a file or a folder.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where a folder has vectors several times, or none;
    /// [`ErrorKind::Io`](image_feature::ErrorKind::Io) where it cannot be read.
    pub fn find(input: &Path) -> Result<Self> {
        if input.is_dir() { in_folder(input) } else { of_file(input) }
    }
}

fn of_file(path: &Path) -> Result<Source> {
    let start = start_of(path).context(|| path.display().to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if LABEL_FILES.contains(&name.as_str()) {
        return Err(Error::usage(format!("{}: has labels and no vectors; give its folder", path.display())));
    }
    if FAISS.iter().any(|kind| start.starts_with(kind)) || name == VECTORS {
        return index(path);
    }
    if start.starts_with(b"\x93NUMPY") || suffix(path) == "npy" {
        return Ok(Source::Npy { matrix: path.into(), beside: beside(path)? });
    }
    if start.starts_with(b"\x1f\x8b") {
        return Err(Error::usage(format!("{}: is compressed; unpack it and give what is inside", path.display())));
    }
    if start.starts_with(b"PK") {
        return Ok(Source::Npz(path.into()));
    }
    // the length of a header, below 2^32, and the header in JSON
    if start.get(4..9) == Some(b"\0\0\0\0{") || suffix(path) == "safetensors" {
        return Ok(Source::Gallery(path.into()));
    }
    Ok(Source::Lines(path.into()))
}

/// The first bytes of a file.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(start)
}

/// An index with the labels beside it.
fn index(vectors: &Path) -> Result<Source> {
    let labels: Vec<PathBuf> =
        LABEL_FILES.iter().map(|name| vectors.with_file_name(name)).filter(|path| path.is_file()).collect();
    match labels.as_slice() {
        [] => Ok(Source::Index { vectors: vectors.into(), labels: None }),
        [one] => Ok(Source::Index { vectors: vectors.into(), labels: Some(one.clone()) }),
        several => Err(Error::usage(format!(
            "{}: labels lie beside it {} times: {}; leave those that belong to it",
            vectors.display(),
            several.len(),
            names(several)
        ))),
    }
}

/// The file beside a matrix that says what its rows are.
fn beside(matrix: &Path) -> Result<Option<PathBuf>> {
    let found: Vec<PathBuf> =
        SUFFIXES.iter().map(|suffix| matrix.with_extension(suffix)).filter(|path| path.is_file()).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => Err(Error::usage(format!(
            "{}: several files say what its rows are: {}; leave one of them",
            matrix.display(),
            names(several)
        ))),
    }
}

/// The one index, matrix or other file of vectors of a folder.
fn in_folder(folder: &Path) -> Result<Source> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut files = read().context(|| folder.display().to_string())?;
    files.retain(|path| path.is_file() && !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    files.sort();
    let is_matrix_of = |lines: &Path| {
        files.iter().any(|path| suffix(path) == "npy" && path.with_extension("") == lines.with_extension(""))
    };
    let vectors: Vec<PathBuf> = files
        .iter()
        .filter(|path| match suffix(path).as_str() {
            "npy" | "npz" | "safetensors" => true,
            "jsonl" => !is_matrix_of(path),
            _ => path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(VECTORS)),
        })
        .cloned()
        .collect();
    match vectors.as_slice() {
        [one] => {
            let source = of_file(one)?;
            if let Source::Npy { beside: None, .. } = source {
                refuse_unpaired(folder, one, &files)?;
            }
            Ok(source)
        }
        [] => Err(Error::usage(format!(
            "{}: no vectors among its {} files; {VECTORS}, .npy, .npz, .jsonl or a gallery is expected",
            folder.display(),
            files.len()
        ))),
        several => Err(Error::usage(format!(
            "{}: has vectors in {} files: {}; name one of them",
            folder.display(),
            several.len(),
            names(several)
        ))),
    }
}

/// Refuses a matrix in a folder with files that may say what its rows are, but have other names.
fn refuse_unpaired(folder: &Path, matrix: &Path, files: &[PathBuf]) -> Result<()> {
    let may: Vec<PathBuf> = files.iter().filter(|path| SUFFIXES.contains(&suffix(path).as_str())).cloned().collect();
    if may.is_empty() {
        return Ok(());
    }
    let name = matrix.file_name().unwrap_or_default().to_string_lossy();
    Err(Error::usage(format!(
        "{}: {} may say what the rows of {name} are; give it the matrix's name, or name the matrix itself",
        folder.display(),
        names(&may)
    )))
}

/// The names of files in a message, the first ten.
fn names(files: &[PathBuf]) -> String {
    const SHOWN: usize = 10;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shown = files.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
    if files.len() > SHOWN { format!("{shown} and {} more", files.len() - SHOWN) } else { shown }
}
