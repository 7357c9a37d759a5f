//! Text in the encodings in which people save lists and tables: UTF-8 and UTF-16, with and without a byte order mark,
//! and the old encodings of their languages.

use std::borrow::Cow;

use crate::file_tree::NameDecoder;
use crate::{Error, Result};

/// A text, and the encoding that it was in. See [`decode_text`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodedText {
    /// The text, without a byte order mark.
    pub text: String,
    /// The usual name of the encoding, such as `UTF-16LE` or `GBK`; `None` for UTF-8.
    pub encoding: Option<String>,
}

/// Decodes the text of a list or table. UTF-16 is recognised with and without a byte order mark. Lines that are not UTF-8
/// are decoded by `old`.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with the line, for bytes that are in no known encoding.
///
/// ```
/// use image_feature::dataset::{OldEncoding, decode_text};
///
/// let wide: Vec<u8> = "\u{feff}茶.jpg 0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
/// let decoded = decode_text(&wide, OldEncoding::default())?;
/// assert_eq!((decoded.text.as_str(), decoded.encoding.as_deref()), ("茶.jpg 0\n", Some("UTF-16LE")));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn decode_text(bytes: &[u8], old: OldEncoding<'_>) -> Result<DecodedText> {
    let unwrapped = Unwrapped::of(bytes);
    let lines: Vec<&[u8]> = unwrapped.bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let mut decoded = decode_lines(&lines, old);
    let mut text = String::with_capacity(unwrapped.bytes.len());
    for (index, line) in lines.iter().enumerate() {
        match decoded.take(index) {
            Some(line) => text.push_str(&line),
            None => text.push_str(std::str::from_utf8(line).map_err(|_| {
                let number = index + 1;
                Error::unsupported(format!("line {number}: in no encoding that is known: save it as UTF-8"))
            })?),
        }
    }
    Ok(DecodedText { text, encoding: unwrapped.wide.map(str::to_string).or(decoded.encoding) })
}

/// What is known about lines that are neither UTF-8 nor UTF-16.
#[derive(Clone, Copy, Default)]
pub struct OldEncoding<'a> {
    /// Decodes them. Without it, natively, the likeliest encoding is taken, and in a browser none.
    pub decode: Option<&'a NameDecoder>,
    /// Whether a line makes sense, because the file that it names exists: of the likely encodings the one is taken in
    /// which most lines do.
    pub makes_sense: Option<&'a dyn Fn(&str) -> bool>,
}

/// The bytes of a text without its byte order mark. UTF-16 becomes UTF-8; a half character of it becomes bytes that are
/// not UTF-8, so that nothing is lost.
pub(super) struct Unwrapped<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Whether there was the byte order mark of UTF-8.
    pub has_mark: bool,
    /// `UTF-16LE` or `UTF-16BE`.
    pub wide: Option<&'static str>,
}

impl<'a> Unwrapped<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
            return Unwrapped { bytes: rest.into(), has_mark: true, wide: None };
        }
        let (rest, big) = match (bytes.strip_prefix(b"\xff\xfe"), bytes.strip_prefix(b"\xfe\xff")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => match unmarked_utf16(bytes) {
                Some(big) => (bytes, big),
                None => return Unwrapped { bytes: bytes.into(), has_mark: false, wide: None },
            },
        };
        let wide = Some(if big { "UTF-16BE" } else { "UTF-16LE" });
        Unwrapped { bytes: from_utf16(rest, big).into(), has_mark: false, wide }
    }
}

/// Whether a text without a mark is UTF-16, with its higher bytes first: each row of a list has ASCII characters, of
/// which every other byte is zero, and no other encoding has zeros.
fn unmarked_utf16(bytes: &[u8]) -> Option<bool> {
    const LOOKED_AT: usize = 1 << 12;
    let pairs = bytes[..bytes.len().min(LOOKED_AT)].as_chunks::<2>().0;
    let is_ascii = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let little = pairs.iter().filter(|[low, high]| *high == 0 && is_ascii(*low)).count();
    let big = pairs.iter().filter(|[high, low]| *high == 0 && is_ascii(*low)).count();
    let enough = pairs.len().div_ceil(8).max(1);
    (little.max(big) >= enough).then_some(big > little)
}

fn from_utf16(bytes: &[u8], big: bool) -> Vec<u8> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
    let mut text = Vec::with_capacity(bytes.len());
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(character) => text.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let unit = half.unpaired_surrogate();
                text.extend([0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
            }
        }
    }
    text.extend(rest);
    text
}

/// The lines of a text that are not UTF-8, decoded.
#[derive(Default)]
pub(super) struct DecodedLines {
    /// The lines' numbers from 0, in ascending order.
    places: Vec<usize>,
    texts: Vec<Option<String>>,
    /// The encoding of them.
    pub encoding: Option<String>,
}

