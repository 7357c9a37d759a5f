//! The images that Pillow opens: its results for the corpus of damaged and unusual files (`data/torture_images`).

use std::collections::BTreeMap;

use image_feature::dataset::compat::{Flavor, Place, ShiTuRec, Stop};
use image_feature::file_tree::Memory;

use super::common::shared;

/// The result of a check with an image among its samples.
fn verdict(bytes: Vec<u8>) -> String {
    let mut files = vec![("images/x.png", bytes), ("train.txt", b"images/x.png 0\n".to_vec())];
    files.extend(["gallery.txt", "query.txt"].map(|list| (list, Vec::new())));
    let tree = Memory::new("x", files);
    let dataset = ShiTuRec::find(&tree, Place::named("x"), Flavor::Paddlex3).ok().unwrap();
    match dataset.check(&mut |_, _| Ok(())) {
        // very small images are opened, but not drawn on
        Ok(Ok(_)) => "ok".into(),
        Ok(Err(exception)) if exception.message.starts_with("font size") => "ok".into(),
        Ok(Err(exception)) => exception.class.rsplit('.').next().unwrap().into(),
        Err(Stop::Raised(exception)) => exception.class.into(),
        Err(Stop::Error(error)) => error.kind().as_str().into(),
    }
}

#[test]
fn images_are_opened_or_refused_as_pillow_does() {
    let Some(folder) = shared("data/torture_images") else { return };
    let table = std::fs::read_to_string(folder.join("pillow_verdicts.tsv")).unwrap();
    let mut all = 0;
    let mut others: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let Ok(bytes) = std::fs::read(folder.join(columns[0])) else { continue };
        let theirs = columns[2].strip_prefix("ERR ").map_or("ok", |error| error.split(':').next().unwrap());
        let ours = verdict(bytes);
        all += 1;
        if ours != theirs {
            let (corpus, file) = columns[0].split_once('/').unwrap();
            others.entry((corpus.into(), theirs.into(), ours)).or_default().push(file.into());
        }
    }
    let different: usize = others.values().map(Vec::len).sum();
    let groups = others.iter().map(|(key, files)| format!("{} {key:?}: {}", files.len(), files.join(" ")));
    println!("{different} of {all} differ:\n{}", groups.collect::<Vec<_>>().join("\n"));
    assert!(all > 800);
    // Known differences: TGA and unusual BMPs, which only one of the two reads; PNG with missing pixels or wrong
    // checksums, which Pillow often accepts and this crate never; files that both refuse, at different steps.
    assert!(different <= 96, "{different} of {all} differ");
}
