//! LabelMe annotations: the class of an image is its only flag.

use super::source::{Faults, Labelled, Source, file_at, files, read_text};
use crate::dataset::text::OldEncoding;
use crate::error::Context;
use crate::file_tree::is_image_name;
use crate::file_tree::{FileTree, NameDecoder};
use crate::{Error, Result};

pub(super) fn read(tree: &dyn FileTree, decode: Option<&NameDecoder>) -> Result<Source> {
    let list = files(tree)
        .filter(|(_, path)| *path == "label.txt" || path.ends_with("/label.txt"))
        .min_by_key(|(_, path)| path.len())
        .ok_or_else(|| Error::unsupported("no LabelMe data set: there is no label.txt, a class name in each line"))?;
    let root = list.1.strip_suffix("label.txt").unwrap_or_default();
    let old = OldEncoding { decode, makes_sense: None };
    let (mut notes, mut faults) = (Vec::new(), Faults::default());
    let classes = class_names(&read_text(tree, list.0, old, &mut notes)?).context(|| list.1.into())?;
    let (annotations, image_folder) = (format!("{root}annotations/"), format!("{root}images/"));
    for folder in [&annotations, &image_folder] {
        if tree.find(folder.trim_end_matches('/')).is_none() {
            return Err(Error::unsupported(format!("no LabelMe data set: there is no folder {folder}")));
        }
    }
    let (mut images, mut unlabelled) = (Vec::new(), 0usize);
    for (index, path) in files(tree) {
        let Some(name) = path.strip_prefix(&annotations).filter(|name| name.ends_with(".json")) else { continue };
        if name.contains('/') {
            continue;
        }
        let found = read_text(tree, index, old, &mut notes).and_then(|text| {
            let image = image_of(&text, &classes).context(|| path.into())?;
            let Some((image, label)) = image else { return Ok(None) };
            // relative to the annotation, as LabelMe writes it; or the name alone
            let image = image.trim().replace('\\', "/");
            let below = image.strip_prefix("../").map(|rest| format!("{root}{rest}"));
            let named = format!("{image_folder}{}", image.rsplit('/').next().unwrap_or_default());
            let entry = below.and_then(|path| file_at(tree, &path)).or_else(|| file_at(tree, &named));
            let missing = || Error::unsupported(format!("its image `{image}` does not exist"));
            Ok(Some((entry.ok_or_else(missing).context(|| path.into())?, label)))
        });
        match found {
            Ok(Some((entry, label))) => images.push(Labelled { entry, label, division: None, place: path.into() }),
            Ok(None) => unlabelled += 1,
            Err(error) => faults.add(error.to_string()),
        }
    }
    if unlabelled > 0 {
        notes.push(format!("annotations without a flag that is set, which are left out: {unlabelled}"));
    }
    let mut named: Vec<usize> = images.iter().map(|image| image.entry).collect();
    named.sort_unstable();
    let others = files(tree).filter(|(index, path)| {
        path.starts_with(&image_folder) && is_image_name(path) && named.binary_search(index).is_err()
    });
    let others = others.count().saturating_sub(unlabelled);
    if others > 0 {
        notes.push(format!("images without an annotation that can be used, which are left out: {others}"));
    }
    Ok(Source { images, classes: Some(classes), skip: root.len(), faults, notes })
}

/// The classes of `label.txt`, by their numbers.
fn class_names(text: &str) -> Result<Vec<String>> {
    let mut classes: Vec<String> = Vec::new();
    for (number, name) in (1..).zip(text.lines()) {
        let name = name.trim();
        if name.is_empty() || classes.iter().any(|class| class == name) {
            let what = if name.is_empty() { "a blank line".into() } else { format!("`{name}` for the second time") };
            return Err(Error::unsupported(format!("line {number}: {what}; each line names one class")));
        }
        classes.push(name.into());
    }
    Ok(classes)
}

/// The image of an annotation, and its class: the only flag that is set. `None` where no flag is set.
fn image_of(text: &str, classes: &[String]) -> Result<Option<(String, i64)>> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::unsupported(format!("not JSON: {error}")))?;
    let image = json["imagePath"].as_str().ok_or_else(|| Error::unsupported("it has no `imagePath`"))?;
    let flags = json["flags"].as_object().ok_or_else(|| Error::unsupported("it has no `flags`"))?;
    let mut labels = Vec::new();
    for (flag, _) in flags.iter().filter(|(_, is_set)| is_set.as_bool() == Some(true)) {
        let label = classes.iter().position(|class| class == flag);
        labels.push(label.ok_or_else(|| Error::unsupported(format!("its flag `{flag}` is not in label.txt")))?);
    }
    match labels.as_slice() {
        [] => Ok(None),
        [label] => Ok(Some((image.into(), *label as i64))),
        several => Err(Error::unsupported(format!("{} flags are set: an image has one class here", several.len()))),
    }
}
