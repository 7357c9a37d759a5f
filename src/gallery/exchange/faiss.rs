//! FAISS's index files: reads the vectors of Flat, HNSW and IVF indexes, with or without ids; writes Flat indexes with ids.
//!
//! ```
//! use image_feature::gallery::faiss;
//!
//! let index = faiss::Index { dimension: 2, l2: false, ids: vec![7, 9], vectors: vec![1.0, 0.0, 0.0, 1.0] };
//! assert_eq!(faiss::read(&faiss::write(&index))?, index);
//! # Ok::<(), image_feature::Error>(())
//! ```

use crate::{Error, Result};

/// Maximum depth of nested indexes.
const MAX_DEPTH: usize = 8;
/// A field of every header without meaning.
const FILLER: i64 = 1 << 20;
const INNER_PRODUCT: i32 = 0;
const L2: i32 = 1;

/// The vectors of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Number of values of a vector.
    pub dimension: usize,
    /// Whether the metric is the squared distance; else it is the inner product.
    pub l2: bool,
    /// The id of each vector.
    pub ids: Vec<i64>,
    /// `dimension` values for each id.
    pub vectors: Vec<f32>,
}

/// Reads an index: `IndexFlat`, `IndexHNSWFlat` or `IndexIVFFlat`, in an `IndexIDMap` or by itself. By themselves, an IVF index
/// has ids of its own, and the ids of the others are the positions from 0.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the file is damaged,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other kinds of index and metrics.
pub fn read(bytes: &[u8]) -> Result<Index> {
    let mut reader = Reader { bytes, at: 0 };
    let found = reader.index(0)?;
    if reader.at != bytes.len() {
        return Err(damaged(format!("{} bytes follow the index", bytes.len() - reader.at)));
    }
    let count = found.vectors.len() / found.header.dimension;
    let ids = found.ids.unwrap_or_else(|| (0..count as i64).collect());
    Ok(Index { dimension: found.header.dimension, l2: found.header.metric == L2, ids, vectors: found.vectors })
}

/// The bytes of an `IndexFlat` in an `IndexIDMap2`, as PaddleX writes it.
pub fn write(index: &Index) -> Vec<u8> {
    let Index { dimension, l2, ids, vectors } = index;
    let mut bytes = Vec::with_capacity(98 + 4 * vectors.len() + 8 * ids.len());
    let header = |kind: &[u8; 4], bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(kind);
        bytes.extend((*dimension as i32).to_le_bytes());
        bytes.extend((ids.len() as i64).to_le_bytes());
        bytes.extend(FILLER.to_le_bytes());
        bytes.extend(FILLER.to_le_bytes());
        bytes.push(1);
        bytes.extend((if *l2 { L2 } else { INNER_PRODUCT }).to_le_bytes());
    };
    header(b"IxM2", &mut bytes);
    header(if *l2 { b"IxF2" } else { b"IxFI" }, &mut bytes);
    bytes.extend((vectors.len() as u64).to_le_bytes());
    bytes.extend(vectors.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend((ids.len() as u64).to_le_bytes());
    bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    bytes
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::gallery(format!("the index is damaged: {why}"))
}

#[derive(Clone, Copy)]
struct Header {
    dimension: usize,
    count: usize,
    metric: i32,
}

