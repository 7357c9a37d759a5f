//! The download of an official model: fetched, compared with the hash of the first time, unpacked into the cache.

use std::fs::{self, File};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fetch::{Received, fetch};
use super::unpack::unpack;
use super::{ARCHIVES, OfficialModel, cache_folder};
use crate::error::Context;
use crate::output_file::OutputFile;
use crate::{Error, Result};

/// The variable that forbids downloads.
const OFFLINE: &str = "IMAGE_FEATURE_OFFLINE";
/// The variable with the address of a mirror.
const MIRROR: &str = "IMAGE_FEATURE_MIRROR";

/// The options of [`OfficialModel::download`].
///
/// ```
/// use image_feature::official::DownloadOptions;
///
/// let options = DownloadOptions { mirror: Some("https://models.example.org/paddle".into()), ..DownloadOptions::default() };
/// assert!(!options.offline);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownloadOptions {
    /// The address of a folder that has the same archives; `None`: PaddleX's server.
    pub mirror: Option<String>,
    /// Whether nothing may be downloaded.
    pub offline: bool,
    /// The folder that gets the model's folder; `None`: [PaddleX's cache](cache_folder).
    pub cache: Option<PathBuf>,
}

impl DownloadOptions {
    /// The options that the environment asks for: `IMAGE_FEATURE_OFFLINE=1` forbids downloads, `IMAGE_FEATURE_MIRROR` is the
    /// address of a mirror.
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let is_no = |text: &String| ["0", "false", "no", "off"].contains(&text.to_ascii_lowercase().as_str());
        let offline = text(OFFLINE).is_some_and(|text| !is_no(&text));
        DownloadOptions { mirror: text(MIRROR), offline, cache: None }
    }
}

impl OfficialModel {
    /// The model's folder in the cache; downloads the model if it is not there.
    ///
    /// The archive is written to `NAME_infer.tar.part` in the cache. A download that was broken off goes on where it ended. The
    /// first time, the archive's SHA-256 is written to `NAME_infer.tar.sha256`; each later download, also from a mirror, must have
    /// the same. The folder appears when it is complete. Another process that downloads the same model is waited for.
    ///
    /// `progress` is called with the address before the first byte, and then every few hundred kilobytes. It breaks to stop; what
    /// was received stays for the next time. Blocks until the end.
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    /// use image_feature::Model;
    /// use image_feature::official::{DownloadOptions, OfficialModel};
    ///
    /// let official = OfficialModel::find("PP-ShiTuV2_rec").expect("it is one of four");
    /// let folder = official.download(&DownloadOptions::from_environment(), &mut |received| {
    ///     println!("{}: {} of {:?} bytes", received.url, received.bytes, received.total);
    ///     ControlFlow::Continue(())
    /// })?;
    /// let model = Model::open(folder)?;
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::Io`](crate::ErrorKind::Io) where the model is not there and downloads are forbidden, the server cannot be
    ///   reached or has no such file, or the cache cannot be written,
    /// - [`ErrorKind::Model`](crate::ErrorKind::Model) where the archive is another than the first time, or is damaged,
    /// - [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) where `progress` breaks.
    pub fn download(
        &self,
        options: &DownloadOptions,
        progress: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf> {
        let cache = options.cache.clone().or_else(cache_folder);
        let no_home =
            || Error::io("there is no home folder for the cache; set PADDLE_PDX_CACHE_HOME").context(self.name);
        let cache = cache.ok_or_else(no_home)?;
        let folder = cache.join(self.name);
        if folder.is_dir() {
            return Ok(folder);
        }
        let url = format!("{}/{}", options.mirror.as_deref().unwrap_or(ARCHIVES).trim_end_matches('/'), self.archive());
        if options.offline {
            return Err(Error::io(format!(
                "not in PaddleX's cache ({}), and {OFFLINE} forbids downloads; unset it, or unpack {url} there",
                folder.display()
            ))
            .context(self.name));
        }
        fs::create_dir_all(&cache).context(|| format!("{}: the cache cannot be made", cache.display()))?;
        let part = cache.join(format!("{}.part", self.archive()));
        let _turn = lock(&cache.join(format!("{}.lock", self.archive())))?;
        // another process may have had the turn before
        if !folder.is_dir() {
            fetch(&url, &part, progress).map_err(|error| error.context(self.name))?;
            let checked = self.check_hash(&part, &cache, &url).and_then(|()| unpack(&part, &folder));
            // what is wrong as a whole is not gone on with
            let _ = fs::remove_file(&part);
            checked.map_err(|error| error.context(self.name))?;
        }
        Ok(folder)
    }

    /// Compares the archive's hash with that of the first time, or writes it down.
    fn check_hash(&self, part: &Path, cache: &Path, url: &str) -> Result<()> {
        let hash = sha256(part).context(|| part.display().to_string())?;
        let path = cache.join(format!("{}.sha256", self.archive()));
        match fs::read_to_string(&path) {
            // the form of `sha256sum`
            Ok(text) if text.split_whitespace().next() == Some(&hash) => Ok(()),
            Ok(text) => Err(Error::model(format!(
                "{url} has the SHA-256 {hash}, and the archive of the first time had {}; if you trust the new one, delete {}",
                text.split_whitespace().next().unwrap_or("none"),
                path.display()
            ))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                OutputFile::write(&path, format!("{hash}  {}\n", self.archive()).as_bytes())
            }
            Err(error) => Err(Error::from(error).context(path.display().to_string())),
        }
    }
}

/// Waits until no other process downloads, and keeps others waiting while the file is open. Not every file system has locks.
fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.context(|| format!("{}: cannot be written", path.display()))?;
    let _ = file.lock();
    Ok(file)
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&buffer[..read]),
        }
    }
}
