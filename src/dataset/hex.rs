//! Bytes as hexadecimal text, for JSON: numbers of 64 bits and more lose digits in JavaScript.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

pub(super) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)] as char).collect()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    decode(&text).ok_or_else(|| D::Error::custom("not as many hexadecimal digits as there should be"))
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        assert_eq!(encode(&[0, 0xa5, 0xff]), "00a5ff");
        assert_eq!(decode(&encode(&[1, 2, 250])), Some([1, 2, 250]));
        assert_eq!(decode::<2>("00f"), None);
        assert_eq!(decode::<1>("0g"), None);
    }
}
