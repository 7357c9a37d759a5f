//! Reads models from paths and bytes.

use std::borrow::Cow;
#[cfg(not(target_arch = "wasm32"))]
use std::io::Read;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::files::{self, Candidate, File};
use super::model::Model;
use super::paddle::Exported;
use super::{archive, limits, paddle, safetensors, torch};
use crate::error::Context;
use crate::{Error, Result};

/// Reads models, with options. Without options use [`Model::open`] and its siblings.
///
/// ```no_run,ignore-wasm32
/// use image_feature::ModelLoader;
///
/// // To continue training with the same classes, keep the classification head: 394 MB in the official checkpoint.
/// let model = ModelLoader::new().with_head().open("best_model.pdparams")?;
/// assert!(model.classes.is_some());
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModelLoader {
    keep_head: bool,
}

impl ModelLoader {
    /// A loader that keeps only the tensors needed to compute features.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the classification head of a training checkpoint, too.
    pub fn with_head(mut self) -> Self {
        self.keep_head = true;
        self
    }

    /// Reads a model from a file, a folder or an archive, as [`Model::open`] does.
    ///
    /// # Errors
    /// As [`Model::open`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Model> {
        self.open_path(path.as_ref())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn open_path(&self, path: &Path) -> Result<Model> {
        let shown = || path.display().to_string();
        if std::fs::metadata(path).context(shown)?.is_dir() {
            return self.open_folder(path);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // the other files of an exported model are beside it
        if let Some(files::Part::Pir | files::Part::Program | files::Part::Params) = files::part(&name) {
            let stem = name.rsplit_once('.').map_or(&name[..], |(stem, _)| stem).to_string();
            let named = files::part(&name);
            let folder = path.parent().unwrap_or(Path::new(""));
            let keep = |other: &str| {
                let same_stem = other.rsplit_once('.').is_some_and(|(other, _)| other == stem);
                let part = files::part(other);
                // the named graph is read even where the folder holds one of the other format, too
                let graph = matches!(part, Some(files::Part::Pir | files::Part::Program));
                let other_graph = graph && named != Some(files::Part::Params) && other != name;
                part.is_some() && same_stem && !other_graph
            };
            let names: Vec<String> = list(folder)?.into_iter().filter(|other| keep(other)).collect();
            return self.read_chosen(folder, &names);
        }
        let bytes = read(path).context(shown)?;
        self.read_files(vec![File { name, bytes: Cow::Owned(bytes) }])
    }

    /// Reads the model of a folder, or of one of the folders below it where PaddleX puts a model.
    #[cfg(not(target_arch = "wasm32"))]
    fn open_folder(&self, path: &Path) -> Result<Model> {
        // `latest`: a run without an evaluation yet has no `best_model`
        for below in ["", "inference", "best_model", "best_model/inference", "latest"] {
            let folder = path.join(below);
            if !folder.is_dir() {
                continue;
            }
            let names = list(&folder)?;
            if !files::candidates(&names.iter().map(String::as_str).collect::<Vec<_>>()).is_empty() {
                return self.read_chosen(&folder, &names);
            }
        }
        Err(Error::model(format!(
            "{}: no model in this folder; expected inference.json (or inference.pdmodel) with inference.pdiparams, \
             a .safetensors or a .pdparams",
            path.display()
        )))
    }

    /// Reads the only model among the files of a folder. Reads no other file.
    #[cfg(not(target_arch = "wasm32"))]
    fn read_chosen(&self, folder: &Path, names: &[String]) -> Result<Model> {
        let in_folder = || folder.display().to_string();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let candidate = choose(&borrowed).context(in_folder)?;
        let mut chosen = Vec::new();
        for index in candidate.files() {
            let bytes = read(&folder.join(&names[index])).context(|| names[index].clone()).context(in_folder)?;
            chosen.push(File { name: names[index].clone(), bytes: Cow::Owned(bytes) });
        }
        self.read_files(chosen).context(in_folder)
    }

    /// Reads a model from the bytes of a file, as [`Model::from_bytes`] does.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn from_bytes(&self, name: &str, bytes: &[u8]) -> Result<Model> {
        self.read_files(vec![File { name: name.into(), bytes: Cow::Borrowed(bytes) }])
    }

    /// Reads a model from files in memory, as [`Model::from_files`] does.
    ///
    /// # Errors
    /// As [`Model::from_files`].
    pub fn from_files(&self, files: Vec<(String, Vec<u8>)>) -> Result<Model> {
        let files = files.into_iter();
        self.read_files(
            files.map(|(name, bytes)| File { name: name.replace('\\', "/"), bytes: Cow::Owned(bytes) }).collect(),
        )
    }

