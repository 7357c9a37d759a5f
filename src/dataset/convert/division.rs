//! Divisions of a source, such as `train` and `val`, and the lists that they become.

use std::collections::BTreeMap;

use super::source::Labelled;
use crate::dataset::item::Item;
use crate::dataset::split::{SplitOptions, divide};
use crate::dataset::subset::Subset;

/// A division of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Division {
    Train,
    Gallery,
    Query,
    Validation,
    Test,
}

impl Division {
    /// The division that is usually called so, in any case: `train`, `Training`, `train_set`, `val2017`, `dev`, `训练集`.
    pub fn named(name: &str) -> Option<Self> {
        let name: String = name.to_lowercase().chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
        let year = name.len().checked_sub(4).and_then(|at| name.split_at_checked(at));
        let name = match year {
            Some((name, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => &name,
        };
        Some(match name.strip_suffix("set").unwrap_or(name) {
            "train" | "training" | "trn" | "训练集" | "训练" => Division::Train,
            "gallery" | "galleries" | "底库" => Division::Gallery,
            "query" | "queries" | "查询" | "查询集" => Division::Query,
            "val" | "valid" | "validation" | "validate" | "dev" | "eval" | "evaluation" | "验证集" | "验证" => {
                Division::Validation
            }
            "test" | "testing" | "tst" | "测试集" | "测试" => Division::Test,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Division::Train => "train",
            Division::Gallery => "gallery",
            Division::Query => "query",
            Division::Validation => "val",
            Division::Test => "test",
        }
    }
}

/// What becomes of a division.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    List(Subset),
    /// Divided into gallery and queries.
    Divided,
    LeftOut,
}

/// The use of a division, where there are these others.
fn use_of(division: Division, has_gallery: bool, has_query: bool) -> Use {
    match division {
        Division::Train => Use::List(Subset::Train),
        Division::Gallery => Use::List(Subset::Gallery),
        Division::Query => Use::List(Subset::Query),
        Division::Validation | Division::Test => match (has_gallery, has_query) {
            (false, false) => Use::Divided,
            (true, false) => Use::List(Subset::Query),
            (false, true) => Use::List(Subset::Gallery),
            (true, true) => Use::LeftOut,
        },
    }
}

/// The images with their lists, by the divisions that they are in. All images have one.
pub(super) fn assigned(
    rows: Vec<Labelled>,
    options: &SplitOptions,
    notes: &mut Vec<String>,
) -> (Vec<Labelled>, Vec<Subset>) {
    let mut counts: BTreeMap<Division, usize> = BTreeMap::new();
    rows.iter().filter_map(|row| row.division).for_each(|division| *counts.entry(division).or_default() += 1);
    let [has_gallery, has_query] = [Division::Gallery, Division::Query].map(|division| counts.contains_key(&division));
    let use_of = |division| use_of(division, has_gallery, has_query);
    let percent = evaluation_percent(options.percent);
    notes.extend(counts.iter().map(|(&division, &count)| told(division, count, use_of(division), percent)));

    let (mut kept, mut subsets, mut to_divide) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row.division.map(use_of) {
            Some(Use::List(list)) => subsets.push(list),
            Some(Use::Divided) => {
                to_divide.push(kept.len());
                subsets.push(Subset::Gallery);
            }
            Some(Use::LeftOut) | None => continue,
        }
        kept.push(row);
    }
    // the same image may be in `val` and in `test`
    let items: Vec<Item> = to_divide.iter().map(|&at| Item { label: kept[at].label, group: kept[at].entry }).collect();
    for (at, list) in to_divide.into_iter().zip(divide(&items, &SplitOptions { percent, ..options.clone() })) {
        subsets[at] = list;
    }
    once_in_a_list(kept, subsets)
}

/// Leaves out an image's second row in a list: two divisions may have become one list.
fn once_in_a_list(rows: Vec<Labelled>, subsets: Vec<Subset>) -> (Vec<Labelled>, Vec<Subset>) {
    let mut seen = std::collections::HashSet::new();
    rows.into_iter().zip(subsets).filter(|(row, list)| seen.insert((row.entry, *list))).unzip()
}

/// The percentages of gallery and queries among images that are not for training.
fn evaluation_percent([_, gallery, query]: [f64; 3]) -> [f64; 3] {
    let sum = gallery + query;
    if sum > 0.0 { [0.0, 100.0 * gallery / sum, 100.0 * query / sum] } else { [0.0, 60.0, 40.0] }
}

fn told(division: Division, count: usize, is: Use, percent: [f64; 3]) -> String {
    let images = if count == 1 { "1 image".into() } else { format!("{count} images") };
    let becomes = match is {
        Use::List(list) => list.list().into(),
        Use::Divided => {
            format!("gallery.txt and query.txt, divided {:.0} : {:.0}", percent[1], percent[2])
        }
        Use::LeftOut => "left out, because gallery and query are there".into(),
    };
    format!("{} -> {becomes} ({images})", division.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_are_known_by_their_usual_names() {
        use Division::*;
        let cases = [
            ("train", Some(Train)),
            ("TRAIN", Some(Train)),
            ("Training", Some(Train)),
            ("training_set", Some(Train)),
            ("trainset", Some(Train)),
            ("train2017", Some(Train)),
            ("val", Some(Validation)),
            ("Valid", Some(Validation)),
            ("validation", Some(Validation)),
            ("dev", Some(Validation)),
            ("test", Some(Test)),
            ("testing", Some(Test)),
            ("test-set", Some(Test)),
            ("gallery", Some(Gallery)),
            ("Query", Some(Query)),
            ("queries", Some(Query)),
            ("训练集", Some(Train)),
            ("trainer", None),
            ("test tube", None),
            ("sunset", None),
            ("set", None),
            ("2017", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Division::named(name), expected, "{name}");
        }
    }
}