impl DecodedLines {
    /// The text of a line; `None` where the line is taken as UTF-8, or is in no known encoding.
    pub fn take(&mut self, line: usize) -> Option<String> {
        self.places.binary_search(&line).ok().and_then(|place| self.texts[place].take())
    }
}

/// Decodes the lines that are not UTF-8. Some text in an old encoding is valid UTF-8 by accident: where most lines
/// beyond ASCII are not UTF-8, all of them are decoded, where that is possible.
pub(super) fn decode_lines(lines: &[&[u8]], old: OldEncoding<'_>) -> DecodedLines {
    let others: Vec<usize> = (0..lines.len()).filter(|&at| !lines[at].is_ascii()).collect();
    let wrong: Vec<usize> = others.iter().copied().filter(|&at| std::str::from_utf8(lines[at]).is_err()).collect();
    if wrong.is_empty() {
        return DecodedLines::default();
    }
    let try_on = |places: &[usize]| {
        let lines: Vec<&[u8]> = places.iter().map(|&at| lines[at]).collect();
        let (texts, encoding) = match old.decode {
            Some(decode) => {
                let decoded = decode(&lines).filter(|decoded| decoded.names.len() == lines.len())?;
                (decoded.names.into_iter().map(Some).collect(), decoded.encoding)
            }
            None => guessed(&lines, old.makes_sense)?,
        };
        Some(DecodedLines { places: places.into(), texts, encoding: Some(encoding) })
    };
    let is_all = |decoded: &DecodedLines| decoded.texts.iter().all(Option::is_some);
    let all = if 2 * wrong.len() > others.len() { try_on(&others).filter(is_all) } else { None };
    all.or_else(|| try_on(&wrong)).unwrap_or_else(|| one_by_one(&wrong, &try_on))
}

/// Decodes lines that have no encoding in common, each by itself.
fn one_by_one(places: &[usize], try_on: &dyn Fn(&[usize]) -> Option<DecodedLines>) -> DecodedLines {
    let mut all = DecodedLines::default();
    for &place in places {
        if let Some(one) = try_on(&[place]) {
            all.places.push(place);
            all.texts.extend(one.texts);
            all.encoding = all.encoding.or(one.encoding);
        }
    }
    all
}

/// The texts of the lines that are valid in the likeliest encoding, and its name.
#[cfg(not(target_arch = "wasm32"))]
fn guessed(lines: &[&[u8]], makes_sense: Option<&dyn Fn(&str) -> bool>) -> Option<(Vec<Option<String>>, String)> {
    use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
    /// The most lines that are looked up to compare encodings.
    const LOOKED_UP: usize = 64;

    let decoded = |encoding: &'static Encoding, line: &[u8]| {
        encoding.decode_without_bom_handling_and_without_replacement(line).map(std::borrow::Cow::into_owned)
    };
    let guess = guess(lines);
    let others = [GBK, SHIFT_JIS, BIG5, EUC_KR, WINDOWS_1252, WINDOWS_1251];
    let sense = |&encoding: &&'static Encoding| {
        let first = lines.iter().take(LOOKED_UP).filter_map(|line| decoded(encoding, line));
        makes_sense.map_or(0, |makes_sense| first.filter(|line| makes_sense(line)).count())
    };
    // of equals the guess, which is the last here
    let encoding = others.into_iter().chain([guess]).max_by_key(sense)?;
    Some((lines.iter().map(|line| decoded(encoding, line)).collect(), encoding.name().into()))
}

/// The likeliest encoding of lines. Rows are short, and GBK is then often taken for the EUC-JP of old Unix computers, or
/// for an encoding with one byte a character: most lists of this format are Chinese.
#[cfg(not(target_arch = "wasm32"))]
fn guess(lines: &[&[u8]]) -> &'static encoding_rs::Encoding {
    use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
    /// The fewest bytes beyond ASCII that tell an encoding.
    const ENOUGH: usize = 16;

    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for line in lines {
        detector.feed(line, false);
        detector.feed(b"\n", false);
    }
    detector.feed(b"", true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let is_short =
        lines.iter().flat_map(|line| line.iter()).filter(|byte| !byte.is_ascii()).take(ENOUGH).count() < ENOUGH;
    match guess {
        encoding if encoding == encoding_rs::EUC_JP => encoding_rs::GBK,
        encoding if is_short && encoding.is_single_byte() => detector.guess(Some(b"cn"), Utf8Detection::Deny),
        encoding => encoding,
    }
}

/// A browser's decoders are not known here.
#[cfg(target_arch = "wasm32")]
fn guessed(_: &[&[u8]], _: Option<&dyn Fn(&str) -> bool>) -> Option<(Vec<Option<String>>, String)> {
    None
}

