//! Files and folders that programs keep beside photos, and that nobody means.

/// Names that programs give to their own files and folders, in lower case. Names that begin with a dot are known anyway.
const NAMES: [&str; 14] = [
    // macOS
    "__macosx",
    "icon\r",
    // Windows
    "$recycle.bin",
    "recycler",
    "system volume information",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    // storage in the network: Synology, QNAP
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recycle",
    "@recently-snapshot",
    // Linux
    "lost+found",
];

/// Whether a path is one that nobody means when they name the folder it is in: a part of it begins with a dot (`.git`,
/// `.ipynb_checkpoints`, `.thumbnails`, `._a.jpg`), or is a folder or file of the system (`__MACOSX`, `@eaDir`,
/// `$RECYCLE.BIN`, `Thumbs.db`). All commands pass over such files when they search a folder or an archive.
///
/// ```
/// use image_feature::file_tree::is_hidden;
///
/// assert!(is_hidden("tea/.ipynb_checkpoints/1-checkpoint.jpg") && is_hidden("__MACOSX/tea/1.jpg"));
/// assert!(!is_hidden("tea/1.jpg") && !is_hidden("./tea/../1.jpg"));
/// ```
pub fn is_hidden(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| {
        (part.starts_with('.') && !matches!(part, "." | ".."))
            || NAMES.iter().any(|name| part.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_has_the_same_names() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/www/image-feature/hidden-files.js");
        let Ok(text) = std::fs::read_to_string(file) else { return };
        let list = text.split_once("new Set([").and_then(|(_, rest)| rest.split_once("])")).unwrap().0;
        let listed: Vec<String> = list.split('"').skip(1).step_by(2).map(|name| name.replace("\\r", "\r")).collect();
        assert_eq!(listed, NAMES);
    }

    #[test]
    fn what_nobody_means_is_hidden() {
        let hidden = [
            ".DS_Store",
            "a/._b.jpg",
            ".git/x.png",
            ".Trash-1000/a.jpg",
            ".thumbnails/a.png",
            "a/@eaDir/b.jpg",
            "#recycle/a.jpg",
            "$RECYCLE.BIN/a.jpg",
            "System Volume Information/a",
            "a/Thumbs.db",
            "a\\.x\\b.png",
        ];
        for path in hidden {
            assert!(is_hidden(path), "{path}");
        }
        for path in ["a.jpg", "a/b.c/d.jpg", "a/b..jpg", "#1.jpg", "@home/a.jpg", "trash/a.jpg", "", "…/a.jpg"] {
            assert!(!is_hidden(path), "{path}");
        }
    }
}
