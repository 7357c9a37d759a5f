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
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for name in names {
        // separated, so that the end of one name and the beginning of the next do not form a word
        detector.feed(name, false);
        detector.feed(b"\n", false);
    }
    detector.feed(b"", true);
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

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