    fn read_files(&self, files: Vec<File>) -> Result<Model> {
        let mut unpacked = Vec::new();
        for file in &files {
            limits::check_size("the file", file.bytes.len() as u64, limits::MODEL_BYTES)
                .context(|| file.name.clone())?;
            if files.len() == 1
                && let Some(mut model) = torch::read_archive(&file.bytes).context(|| file.name.clone())?
            {
                model.origin.bytes = file.bytes.len() as u64;
                return Ok(model);
            }
            match archive::unpack(&file.bytes).context(|| file.name.clone())? {
                // with the archive's name in front, for error messages
                Some(members) => unpacked.extend(
                    members.into_iter().map(|member| File { name: format!("{}/{}", file.name, member.name), ..member }),
                ),
                None => unpacked.push(File { name: file.name.clone(), bytes: Cow::Borrowed(&file.bytes) }),
            }
        }
        let candidate = match &unpacked[..] {
            // the content of a single file tells its format, whatever its name
            [file] => match files::sniff(&file.bytes) {
                Some(candidate) => candidate,
                None => {
                    files::refuse_other_kinds(file)?;
                    choose(&[&file.name])?
                }
            },
            _ => choose(&unpacked.iter().map(|file| &file.name[..]).collect::<Vec<_>>())?,
        };
        candidate.files().into_iter().try_for_each(|index| files::refuse_other_kinds(&unpacked[index]))?;
        let sizes = candidate.files().into_iter().map(|index| unpacked[index].bytes.len() as u64);
        let bytes = sizes.sum();
        limits::check_size("the model", bytes, limits::MODEL_BYTES)?;
        let in_file = |index: usize| unpacked[index].name.clone();
        let mut model = match candidate {
            Candidate::Safetensors(index) => {
                safetensors::read(&unpacked[index].bytes, self.keep_head).context(|| in_file(index))?
            }
            Candidate::Pdparams(index) => {
                paddle::pdparams::read(&unpacked[index].bytes, self.keep_head).context(|| in_file(index))?
            }
            Candidate::Torch(index) => torch::read_any(&unpacked[index].bytes).context(|| in_file(index))?,
            Candidate::Exported { pir, program, params, yml } => {
                paddle::read(&Exported::of(&unpacked, pir, program, params, yml)?)?
            }
        };
        model.origin.bytes = bytes;
        Ok(model)
    }
}

/// Reading. [`ModelLoader`] has the same methods with options.
impl Model {
    /// Reads a model from a file, a folder or an archive.
    ///
    /// - A file is a `.safetensors`, a `.pdparams`, PyTorch's `.pth` of an EfficientNet-Lite, a `.tar`, `.tar.gz` or `.zip` archive, or one of the files of an
    ///   exported model (`inference.json`, `inference.pdmodel`, `inference.pdiparams`). The other files of an exported
    ///   model are found beside it.
    /// - A folder holds an exported model, or `best_model` of a training run. Of two graphs in one folder,
    ///   `inference.json` is taken, as PaddleX 3 does.
    ///
    /// The classification head of a training checkpoint is left out; [`ModelLoader::with_head`] keeps it.
    ///
    /// ```no_run,ignore-wasm32
    /// use image_feature::Model;
    ///
    /// let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
    /// println!("{}: {} numbers per image", model.description.name, model.description.dimension());
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Io`](crate::ErrorKind::Io) where a file cannot be read,
    /// - [`Model`](crate::ErrorKind::Model) where a file is missing, damaged or of another architecture,
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) for a known network or format that this crate does not read,
    /// - [`Limit`](crate::ErrorKind::Limit) where a file needs more memory than any supported model.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<Path>) -> Result<Model> {
        ModelLoader::new().open(path)
    }

    /// Reads a model from the bytes of one file. The content decides the format; `name` is for error messages.
    ///
    /// # Errors
    /// As [`Model::open`], without `Io`.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Model> {
        ModelLoader::new().from_bytes(name, bytes)
    }

    /// Reads a model from files in memory, given as name (or path) and content: an archive, a `.safetensors`, a
    /// `.pdparams`, or the files of an exported model. Other files are ignored.
    ///
    /// # Errors
    /// As [`Model::from_bytes`]. The message names a missing file.
    pub fn from_files(files: Vec<(String, Vec<u8>)>) -> Result<Model> {
        ModelLoader::new().from_files(files)
    }
}

/// The only model among files of these names.
fn choose(names: &[&str]) -> Result<Candidate> {
    let mut candidates = files::candidates(names);
    match candidates.len() {
        1 => Ok(candidates.remove(0)),
        0 => Err(Error::unsupported(format!(
            "no model among {}; expected a .safetensors, a .pdparams, inference.json (or inference.pdmodel) with \
             inference.pdiparams, or a .tar, .tar.gz or .zip archive of those",
            listed(names.iter().copied())
        ))),
        count => Err(Error::model(format!(
            "{count} models: {}; give one of them",
            listed(candidates.iter().map(|candidate| names[candidate.main()]))
        ))),
    }
}

fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let mut list = names.take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list += &format!(" and {more} more");
    }
    if list.is_empty() { "no files".into() } else { list }
}

#[cfg(not(target_arch = "wasm32"))]
fn list(folder: &Path) -> Result<Vec<String>> {
    let in_folder = || folder.display().to_string();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).context(in_folder)? {
        let entry = entry.context(in_folder)?;
        if entry.path().is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The content of a file. Reads no more than the largest size of a model, since a device file may be endless.
#[cfg(not(target_arch = "wasm32"))]
fn read(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    limits::check_size("the file", size, limits::MODEL_BYTES)?;
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limits::MODEL_BYTES + 1).read_to_end(&mut bytes)?;
    limits::check_size("the file", bytes.len() as u64, limits::MODEL_BYTES)?;
    Ok(bytes)
}
