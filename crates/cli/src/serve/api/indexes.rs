//! The service's indexes: gallery files in a folder, by their keys.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::StatusCode;
use uuid::Uuid;

use super::Refusal;
use image_feature::error::Context;
use image_feature::gallery::{Gallery, ModelId};

/// Maximum bytes of the indexes that are kept in memory. The index used last is kept whatever its size.
const MEMORY: usize = 1 << 30;
/// Maximum characters of a key.
const MAX_KEY: usize = 64;

/// Indexes on disk. Those used last are kept in memory until their files change.
pub struct Indexes {
    folder: PathBuf,
    /// The model of every index.
    model: ModelId,
    dimension: usize,
    /// The index used last is last.
    recent: Mutex<Vec<Recent>>,
}

struct Recent {
    key: String,
    stamp: Stamp,
    gallery: Arc<Gallery>,
}

/// Properties of a file that show whether it has changed.
#[derive(PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Stamp {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }
}

impl Indexes {
    /// The indexes of a folder, which is created if it does not exist.
    pub fn open(folder: &Path, model: ModelId, dimension: usize) -> image_feature::Result<Self> {
        std::fs::create_dir_all(folder).context(|| folder.display().to_string())?;
        Ok(Indexes { folder: folder.to_path_buf(), model, dimension, recent: Mutex::default() })
    }

    /// The folder of the indexes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Saves an index under a new key, and gives the key.
    pub fn create(&self, mut gallery: Gallery) -> Result<String, Refusal> {
        gallery.set_model(Some(self.model.clone()));
        let key = Uuid::new_v4().to_string();
        gallery.save(&self.path(&key)?)?;
        Ok(key)
    }

    /// The index of a key.
    pub fn get(&self, key: &str) -> Result<Arc<Gallery>, Refusal> {
        let path = self.path(key)?;
        let stamp = Stamp::of(&path).map_err(|error| self.unreadable(key, error))?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = recent.iter().position(|recent| recent.key == key) {
            let found = recent.remove(at);
            if found.stamp == stamp {
                let gallery = Arc::clone(&found.gallery);
                recent.push(found);
                return Ok(gallery);
            }
        }
        drop(recent); // other requests do not wait for the disk
        let gallery = Arc::new(Gallery::open(&path)?);
        self.check(&gallery)?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|recent| recent.key != key);
        recent.push(Recent { key: key.into(), stamp, gallery: Arc::clone(&gallery) });
        let mut bytes = 0;
        let kept = recent.iter().rev().take_while(|recent| {
            let first = bytes == 0;
            bytes += 4 * recent.gallery.len() * recent.gallery.dimension() + 1;
            first || bytes <= MEMORY
        });
        let left_out = recent.len() - kept.count();
        recent.drain(..left_out);
        Ok(gallery)
    }

    /// Changes the index of a key, and saves it if `change` succeeds.
    pub fn change<T>(
        &self,
        key: &str,
        change: impl FnOnce(&mut Gallery) -> image_feature::Result<T>,
    ) -> Result<T, Refusal> {
        let path = self.path(key)?;
        Stamp::of(&path).map_err(|error| self.unreadable(key, error))?;
        let mut refused = None;
        let changed = Gallery::change(&path, |gallery| match self.check(gallery) {
            Ok(()) => change(gallery),
            Err(error) => {
                // ends `Gallery::change` without a save; the refusal itself is the answer
                let stopped = image_feature::Error::usage(error.message.clone());
                refused = Some(error);
                Err(stopped)
            }
        });
        match refused {
            Some(refused) => Err(refused),
            None => Ok(changed?),
        }
    }

    /// The file of a key's index. A key is part of a file name, and never leads out of the folder.
    fn path(&self, key: &str) -> Result<PathBuf, Refusal> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.is_empty() || key.len() > MAX_KEY || !key.chars().all(plain) {
            let message = format!("`indexKey` is no key: up to {MAX_KEY} letters, digits, `-` and `_` are");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        Ok(self.folder.join(format!("{key}.safetensors")))
    }

    fn unreadable(&self, key: &str, error: std::io::Error) -> Refusal {
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                Refusal::new(StatusCode::NOT_FOUND, format!("there is no index `{key}`; /shitu-index-build makes one"))
            }
            _ => image_feature::Error::from(error).context(key.to_string()).into(),
        }
    }

    /// Refuses an index of another or an unknown model, or of another dimension.
    fn check(&self, gallery: &Gallery) -> Result<(), Refusal> {
        let message = match gallery.model() {
            Some(made_by) if !made_by.is_same(&self.model) => {
                format!("the index was made by another model, {made_by}; this service has {}", self.model)
            }
            None => {
                let advice = "`image-feature gallery import FILE --model MODEL --output NEW` writes it down";
                format!("the index does not know which model made its vectors; {advice}")
            }
            _ if gallery.dimension() != self.dimension => format!(
                "the index has vectors of {} values, the model of this service makes {}",
                gallery.dimension(),
                self.dimension
            ),
            _ => return Ok(()),
        };
        Err(Refusal::new(StatusCode::CONFLICT, message))
    }
}
