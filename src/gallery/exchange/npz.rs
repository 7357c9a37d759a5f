//! NumPy's `.npz` files: a matrix with a vector in each row, and the ids and labels of the rows.
//!
//! A single array is the matrix, whatever its name. Of several, the matrix is named `features`, `feature`, `embeddings`, `embedding`,
//! `vectors` or `vector`; the ids `ids`, `id`, `names`, `paths` or `files`; the labels `labels`, `label` or `y`.
//!
//! ```no_run
//! use image_feature::gallery::{Metric, Storage, npz};
//!
//! // numpy.savez("shop.npz", features=matrix, ids=ids, labels=labels)
//! let gallery = npz::read(&std::fs::read("shop.npz")?, Metric::Cosine, Storage::F32)?;
//! println!("{} vectors", gallery.len());
//! # Ok::<(), image_feature::Error>(())
//! ```

use std::sync::Arc;

use super::npy;
use crate::error::Context;
use crate::file_tree::{ArchiveFormat, ArchiveLimits, Member, MemberKind, Members};
use crate::gallery::{Entry, Gallery, Metric, Storage};
use crate::{Error, ErrorKind, Result};

const MATRIX: [&str; 6] = ["features", "feature", "embeddings", "embedding", "vectors", "vector"];
const IDS: [&str; 5] = ["ids", "id", "names", "paths", "files"];
const LABELS: [&str; 3] = ["labels", "label", "y"];

/// Names in an error message.
const SHOWN: usize = 10;
/// Maximum bytes of an array: two million vectors of 512 values.
const ARRAY_BYTES: u64 = 4 << 30;
/// Vectors hardly shrink. Texts of a fixed width do.
const LIMITS: ArchiveLimits =
    ArchiveLimits { ratio: 100, entry_free: 128 << 20, total_free: 512 << 20, entries: 1000, names: 1 << 20 };

/// The gallery of a file. Without ids, the rows' numbers from 0 are the ids.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) for a damaged file, and where the arrays' names do not say what they are; the
/// message has the names. As [`npy::read`], [`npy::read_texts`] and [`npy::Matrix::to_gallery`].
pub fn read(bytes: &[u8], metric: Metric, storage: Storage) -> Result<Gallery> {
    let mut arrays = Arrays::of(bytes)?;
    let parts = Parts::among(&arrays.names())?;
    let matrix = arrays.read(parts.matrix, npy::read)?;
    let ids = parts.ids.map(|at| arrays.read(at, npy::read_texts)).transpose()?;
    let labels = parts.labels.map(|at| arrays.read(at, npy::read_texts)).transpose()?;
    for (what, list) in [("ids", &ids), ("labels", &labels)] {
        if let Some(list) = list
            && list.len() != matrix.rows()
        {
            return Err(Error::gallery(format!("{} {what} for {} vectors", list.len(), matrix.rows())));
        }
    }
    let mut labels = labels.map(Vec::into_iter);
    let ids = ids.unwrap_or_else(|| (0..matrix.rows()).map(|row| row.to_string()).collect());
    let entry = |id| Entry { label: labels.as_mut().and_then(Iterator::next), ..Entry::new(id) };
    matrix.to_gallery(Some(ids.into_iter().map(entry).collect()), metric, storage)
}

/// The places of the arrays that are read.
#[derive(Debug, PartialEq)]
struct Parts {
    matrix: usize,
    ids: Option<usize>,
    labels: Option<usize>,
}

impl Parts {
    fn among(names: &[String]) -> Result<Self> {
        if let [_] = names {
            return Ok(Parts { matrix: 0, ids: None, labels: None });
        }
        let one_of = |known: &[&str]| -> Result<Option<usize>, ()> {
            let mut places = (0..names.len()).filter(|&at| known.contains(&&*names[at].to_ascii_lowercase()));
            match (places.next(), places.next()) {
                (first, None) => Ok(first),
                _ => Err(()),
            }
        };
        if let (Ok(Some(matrix)), Ok(ids), Ok(labels)) = (one_of(&MATRIX), one_of(&IDS), one_of(&LABELS)) {
            let known = 1 + usize::from(ids.is_some()) + usize::from(labels.is_some());
            if known == names.len() {
                return Ok(Parts { matrix, ids, labels });
            }
        }
        let names = listed(names);
        Err(Error::gallery(format!(
            "it is not clear what its arrays are: {names}; save the matrix alone, or as `features` with nothing else but `ids` and \
             `labels`"
        )))
    }
}

/// Names in a message, the first ten.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", name.escape_debug())).collect();
    match (names.len(), shown.join(", ")) {
        (0, _) => "nothing".into(),
        (count, shown) if count > SHOWN => format!("{shown} and {} more", count - SHOWN),
        (_, shown) => shown,
    }
}

/// The arrays of a file, which are read one by one.
struct Arrays<'b> {
    members: Members<'b>,
    found: Vec<Member>,
}

impl<'b> Arrays<'b> {
    fn of(bytes: &'b [u8]) -> Result<Self> {
        let mut members = Members::open(Arc::new(bytes), ArchiveFormat::Zip, LIMITS).map_err(of_gallery)?;
        let (mut found, mut others) = (Vec::new(), Vec::new());
        while let Some(member) = members.next_member().map_err(of_gallery)? {
            if member.kind != MemberKind::File {
                continue;
            }
            if member.name.ends_with(b".npy") { found.push(member) } else { others.push(member.lossy_name()) }
        }
        if let Some(error) = members.damage() {
            return Err(of_gallery(error));
        }
        if found.is_empty() {
            let others = listed(&others);
            return Err(Error::gallery(format!(
                "a zip without arrays of NumPy (.npy), with {others}; unpack it and give its folder"
            )));
        }
        Ok(Arrays { members, found })
    }

    fn names(&self) -> Vec<String> {
        let name = |member: &Member| {
            let name = member.lossy_name();
            name.strip_suffix(".npy").map_or(name.clone(), String::from)
        };
        self.found.iter().map(name).collect()
    }

    fn read<T>(&mut self, at: usize, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let member = &self.found[at];
        let bytes = self.members.read(member, ARRAY_BYTES).map_err(of_gallery)?;
        read(&bytes).context(|| member.lossy_name())
    }
}

/// Reports a damaged archive as a damaged gallery.
fn of_gallery(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Decode | ErrorKind::Io => Error::gallery(error.to_string()).with_source(error),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_known_by_their_names() {
        let among = |names: &[&str]| Parts::among(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
        let parts = |matrix, ids, labels| Parts { matrix, ids, labels };
        assert_eq!(among(&["arr_0"]).unwrap(), parts(0, None, None));
        assert_eq!(among(&["labels", "Features"]).unwrap(), parts(1, None, Some(0)));
        assert_eq!(among(&["ids", "label", "embeddings"]).unwrap(), parts(2, Some(0), Some(1)));
        for names in
            [&["arr_0", "arr_1"][..], &["features", "embeddings"], &["features", "ids", "names"], &["features", "mean"]]
        {
            let error = among(names).unwrap_err();
            assert!(error.is_gallery());
            assert!(names.iter().all(|name| error.to_string().contains(&format!("`{name}`"))), "{error}");
        }
    }
}
