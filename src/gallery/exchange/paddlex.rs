//! Index folders of PaddleX and PaddleClas: `vector.index`, a FAISS file, and the labels by id.
//!
//! ```
//! use image_feature::gallery::{Entry, Gallery, Metric, Storage, paddlex};
//!
//! let mut gallery = Gallery::new(2, Metric::InnerProduct, Storage::F32)?;
//! gallery.add(Entry::new("0").label("tea"), &[0.6, 0.8])?;
//! let (vectors, labels) = paddlex::write(&gallery)?;
//! assert_eq!(labels, "id_map:\n  0: tea\nindex_type: Flat\nmetric_type: IP\n");
//!
//! let read = paddlex::read(&vectors, labels.as_bytes(), Storage::F32)?;
//! assert_eq!(read.get("0"), gallery.get("0"));
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! # Which files have the labels?
//!
//! PaddleX 3 writes `id_map.yaml`, its beta versions `index_info.yaml` with the same content, and PaddleClas `id_map.pkl`. A pickle is
//! a program for Python; nothing of it is run here: only whole numbers and texts are read. PaddleClas keeps the line of its list, so
//! the label is the part after the tab, and the part before it becomes the metadata `path`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::faiss;
use super::id_map::{IdMap, MODEL_HASH, MODEL_NAME, scalar};
use crate::error::Context;
use crate::gallery::{Entry, Gallery, Metric, Storage};
use crate::{Error, Result};

/// Name of the file of vectors.
pub const VECTORS: &str = "vector.index";
/// Name of the file of labels.
pub const LABELS: &str = "id_map.yaml";
/// Names of files of labels: PaddleX's, that of its beta versions, and PaddleClas's.
pub const LABEL_FILES: [&str; 3] = [LABELS, "index_info.yaml", "id_map.pkl"];

/// The gallery of the contents of the two files; the file of labels is recognised by its content. Ids become texts; PaddleX's metric
/// `IP` is [`Metric::InnerProduct`]. [`Gallery::with_metric`] makes a gallery with another metric of it.
///
/// # Errors
/// As [`faiss::read`] and [`Gallery::new`], and [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the two files do not
/// belong together.
pub fn read(vectors: &[u8], labels: &[u8], storage: Storage) -> Result<Gallery> {
    read_named(vectors, LABELS, labels, storage)
}

/// As [`read`], where errors call the file of labels `name`.
///
/// # Errors
/// As [`read`].
pub fn read_named(vectors: &[u8], name: &str, labels: &[u8], storage: Storage) -> Result<Gallery> {
    let mut map = IdMap::parse(labels).context(|| name.into())?;
    let index = faiss::read(vectors).context(|| VECTORS.into())?;
    if index.ids.len() != map.entries.len() {
        return Err(Error::gallery(format!(
            "{VECTORS} has {} vectors, {name} has {} labels; they do not belong together",
            index.ids.len(),
            map.entries.len()
        )));
    }
    let model = map.model.take();
    let mut entry = |id: i64| {
        map.entries.remove(&id).ok_or_else(|| {
            Error::gallery(format!("{name} has no label for id {id}, which {VECTORS} has, or has twice"))
        })
    };
    let mut gallery = gallery_of(index, &mut entry, storage)?;
    gallery.set_model(model);
    Ok(gallery)
}

/// The gallery of a `vector.index` alone: entries have ids and no labels.
///
/// # Errors
/// As [`faiss::read`] and [`Gallery::new`].
pub fn read_vectors(vectors: &[u8], storage: Storage) -> Result<Gallery> {
    gallery_of(faiss::read(vectors)?, &mut |id| Ok(Entry::new(id.to_string())), storage)
}

fn gallery_of(index: faiss::Index, entry: &mut dyn FnMut(i64) -> Result<Entry>, storage: Storage) -> Result<Gallery> {
    let metric = if index.l2 { Metric::L2 } else { Metric::InnerProduct };
    let mut gallery = Gallery::new(index.dimension, metric, storage)?;
    let entries = index.ids.into_iter().map(entry).collect::<Result<Vec<Entry>>>()?;
    gallery.extend(entries, &index.vectors).map_err(|error| Error::gallery(error.to_string()))?;
    Ok(gallery)
}

/// The contents of the two files of a gallery: [`VECTORS`] and [`LABELS`]. Ids are kept where all are whole numbers; else
/// vectors are numbered from 0. An entry without a label gets its id as label. The labels'
/// file has the model, too, if it is known. Metadata is left out.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the metric is Hamming.
pub fn write(gallery: &Gallery) -> Result<(Vec<u8>, String)> {
    if gallery.metric() == Metric::Hamming {
        return Err(Error::unsupported(
            "PaddleX's index has no bits; galleries with metric cosine, ip and l2 are exported",
        ));
    }
    // only ids that read back as the same text, so that no two ids become one
    let whole = |entry: &Entry| entry.id.parse().ok().filter(|id: &i64| *id >= 0 && id.to_string() == entry.id);
    let ids: Option<Vec<i64>> = gallery.iter().map(|(entry, _)| whole(entry)).collect();
    let ids = ids.unwrap_or_else(|| (0..gallery.len() as i64).collect());
    let vectors = gallery.iter().flat_map(|(_, vector)| vector.into_owned()).collect();
    let names = gallery.iter().map(|(entry, _)| entry.label.as_ref().unwrap_or(&entry.id));
    let by_id: BTreeMap<i64, &String> = ids.iter().copied().zip(names).collect();
    let mut labels = String::from(if by_id.is_empty() { "id_map: {}\n" } else { "id_map:\n" });
    for (id, label) in by_id {
        let _ = writeln!(labels, "  {id}: {}", scalar(label));
    }
    let l2 = gallery.metric() == Metric::L2;
    let _ = write!(labels, "index_type: Flat\nmetric_type: {}\n", if l2 { "L2" } else { "IP" });
    if let Some(model) = gallery.model() {
        // PaddleX passes over keys that it does not know
        let _ = write!(labels, "{MODEL_NAME}: {}\n{MODEL_HASH}: {}\n", scalar(&model.name), scalar(&model.hash));
    }
    Ok((faiss::write(&faiss::Index { dimension: gallery.dimension(), l2, ids, vectors }), labels))
}
