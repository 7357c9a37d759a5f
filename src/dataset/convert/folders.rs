//! A folder for each class, perhaps within folders of divisions, or with folders of divisions in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Divisions;
use super::division::Division;
use super::source::{Faults, Labelled, Source};
use crate::file_tree::{FileTree, Images, images, tell_passed_over};
use crate::{Error, Result};

/// The place of divisions in the paths of a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// `class/…`
    ClassOnly,
    /// `division/class/…`
    DivisionFirst,
    /// `class/division/…`
    ClassFirst,
}

pub(super) fn read(tree: &dyn FileTree, divisions: Divisions) -> Result<Source> {
    let Images { files, passed_over } = images(tree);
    let path = |index: usize| (index, tree.entries()[index].path.as_str());
    let images: Vec<(usize, &str)> = files.into_iter().map(path).collect();
    let paths: Vec<&str> = images.iter().map(|(_, path)| *path).collect();
    let skip = container(&paths, divisions);
    let below: Vec<&str> = paths.iter().map(|path| &path[skip..]).collect();
    let order = order(&below, divisions)?;
    let mut notes = Vec::new();
    if order == Order::ClassOnly && divisions == Divisions::Auto {
        notes.extend(only_division(&paths, skip));
    }
    let mut faults = Faults::default();
    let mut found: Vec<(usize, &str, Option<Division>, &str)> = Vec::new();
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for ((entry, path), below) in images.into_iter().zip(below) {
        let folders: Vec<&str> = below.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect();
        let named = |at: usize| folders.get(at).and_then(|folder| Division::named(folder));
        let (class, division) = match order {
            Order::ClassOnly => (folders.first(), None),
            Order::DivisionFirst if named(0).is_none() => {
                *elsewhere.entry(folders.first().copied().unwrap_or_default()).or_default() += 1;
                continue;
            }
            Order::DivisionFirst => (folders.get(1), named(0)),
            Order::ClassFirst => (folders.first(), named(1)),
        };
        match class {
            Some(class) if class.chars().any(char::is_control) => {
                faults.add(format!("`{path}`: the class has a line break or another control character in its name"));
            }
            Some(class) => found.push((entry, class, division, path)),
            None => faults.add(no_class(path, order)),
        }
    }
    notes.extend(elsewhere.into_iter().map(|(folder, count)| match folder {
        "" => format!("left out, because they are in no folder: {count} images"),
        folder => format!("left out, because `{folder}/` is no division: {count} images"),
    }));
    notes.extend(tell_passed_over(passed_over.len(), &passed_over));
    let classes: BTreeSet<&str> = found.iter().map(|(_, class, ..)| *class).collect();
    let classes: Vec<String> = classes.into_iter().map(str::to_string).collect();
    let images = found.iter().map(|&(entry, class, division, path)| Labelled {
        entry,
        label: classes.binary_search_by(|other| other.as_str().cmp(class)).unwrap_or_default() as i64,
        division,
        place: path.to_string(),
    });
    Ok(Source { images: images.collect(), classes: Some(classes), skip, faults, notes })
}

fn no_class(path: &str, order: Order) -> String {
    match order {
        Order::DivisionFirst => format!(
            "`{path}` is in no folder of a class below its division; if the folders are classes, take --divisions no"
        ),
        _ => format!("`{path}` is in no folder of a class"),
    }
}

/// The length of the path of the folders that contain everything: they are not classes.
fn container(paths: &[&str], divisions: Divisions) -> usize {
    let mut skip = 0;
    while let Some(first) = paths.first()
        && let Some(length) = first[skip..].find('/')
        && paths.iter().all(|path| path.get(skip..).is_some_and(|rest| rest.starts_with(&first[skip..=skip + length])))
    {
        let folder = &first[skip..skip + length];
        let mut below = paths.iter().map(|path| &path[skip + length + 1..]);
        let is_only_division = divisions == Divisions::Yes && Division::named(folder).is_some();
        let is_only_class = below.all(|path| !path.contains('/'));
        if is_only_division || is_only_class {
            break;
        }
        skip += length + 1;
    }
    skip
}

/// The order of divisions and classes in these paths.
fn order(paths: &[&str], divisions: Divisions) -> Result<Order> {
    if divisions == Divisions::No || paths.is_empty() {
        return Ok(Order::ClassOnly);
    }
    let first = |path: &str| path.split_once('/').map(|(folder, _)| folder.to_string());
    let second = |path: &str| path.split_once('/').and_then(|(_, rest)| first(rest));
    let (tops, top_others) = folders_by_kind(paths, &first);
    let (seconds, second_others) = folders_by_kind(paths, &second);
    let is_divided = |folders: &BTreeSet<String>, others: &BTreeSet<String>| !folders.is_empty() && others.is_empty();
    if is_divided(&tops, &top_others) && paths.iter().all(|path| first(path).is_some()) {
        return Ok(Order::DivisionFirst);
    }
    if is_divided(&seconds, &second_others) && tops.is_empty() && paths.iter().all(|path| second(path).is_some()) {
        return Ok(Order::ClassFirst);
    }
    let list = |folders: &BTreeSet<String>| {
        let named: Vec<String> = folders.iter().take(3).map(|folder| format!("`{folder}`")).collect();
        named.join(", ")
    };
    match (divisions, tops.is_empty(), seconds.is_empty()) {
        (_, true, true) if divisions == Divisions::Yes => Err(Error::unsupported(
            "no folder is named like a division (train, val, test, gallery, query): leave out --divisions yes",
        )),
        (_, true, true) => Ok(Order::ClassOnly),
        (Divisions::Yes, false, _) => Ok(Order::DivisionFirst),
        (Divisions::Yes, true, false) => Err(Error::unsupported(format!(
            "{} in classes are divisions, but not every class has them only: put all images of each class into such \
             folders",
            list(&seconds)
        ))),
        (_, false, _) => Err(Error::unsupported(format!(
            "{} may be divisions of the data set or classes, beside {}: --divisions no takes all as classes, \
             --divisions yes takes the former as divisions and leaves the others out",
            list(&tops),
            if top_others.is_empty() { "images in no folder".into() } else { list(&top_others) },
        ))),
        (_, true, false) => Err(Error::unsupported(format!(
            "{} may be divisions within the classes, but not every class has them only: --divisions no takes all images \
             of a class together",
            list(&seconds)
        ))),
    }
}

/// The folders that are named like divisions, and the others.
fn folders_by_kind(paths: &[&str], folder: &dyn Fn(&str) -> Option<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let all: BTreeSet<String> = paths.iter().filter_map(|path| folder(path)).collect();
    all.into_iter().partition(|folder| Division::named(folder).is_some())
}

/// A note where everything is in one folder that is named like a division.
fn only_division(paths: &[&str], skip: usize) -> Option<String> {
    let container = paths.first()?[..skip].trim_end_matches('/');
    let name = container.rsplit('/').next()?;
    Division::named(name).map(|_| {
        format!("everything is in `{name}/`, and is divided anew; --divisions yes takes it as that division alone")
    })
}
