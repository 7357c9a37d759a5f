//! Decoding of names that are not UTF-8, natively. Browsers use their TextDecoder instead.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use super::{DecodedNames, NameDecoder};
use crate::{Error, Result};

/// A decoder of names in the encoding with this label, such as `gbk`, `shift_jis`, `koi8-r` or `ibm866` (the labels of
/// the web). Without a label, the encoding is detected: UTF-8 where all names are valid, else the most likely one.
///
/// ```
/// use image_feature::file_tree::name_decoder;
///
/// let decode = name_decoder(Some("gbk"))?;
/// assert_eq!(decode(&[b"\xcd\xbc\xc6\xac.jpg"]).unwrap().names, ["图片.jpg"]);
/// assert!(name_decoder(Some("klingon")).is_err());
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an unknown label.
pub fn name_decoder(label: Option<&str>) -> Result<Box<NameDecoder>> {
    let known = match label {
        Some(label) => Some(Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(|| {
            Error::usage(format!(
                "no encoding `{label}`; there are gbk, big5, shift_jis, euc-kr, koi8-r, windows-1251, …"
            ))
        })?),
        None => None,
    };
    Ok(Box::new(move |names| {
        let encoding = known.unwrap_or_else(|| match names.iter().all(|name| std::str::from_utf8(name).is_ok()) {
            true => encoding_rs::UTF_8,
            false => detect(names),
        });
        let decoded = names
            .iter()
            .map(|name| Some(encoding.decode_without_bom_handling_and_without_replacement(name)?.into_owned()));
        Some(DecodedNames { encoding: encoding.name().into(), names: decoded.collect::<Option<_>>()? })
    }))
}

/// The most likely encoding of all these names together.
fn detect(names: &[&[u8]]) -> &'static Encoding {
    if is_short_chinese(names) && !has_other_old_encoding(&locale()) {
        return encoding_rs::GBK;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for name in names {
        // separated, so that the end of one name and the beginning of the next do not form a word
        detector.feed(name, false);
        detector.feed(b"\n", false);
    }
    detector.feed(b"", true);
    detector.guess(None, Utf8Detection::Deny)
}

/// Whether names are too short for detection, and all pairs of bytes are frequent characters of GBK.
fn is_short_chinese(names: &[&[u8]]) -> bool {
    const MOST: usize = 24;
    let mut length = 0;
    for name in names {
        let mut bytes = name.iter();
        while let Some(&first) = bytes.next() {
            if first.is_ascii() {
                continue;
            }
            length += 2;
            // the first level of GB 2312
            let is_frequent = (0xb0..=0xd7).contains(&first) && bytes.next().is_some_and(|second| *second > 0xa0);
            if !is_frequent || length > MOST {
                return false;
            }
        }
    }
    length > 0
}

/// The user's locale, such as `ja_JP.UTF-8`; empty where it is not set.
fn locale() -> String {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
    { set }.find(|locale| !locale.is_empty()).unwrap_or_default()
}

/// Whether the language of a locale had another encoding in which names look like Chinese in GBK.
fn has_other_old_encoding(locale: &str) -> bool {
    ["ja", "ko", "ru", "uk", "be", "bg", "el"].iter().any(|language| locale.starts_with(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_taken_for_chinese() {
        let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
        assert!(is_short_chinese(&[&gbk("绿"), &gbk("绿茶/1.jpg"), b"cup"]));
        for names in [&[&b"caf\xe9.jpg"[..]][..], &[b"\xd2\xe5\xf1\xf2"], &[b"cup"], &[b"\xb0"]] {
            assert!(!is_short_chinese(names), "{}", names[0].escape_ascii());
        }
        let long = gbk("红色的香蕉和绿色的苹果和黄色的梨");
        assert!(!is_short_chinese(&[&long]), "long enough for detection");
        assert!(has_other_old_encoding("ja_JP.UTF-8") && !has_other_old_encoding("en_US.UTF-8"));
        assert!(!has_other_old_encoding("zh_CN.UTF-8") && !has_other_old_encoding(""));
    }

    #[test]
    fn names_tell_their_encoding() {
        let cases: [(&str, &[&str]); 4] = [
            ("GBK", &["图片/苹果.jpg", "图片/红色的香蕉.jpg", "图片/训练集.txt"]),
            ("Shift_JIS", &["画像/りんご.jpg", "画像/バナナの写真.jpg", "画像/みかん.jpg"]),
            ("KOI8-U", &["картинки/яблоко.jpg", "картинки/красный банан.jpg", "картинки/список.txt"]),
            ("EUC-KR", &["사진/사과.jpg", "사진/바나나.jpg", "사진/오렌지.jpg"]),
        ];
        for (encoding, names) in cases {
            let bytes: Vec<Vec<u8>> = names
                .iter()
                .map(|name| Encoding::for_label(encoding.as_bytes()).unwrap().encode(name).0.into_owned())
                .collect();
            let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
            let decoded = name_decoder(None).unwrap()(&bytes).unwrap();
            assert_eq!(
                (decoded.encoding.as_str(), decoded.names),
                (encoding, names.iter().map(|name| name.to_string()).collect())
            );
        }
    }
}