// in browsers the page decodes old encodings
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, Option<String>) {
        let DecodedText { text, encoding } = decode_text(bytes, OldEncoding::default()).unwrap();
        (text, encoding)
    }

    #[test]
    fn lists_are_read_in_the_encodings_in_which_they_are_saved() {
        let text = "images/绿茶/1.jpg 0\r\nimages/红茶/2.jpg 1\r\nimages/普洱茶/3.jpg 2\r\n";
        let wide = |mark: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            format!("{mark}{text}").encode_utf16().flat_map(order).collect()
        };
        let old = |label: &str, text: &str| {
            encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned()
        };
        let cases = [
            (text.as_bytes().to_vec(), None),
            (format!("\u{feff}{text}").into_bytes(), None),
            (wide("\u{feff}", u16::to_le_bytes), Some("UTF-16LE")),
            (wide("\u{feff}", u16::to_be_bytes), Some("UTF-16BE")),
            (wide("", u16::to_le_bytes), Some("UTF-16LE")),
            (wide("", u16::to_be_bytes), Some("UTF-16BE")),
            (old("gbk", text), Some("GBK")),
        ];
        for (bytes, encoding) in cases {
            assert_eq!(read(&bytes), (text.to_string(), encoding.map(str::to_string)));
        }
        let tea = "a.ppm 绿茶\n";
        assert_eq!(read(&old("gbk", tea)), (tea.into(), Some("GBK".into())), "one short row");
        let cats = "фото/кошка/один.jpg 0\nфото/собака/два.jpg 1\nфото/красный банан.jpg 2\n";
        assert_eq!(read(&old("windows-1251", cats)), (cats.into(), Some("windows-1251".into())));
        let fruit = "画像/りんご.jpg 0\n画像/バナナの写真.jpg 1\n";
        assert_eq!(read(&old("shift_jis", fruit)), (fruit.into(), Some("Shift_JIS".into())));
        assert_eq!(read(b""), (String::new(), None));
    }

    #[test]
    fn files_that_exist_tell_the_encoding() {
        let cases = [
            ("gbk", "é¢.jpg"),
            ("big5", "茶/綠.jpg"),
            ("shift_jis", "茶.jpg"),
            ("euc-kr", "차.jpg"),
            ("gbk", "茶.jpg"),
        ];
        for (label, path) in cases {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, is_lossy) = encoding.encode(path);
            if is_lossy {
                continue;
            }
            let makes_sense = |line: &str| line.starts_with(path);
            let old = OldEncoding { makes_sense: Some(&makes_sense), decode: None };
            let list = [&bytes[..], b" 0\n"].concat();
            let decoded = decode_text(&list, old).unwrap();
            assert_eq!((decoded.text, decoded.encoding.as_deref()), (format!("{path} 0\n"), Some(encoding.name())));
        }
        // a row that is cut does not change the encoding of the others
        let rows = [&b"\xc2\xcc\xb2\xe8.jpg 0\n"[..]; 9].concat();
        let makes_sense = |line: &str| line.starts_with("绿茶.jpg");
        let list = [&rows[..], b"\xc2\xcc\xb2"].concat();
        let unwrapped: Vec<&[u8]> = list.split_inclusive(|&byte| byte == b'\n').collect();
        let mut decoded = decode_lines(&unwrapped, OldEncoding { makes_sense: Some(&makes_sense), decode: None });
        assert_eq!((decoded.take(8).as_deref(), decoded.take(9)), (Some("绿茶.jpg 0\n"), None));
    }

    #[test]
    fn a_mixture_is_read_line_by_line() {
        let gbk = encoding_rs::GBK.encode("图片/红茶.jpg 0\n图片/绿茶的照片.jpg 0\n").0;
        let bytes = [&gbk[..], "图片/普洱.jpg 1\n图片/乌龙.jpg 1\n图片/龙井.jpg 1\n".as_bytes()].concat();
        let text = "图片/红茶.jpg 0\n图片/绿茶的照片.jpg 0\n图片/普洱.jpg 1\n图片/乌龙.jpg 1\n图片/龙井.jpg 1\n";
        assert_eq!(read(&bytes).0, text);
    }

    #[test]
    fn half_a_character_is_kept_and_told() {
        let units = [0x61u16, 0xd800, 0x20, 0x30, 0x0a].map(u16::to_le_bytes);
        let bytes = [b"\xff\xfe", units.as_flattened()].concat();
        assert_eq!(&*Unwrapped::of(&bytes).bytes, b"a\xed\xa0\x80 0\n");
        let none = |_: &[&[u8]]| None;
        let old = OldEncoding { decode: Some(&none), ..OldEncoding::default() };
        let error = decode_text(&bytes, old).unwrap_err().to_string();
        assert!(error.starts_with("line 1: in no encoding"), "{error}");
        assert_eq!(Unwrapped::of(b"\xff\xfea").bytes.last(), Some(&b'a'), "a byte is left over");
    }
}
