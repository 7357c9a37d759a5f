//! Names of files as text. On Unix a name is bytes, in any encoding.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path};

use crate::file_tree::archive::{escaped, name_decoder};

/// The text of a path.
pub struct Text {
    /// The parts, with `/` between them.
    pub text: String,
    /// Whether the text is not the path itself.
    pub is_odd: bool,
    /// Whether the last part is not UTF-8.
    pub is_name_guessed: bool,
}

/// The texts of these paths, which are relative. Different paths have different texts.
///
/// The encoding is detected over all names that are not UTF-8. Where it is one of East Asia, short names that are UTF-8
/// by accident are read in it, too.
pub fn texts<'p>(paths: impl Iterator<Item = &'p Path> + Clone) -> Vec<Text> {
    let odd = Odd::of(paths.clone().flat_map(Path::components).map(bytes));
    let text = |path: &Path| {
        let mut parts = Vec::new();
        let (mut is_odd, mut is_name_guessed) = (false, false);
        for part in path.components() {
            let text = odd.texts.get(bytes(part));
            is_name_guessed = text.is_some();
            is_odd |= is_name_guessed;
            parts.push(text.cloned().unwrap_or_else(|| part.as_os_str().to_string_lossy().into_owned()));
        }
        Text { text: parts.join("/"), is_odd, is_name_guessed }
    };
    paths.map(text).collect()
}

/// A path as text for messages and results: names that are not UTF-8 as they probably read.
///
/// ```
/// assert_eq!(image_feature::file_tree::path_text("tea/1.jpg".as_ref()), "tea/1.jpg");
/// ```
pub fn path_text(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.into();
    }
    let start = if path.is_absolute() { "/" } else { "" };
    let parts = path.components().filter(|part| !matches!(part, Component::RootDir));
    let relative: std::path::PathBuf = parts.collect();
    let text = texts(std::iter::once(relative.as_path())).remove(0).text;
    if cfg!(unix) { format!("{start}{text}") } else { path.to_string_lossy().into_owned() }
}

fn bytes<'p>(part: Component<'p>) -> &'p [u8] {
    part.as_os_str().as_encoded_bytes()
}

/// Names that are read in another encoding than UTF-8.
struct Odd<'p> {
    texts: HashMap<&'p [u8], String>,
}

impl<'p> Odd<'p> {
    fn of(names: impl Iterator<Item = &'p [u8]>) -> Self {
        let (mut others, mut doubtful, mut sure) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
        // a name with `%` may be what a name in another encoding becomes
        for name in names.filter(|name| !name.is_ascii() || name.contains(&b'%')) {
            match std::str::from_utf8(name) {
                Err(_) => _ = others.insert(name),
                Ok(text) if !text.is_ascii() && text.chars().all(|c| c.len_utf8() <= 2) => _ = doubtful.insert(name),
                Ok(text) => _ = sure.insert(text),
            }
        }
        let mut texts = HashMap::new();
        if others.is_empty() {
            return Odd { texts };
        }
        let (read, doubtful_read) = decoded(&others, &doubtful);
        if !doubtful_read {
            sure.extend(doubtful.iter().filter_map(|name| std::str::from_utf8(name).ok()));
        }
        let mut taken: HashSet<String> = sure.into_iter().map(String::from).collect();
        for (name, text) in read {
            let escaped = escaped(name);
            let numbered = (2..).map(|number| format!("{escaped}~{number}"));
            let mut names = text.into_iter().chain([escaped.clone()]).chain(numbered);
            let free = names.find(|text| taken.insert(text.clone())).unwrap_or(escaped);
            if free.as_bytes() != name {
                texts.insert(name, free);
            }
        }
        Odd { texts }
    }
}

type Read<'p> = Vec<(&'p [u8], Option<String>)>;

/// What the names mean that are not UTF-8, and whether the doubtful ones are read in their encoding, too.
fn decoded<'p>(others: &BTreeSet<&'p [u8]>, doubtful: &BTreeSet<&'p [u8]>) -> (Read<'p>, bool) {
    // elsewhere than on Unix, bytes are of the system's own making
    let decode = if cfg!(unix) { name_decoder(None).ok() } else { None };
    let all: Vec<&[u8]> = others.iter().chain(doubtful).copied().collect();
    let others: Vec<&[u8]> = others.iter().copied().collect();
    let read =
        |names: &[&'p [u8]]| decode.as_ref().and_then(|decode| decode(names)).map(|read| (read.encoding, read.names));
    if !doubtful.is_empty()
        && let Some((encoding, texts)) = read(&all)
        && ["GBK", "gb18030", "Big5", "Shift_JIS", "EUC-JP", "EUC-KR"].contains(&encoding.as_str())
    {
        return (all.into_iter().zip(texts.into_iter().map(Some)).collect(), true);
    }
    let texts = match read(&others) {
        Some((_, texts)) => texts.into_iter().map(Some).collect(),
        None => vec![None; others.len()],
    };
    (others.into_iter().zip(texts).collect(), false)
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn of(names: &[&[u8]]) -> Vec<String> {
        let names: Vec<&Path> = names.iter().map(|name| Path::new(OsStr::from_bytes(name))).collect();
        texts(names.into_iter()).into_iter().map(|text| text.text).collect()
    }

    #[test]
    fn different_names_stay_different() {
        // the same text in two encodings, and a name that no encoding fits
        let names = of(&[b"caf\xe9.jpg", "café.jpg".as_bytes(), b"caf%E9.jpg"]);
        assert_eq!(names, ["caf%E9.jpg~2", "café.jpg", "caf%E9.jpg"].map(String::from));
        let names = of(&[b"\xff\xfe.jpg", b"\xff\xfd.jpg"]);
        assert!(names[0] != names[1], "{names:?}");
    }

    #[test]
    fn text_stays_text() {
        let names = ["a/b.jpg", "é/ü.jpg", "图片/1.jpg"];
        assert_eq!(of(&names.map(str::as_bytes)), names);
        assert_eq!(path_text(Path::new("/a/./b")), "/a/./b");
        assert_eq!(path_text(Path::new(OsStr::from_bytes(b"/a/caf\xe9 au lait"))), "/a/café au lait");
    }

    #[test]
    fn a_name_that_is_utf8_by_accident_is_read_with_the_others() {
        let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
        let short = gbk("模");
        assert!(std::str::from_utf8(&short).is_ok());
        let names = of(&[&short, &gbk("绿茶的图片"), &gbk("红色的香蕉"), "白茶".as_bytes()]);
        assert_eq!(names, ["模", "绿茶的图片", "红色的香蕉", "白茶"]);
    }
}
