//! Finds the files that make up a model, by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::torch;
use crate::file_kind::FileKind;
use crate::{Error, Result};

/// A file in memory; its name may hold folders, separated by `/`.
pub(super) struct File<'a> {
    pub name: String,
    pub bytes: Cow<'a, [u8]>,
}

/// Files that together make one model, as indices into the list of names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    Safetensors(usize),
    Pdparams(usize),
    /// PyTorch's checkpoint.
    Torch(usize),
    Exported {
        pir: Option<usize>,
        program: Option<usize>,
        params: Option<usize>,
        yml: Option<usize>,
    },
}

/// The kind of a file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Safetensors,
    Pdparams,
    Torch,
    Pir,
    Program,
    Params,
    Yml,
}

/// The kind of the file of this name; `None` where it does not belong to a model.
pub(super) fn part(name: &str) -> Option<Part> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    // macOS adds a second file with metadata for every file in its archives
    if file.starts_with("._") || folder.split('/').any(|folder| folder == "__MACOSX") {
        return None;
    }
    let (stem, extension) = file.rsplit_once('.')?;
    match &extension.to_ascii_lowercase()[..] {
        "safetensors" => Some(Part::Safetensors),
        "pdparams" => Some(Part::Pdparams),
        "pth" | "pt" => Some(Part::Torch),
        "pdmodel" => Some(Part::Program),
        "pdiparams" => Some(Part::Params),
        // other JSON files are no graphs: a training run writes `best_model.info.json`
        "json" if stem.starts_with("inference") => Some(Part::Pir),
        "yml" | "yaml" if stem.starts_with("inference") => Some(Part::Yml),
        _ => None,
    }
}

/// The kind of a file by its content, where the content is enough to read it.
pub(super) fn sniff(bytes: &[u8]) -> Option<Candidate> {
    match bytes {
        _ if torch::is_older_form(bytes) => Some(Candidate::Torch(0)),
        // a pickle of protocol 2 or later
        [0x80, 2..=5, ..] => Some(Candidate::Pdparams(0)),
        // the length of the header, then the header in JSON
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => Some(Candidate::Safetensors(0)),
        _ => None,
    }
}

/// Refuses a file that is something else than its name says, such as a Git LFS pointer or the page of an error.
pub(super) fn refuse_other_kinds(file: &File) -> Result<()> {
    let Some(kind) = FileKind::of(&file.bytes) else { return Ok(()) };
    let is_fitting = match part(&file.name) {
        // a graph and its description are texts
        Some(Part::Pir | Part::Yml) => kind == FileKind::Json || kind == FileKind::Empty,
        // the graph says what is missing in an empty file
        Some(Part::Program | Part::Params) => kind == FileKind::Empty,
        // the newer form is a zip archive
        Some(Part::Torch) => matches!(kind, FileKind::Archive(_)),
        Some(Part::Safetensors | Part::Pdparams) => false,
        None => kind == FileKind::Json || kind == FileKind::Empty,
    };
    if is_fitting {
        return Ok(());
    }
    Err(Error::model(format!("not a model but {kind}; {}", kind.remedy())).context(file.name.clone()))
}

/// The models among files of these names.
pub(super) fn candidates(names: &[&str]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut folders: BTreeMap<&str, Vec<(Part, usize)>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        match part(name) {
            Some(Part::Safetensors) => found.push(Candidate::Safetensors(index)),
            Some(Part::Pdparams) => found.push(Candidate::Pdparams(index)),
            Some(Part::Torch) => found.push(Candidate::Torch(index)),
            Some(part) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                folders.entry(folder).or_default().push((part, index));
            }
            None => {}
        }
    }
    // A training run writes its weights as both. The safetensors file is taken: it holds the preprocessing, too.
    let stem = |index: usize| names[index].rsplit_once('.').map(|(stem, _)| stem);
    let described: Vec<_> =
        found.iter().filter(|found| matches!(found, Candidate::Safetensors(_))).map(|c| stem(c.main())).collect();
    found.retain(|candidate| !matches!(candidate, Candidate::Pdparams(index) if described.contains(&stem(*index))));
    for parts in folders.values() {
        let all = |wanted: Part| parts.iter().filter(move |(part, _)| *part == wanted).map(|&(_, index)| index);
        let alone = [Part::Pir, Part::Program, Part::Params].into_iter().all(|part| all(part).count() <= 1);
        if alone {
            found.extend(exported(
                all(Part::Pir).next(),
                all(Part::Program).next(),
                all(Part::Params).next(),
                all(Part::Yml).next(),
            ));
            continue;
        }
        // several exports in one folder: files with the same stem belong together
        let stem = |index: usize| names[index].rsplit_once('.').map_or(names[index], |(stem, _)| stem);
        let mut stems: Vec<&str> =
            parts.iter().filter(|(part, _)| *part != Part::Yml).map(|&(_, index)| stem(index)).collect();
        stems.sort_unstable();
        stems.dedup();
        for wanted in stems {
            let one = |part: Part| all(part).find(|&index| stem(index) == wanted);
            found.extend(exported(one(Part::Pir), one(Part::Program), one(Part::Params), one(Part::Yml)));
        }
    }
    found
}

fn exported(
    pir: Option<usize>,
    program: Option<usize>,
    params: Option<usize>,
    yml: Option<usize>,
) -> Option<Candidate> {
    (pir.is_some() || program.is_some() || params.is_some()).then_some(Candidate::Exported {
        pir,
        program,
        params,
        yml,
    })
}

impl Candidate {
    /// The main file of the model, which stands for it in messages.
    pub fn main(&self) -> usize {
        match *self {
            Candidate::Safetensors(index) | Candidate::Pdparams(index) | Candidate::Torch(index) => index,
            // one of the three exists: see `exported`
            Candidate::Exported { pir, program, params, .. } => pir.or(program).or(params).unwrap_or_default(),
        }
    }

    /// All of the model's files.
    pub fn files(&self) -> Vec<usize> {
        match *self {
            Candidate::Safetensors(index) | Candidate::Pdparams(index) | Candidate::Torch(index) => vec![index],
            Candidate::Exported { pir, program, params, yml } => {
                // of two graphs, PaddleX 3 takes the PIR one
                [pir.or(program), params, yml].into_iter().flatten().collect()
            }
        }
    }
}