/// An index that has been read.
struct Found {
    header: Header,
    /// The ids of an `IndexIDMap` or of an IVF index.
    ids: Option<Vec<i64>>,
    vectors: Vec<f32>,
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize, what: &str) -> Result<&'b [u8]> {
        let taken = self.bytes[self.at..].get(..count);
        let taken = taken.ok_or_else(|| {
            let left = self.bytes.len() - self.at;
            damaged(format!("{what} should have {count} bytes, of which the file has {left}"))
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let taken = self.take(N, what)?;
        taken.try_into().map_err(|_| Error::internal("a slice of another length"))
    }

    fn i32(&mut self, what: &str) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array(what)?))
    }

    /// A count of 64 bits.
    fn size(&mut self, what: &str) -> Result<usize> {
        let size = u64::from_le_bytes(self.array(what)?);
        usize::try_from(size).map_err(|_| damaged(format!("{what}: {size}")))
    }

    /// The bytes of a list of items of `width` bytes, which begins with their number.
    fn items(&mut self, width: usize, what: &str) -> Result<&'b [u8]> {
        let count = self.size(what)?;
        let bytes = count.checked_mul(width).ok_or_else(|| damaged(format!("{what}: {count}")))?;
        self.take(bytes, what)
    }

    fn header(&mut self) -> Result<Header> {
        let dimension = self.i32("the dimension")?;
        let count = self.size("the number of vectors")?;
        self.take(17, "the header")?;
        let metric = self.i32("the metric")?;
        if metric != INNER_PRODUCT && metric != L2 {
            return Err(Error::unsupported(format!(
                "the index has FAISS's metric {metric}; inner product (0) and L2 (1) are read"
            )));
        }
        let dimension = usize::try_from(dimension).ok().filter(|dimension| (1..=1 << 16).contains(dimension));
        let dimension = dimension.ok_or_else(|| damaged("its dimension is not from 1 to 65536"))?;
        Ok(Header { dimension, count, metric })
    }

    fn index(&mut self, depth: usize) -> Result<Found> {
        if depth > MAX_DEPTH {
            return Err(damaged("indexes within each other, without end"));
        }
        let kind: [u8; 4] = self.array("the kind of index")?;
        match &kind {
            b"IxFI" | b"IxF2" | b"IxFl" => self.flat(),
            b"IxM2" | b"IxMp" => self.with_ids(depth),
            b"IHNf" => self.hnsw(depth),
            b"IwFl" => self.ivf(depth),
            _ => Err(Error::unsupported(format!(
                "`{}` is no index file of FAISS, or one of a kind that keeps no plain vectors; Flat, HNSW and IVF (Flat) are read",
                String::from_utf8_lossy(&kind).escape_debug()
            ))),
        }
    }

    fn flat(&mut self) -> Result<Found> {
        let header = self.header()?;
        let bytes = self.items(4, "the vectors")?;
        if header.count.checked_mul(4 * header.dimension) != Some(bytes.len()) {
            return Err(damaged(format!(
                "{} values for {} vectors of {}",
                bytes.len() / 4,
                header.count,
                header.dimension
            )));
        }
        Ok(Found { header, ids: None, vectors: floats(bytes) })
    }

    fn with_ids(&mut self, depth: usize) -> Result<Found> {
        self.header()?;
        let mut found = self.index(depth + 1)?;
        let ids: Vec<i64> = self.items(8, "the ids")?.as_chunks().0.iter().map(|&id| i64::from_le_bytes(id)).collect();
        let vectors = found.vectors.len() / found.header.dimension;
        if ids.len() != vectors {
            let hint = if vectors == 0 {
                ": PaddleX made an IVF index of fewer than 8 images, into which FAISS puts no vectors; build it as Flat"
            } else {
                ""
            };
            return Err(damaged(format!("{} ids for {vectors} vectors{hint}", ids.len())));
        }
        found.ids = Some(ids);
        Ok(found)
    }

    fn hnsw(&mut self, depth: usize) -> Result<Found> {
        self.header()?;
        for (width, what) in [
            (8, "the levels' probabilities"),
            (4, "the numbers of neighbours"),
            (4, "the levels"),
            (8, "the offsets"),
            (4, "the neighbours"),
        ] {
            self.items(width, what)?;
        }
        self.take(20, "the graph's settings")?;
        self.index(depth + 1)
    }

    fn ivf(&mut self, depth: usize) -> Result<Found> {
        let header = self.header()?;
        self.take(16, "the numbers of lists")?;
        self.index(depth + 1)?;
        let [map_kind] = self.array("the direct map")?;
        self.items(8, "the direct map")?;
        if map_kind == 2 {
            self.items(16, "the direct map")?;
        }
        if &self.array::<4>("the lists")? != b"ilar" {
            return Err(Error::unsupported("the index keeps its lists elsewhere; write it with them inside"));
        }
        let lists = self.size("the number of lists")?;
        let code = self.size("the bytes of a vector")?;
        if code != 4 * header.dimension {
            return Err(damaged(format!("vectors of {code} bytes for a dimension of {}", header.dimension)));
        }
        let sizes = self.list_sizes(lists)?;
        let all = sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size));
        // checked before memory is taken for the vectors
        let bytes = all.and_then(|all| all.checked_mul(code + 8));
        if all != Some(header.count) && all != Some(0) || bytes.is_none_or(|bytes| bytes > self.bytes.len() - self.at) {
            return Err(damaged("the lists do not hold the vectors it says"));
        }
        let (ids, vectors) = self.list_vectors(&sizes, header.dimension)?;
        Ok(Found { header, ids: Some(ids), vectors })
    }

    /// The ids and vectors of lists of these sizes, ordered by id. FAISS numbers vectors in the order in which they are added, and
    /// numbers of vectors that were removed stay free, while an `IndexIDMap` closes the gaps: its ids go by rank.
    fn list_vectors(&mut self, sizes: &[usize], dimension: usize) -> Result<(Vec<i64>, Vec<f32>)> {
        let mut found: Vec<(i64, &[u8])> = Vec::new();
        for size in sizes {
            let codes = self.take(size * 4 * dimension, "the vectors of a list")?;
            let ids = self.take(size * 8, "the ids of a list")?;
            let ids = ids.as_chunks().0.iter().map(|&id| i64::from_le_bytes(id));
            found.extend(ids.zip(codes.chunks_exact(4 * dimension)));
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        if let Some(twice) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(damaged(format!(
                "its lists have number {} twice, as FAISS leaves it where vectors are added after others were removed; build it again",
                twice[0].0
            )));
        }
        let vectors = found.iter().flat_map(|(_, code)| floats(code)).collect();
        Ok((found.into_iter().map(|(id, _)| id).collect(), vectors))
    }

    /// The number of vectors of each list.
    fn list_sizes(&mut self, lists: usize) -> Result<Vec<usize>> {
        let size = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).unwrap_or(usize::MAX);
        let kind: [u8; 4] = self.array("the kind of lists")?;
        let sizes = self.items(8, "the sizes of the lists")?.as_chunks::<8>().0;
        match &kind {
            b"full" if sizes.len() == lists => Ok(sizes.iter().map(size).collect()),
            // pairs of a list's number and its size, in the order of the lists in the file
            b"sprs" if sizes.len().is_multiple_of(2) => {
                Ok(sizes.as_chunks::<2>().0.iter().map(|[_, n]| size(n)).collect())
            }
            _ => Err(damaged("the sizes of its lists")),
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}
