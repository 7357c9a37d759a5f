//! A small data set to learn from.

use std::path::Path;

use super::cases::image;

#[allow(dead_code)] // without the feature `train`
pub const CLASSES: u8 = 4;

/// A data set of four classes of four images.
pub fn shop(folder: &Path) {
    std::fs::create_dir_all(folder.join("images")).unwrap();
    let mut rows = String::new();
    for (class, k) in (0..CLASSES).flat_map(|class| (0..4).map(move |k| (class, k))) {
        let name = format!("images/{class}_{k}.png");
        std::fs::write(folder.join(&name), image(class, k)).unwrap();
        rows += &format!("{name} {class}\n");
    }
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        std::fs::write(folder.join(list), &rows).unwrap();
    }
}
