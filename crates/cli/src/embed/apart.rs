//! Names of images below several arguments, so that equal names stay apart.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::argument::Argument;

/// Which images have the name of the folder that was given in front of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FolderNames {
    /// Those of several folders; and, added to a gallery of folders, those directly in one folder
    #[default]
    Auto,
    /// All of them
    Always,
    /// None: the paths below the folders are the names
    Never,
}

/// For each argument, what its images have in front of their names.
///
/// Of several folders (archives, patterns), each has its own name in front: `tea/1.jpg`; as many folders above it as
/// tell them apart: `a/tea/1.jpg`, `b/tea/1.jpg`. Of several files with equal names, all have the names of their folders
/// in front. A single folder has nothing in front, unless `names` says so; files with different names have nothing.
pub fn fronts(arguments: &[Argument], names: FolderNames) -> Vec<PathBuf> {
    let folders: Vec<Option<PathBuf>> = arguments.iter().map(folder).collect();
    let files: Vec<Option<PathBuf>> = arguments.iter().map(file).collect();
    let [folder_parts, file_parts] = [&folders, &files].map(|paths| {
        let paths: BTreeSet<&PathBuf> = paths.iter().flatten().collect();
        match paths.len() {
            0 | 1 => 0,
            _ => parts_that_differ(&paths),
        }
    });
    let folder_parts = match names {
        FolderNames::Auto => folder_parts,
        FolderNames::Always => folder_parts.max(1),
        FolderNames::Never => 0,
    };
    let front = |(folder, file): (&Option<PathBuf>, &Option<PathBuf>)| match (folder, file) {
        (Some(folder), _) => end(folder, folder_parts),
        (_, Some(file)) if file_parts > 1 => end(file.parent().unwrap_or(Path::new("")), file_parts - 1),
        _ => PathBuf::new(),
    };
    folders.iter().zip(&files).map(front).collect()
}

/// The folder in which an argument's images are, as an absolute path; an archive counts as the folder that it would unpack to.
fn folder(argument: &Argument) -> Option<PathBuf> {
    match argument {
        Argument::Folder(path) => Some(absolute(path)),
        Argument::Pattern(pattern) => Some(absolute(pattern.root())),
        Argument::Archive(_, path) => {
            let path = absolute(path);
            let name = path.file_name()?.to_string_lossy().into_owned();
            let lower = name.to_ascii_lowercase();
            let suffix = [".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|suffix| lower.ends_with(suffix));
            let stem = &name[..name.len() - suffix.map_or(0, str::len)];
            Some(if stem.is_empty() { path } else { path.with_file_name(stem) })
        }
        Argument::File(_) | Argument::Stdin | Argument::Failed(..) => None,
    }
}

fn file(argument: &Argument) -> Option<PathBuf> {
    if let Argument::File(path) = argument { Some(absolute(path)) } else { None }
}

/// The absolute path. The last part stays as it was written, also where it is a link.
fn absolute(path: &Path) -> PathBuf {
    let ends_in_name = matches!(path.components().next_back(), Some(Component::Normal(_)));
    let absolute = if ends_in_name { std::path::absolute(path) } else { path.canonicalize() };
    absolute.unwrap_or_else(|_| path.into())
}

/// The least number of parts at the end that tell all these paths apart.
fn parts_that_differ(paths: &BTreeSet<&PathBuf>) -> usize {
    let most = paths.iter().map(|path| path.components().count()).max().unwrap_or(1);
    let tells_apart =
        |parts: &usize| paths.iter().map(|path| end(path, *parts)).collect::<BTreeSet<_>>().len() == paths.len();
    (1..most).find(tells_apart).unwrap_or(most)
}

/// The last `parts` names of a path.
fn end(path: &Path, parts: usize) -> PathBuf {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let names: Vec<Component> = names.collect();
    names[names.len().saturating_sub(parts)..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_feature::file_tree::ArchiveFormat;

    fn of(arguments: Vec<Argument>) -> Vec<String> {
        fronts(&arguments, FolderNames::Auto).iter().map(|front| front.to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn several_folders_have_their_names_in_front() {
        let folder = |path: &str| Argument::Folder(path.into());
        let zip = |path: &str| Argument::Archive(ArchiveFormat::Zip, path.into());
        assert_eq!(of(vec![folder("x/tea")]), [""]);
        assert_eq!(of(vec![folder("x/tea"), folder("x/tea/")]), ["", ""]);
        assert_eq!(of(vec![folder("x/tea"), folder("x/cup")]), ["tea", "cup"]);
        assert_eq!(of(vec![folder("a/tea"), folder("b/tea"), folder("b/cup")]), ["a/tea", "b/tea", "b/cup"]);
        assert_eq!(of(vec![zip("tea.tar.gz"), zip("cup.ZIP")]), ["tea", "cup"]);
        assert_eq!(of(vec![folder("tea"), Argument::Stdin]), ["", ""]);
        assert_eq!(fronts(&[folder("x/tea")], FolderNames::Always), [PathBuf::from("tea")]);
        let two = [folder("x/tea"), folder("x/cup")];
        assert_eq!(fronts(&two, FolderNames::Never), [PathBuf::new(), PathBuf::new()]);
    }

    #[test]
    fn files_have_folders_in_front_where_their_names_are_equal() {
        let file = |path: &str| Argument::File(path.into());
        assert_eq!(of(vec![file("tea/1.jpg"), file("cup/2.jpg")]), ["", ""]);
        assert_eq!(of(vec![file("tea/1.jpg"), file("tea/2.jpg"), file("cup/1.jpg")]), ["tea", "tea", "cup"]);
        assert_eq!(of(vec![file("a/tea/1.jpg"), file("b/tea/1.jpg")]), ["a/tea", "b/tea"]);
        assert_eq!(of(vec![file("a/1.jpg"), file("a/1.jpg")]), ["", ""], "the same file twice");
    }
}
