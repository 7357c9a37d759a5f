//! Python's text functions: lines, whitespace, integers, `repr`, and their exceptions.

use std::fmt::Write;

use super::Exception;

/// The result of `readlines` for a text file: lines with their line ends, where `\r\n` and `\r` become `\n`.
pub fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split_inclusive('\n').map(Into::into).collect()
}

/// The text that `open(path, encoding="utf-8")` reads, or its exception. Python reads pieces of 8 KiB, and positions in
/// errors count from the beginning of a piece. A character that is cut there moves to the next piece.
pub fn utf8(bytes: &[u8]) -> Result<&str, Exception> {
    const PIECE: usize = 8192;
    let mut start = 0;
    for piece in 1..=bytes.len().div_ceil(PIECE) {
        let end = (piece * PIECE).min(bytes.len());
        let Err(error) = std::str::from_utf8(&bytes[start..end]) else {
            start = end;
            continue;
        };
        let at = error.valid_up_to();
        if let Some(length) = error.error_len() {
            let is_lead = matches!(bytes[start + at], 0xc2..=0xf4);
            let reason = if is_lead { "invalid continuation byte" } else { "invalid start byte" };
            return Err(undecodable(&bytes[start..], at, length, reason));
        }
        start += at;
    }
    if start < bytes.len() {
        return Err(undecodable(&bytes[start..], 0, bytes.len() - start, "unexpected end of data"));
    }
    std::str::from_utf8(bytes).map_err(|_| undecodable(bytes, 0, 1, "invalid start byte"))
}

fn undecodable(bytes: &[u8], at: usize, length: usize, reason: &str) -> Exception {
    let what = match length {
        1 => format!("byte 0x{:02x} in position {at}", bytes[at]),
        _ => format!("bytes in position {at}-{}", at + length - 1),
    };
    Exception::new("UnicodeDecodeError", format!("'utf-8' codec can't decode {what}: {reason}"))
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.isspace()` of one character.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// `int(text)` in a normal form: an optional minus and the digits, without leading zeros.
pub fn int(text: &str) -> Result<String, Exception> {
    let wrong = || {
        let repr: String = string_repr(text).chars().take(200).collect();
        Exception::new("ValueError", format!("invalid literal for int() with base 10: {repr}"))
    };
    let trimmed = if text.is_ascii() {
        text.trim_matches(|c| matches!(c, '\t'..='\r' | ' ')) // the separators \x1c to \x1f only count in other text
    } else {
        strip(text)
    };
    let (minus, digits) = match trimmed.strip_prefix(['-', '+']) {
        Some(digits) => (trimmed.starts_with('-'), digits),
        None => (false, trimmed),
    };
    let mut number = String::with_capacity(digits.len());
    let mut after_digit = false;
    for c in digits.chars() {
        match digit(c) {
            Some(value) => number.push(value),
            None if c == '_' && after_digit => {}
            None => return Err(wrong()),
        }
        after_digit = c != '_';
    }
    if !after_digit {
        return Err(wrong());
    }
    if number.len() > 4300 {
        let message = format!(
            "Exceeds the limit (4300 digits) for integer string conversion: value has {} digits; use \
             sys.set_int_max_str_digits() to increase the limit",
            number.len()
        );
        return Err(Exception::new("ValueError", message));
    }
    let number = number.trim_start_matches('0');
    Ok(match (minus, number) {
        (_, "") => "0".into(),
        (true, number) => format!("-{number}"),
        (false, number) => number.into(),
    })
}

/// The ASCII digit for a decimal digit of any script.
fn digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let last = ZEROS.partition_point(|&zero| zero <= c as u32).checked_sub(1)?;
    char::from_digit(c as u32 - ZEROS[last], 10)
}

/// The digit zero of each script beyond ASCII; its other digits follow. From Python's `unicodedata`.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// `repr` of a float.
pub fn float_repr(value: f64) -> String {
    let text = format!("{value:?}"); // Rust has the same digits, and the same bounds for the scientific form
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
    }
}

/// `repr(text)` of a Python string, with quotes.
///
/// ```
/// assert_eq!(image_feature::dataset::compat::string_repr("it's\n"), r#""it's\n""#);
/// ```
pub fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    for c in text.chars() {
        match c {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            c if c == quote => {
                repr.push('\\');
                repr.push(c);
            }
            c if is_printable(c) => repr.push(c),
            c => {
                let code = c as u32;
                let written = match code {
                    0..=0xff => write!(repr, "\\x{code:02x}"),
                    0x100..=0xffff => write!(repr, "\\u{code:04x}"),
                    _ => write!(repr, "\\U{code:08x}"),
                };
                written.expect("writing to a String does not fail");
            }
        }
    }
    repr.push(quote);
    repr
}

/// `str.isprintable`: neither a control, format, surrogate, private-use or unassigned character nor a separator
/// other than the space.
fn is_printable(c: char) -> bool {
    // std has the same table for `Debug`. It also escapes a combining mark at the beginning, so a letter comes first.
    let mut utf8 = [0; 5];
    utf8[0] = b'a';
    let length = 1 + c.encode_utf8(&mut utf8[1..]).len();
    let text = std::str::from_utf8(&utf8[..length]).expect("a letter and a character");
    matches!(c, '\'' | '"' | '\\') || text.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: std::fmt::Debug>(result: Result<T, Exception>) -> String {
        result.unwrap_err().message
    }

    #[test]
    fn lines_end_as_python_reads_them() {
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a\n", "b\n", "c\n", "\n", "d"]);
        assert_eq!(lines("a\u{2028}b\x0bc\n"), ["a\u{2028}b\x0bc\n"]);
        assert!(lines("").is_empty());
    }

    /// Expected values are CPython's.
    #[test]
    fn integers() {
        let equal = [
            ("1", "1"),
            ("01", "1"),
            ("+1", "1"),
            ("-1", "-1"),
            ("-0", "0"),
            ("1_000", "1000"),
            (" 7\t", "7"),
            ("\u{3000}７\u{a0}", "7"),
            ("٣", "3"),
            ("𝟎𝟕", "7"),
            ("é", ""),
        ];
        for (text, expected) in equal {
            assert_eq!(int(text).ok().unwrap_or_default(), expected, "{text:?}");
        }
        for text in ["", "-", "_1", "1_", "1__0", "- 1", "1.0", "0x1", "²", "1 2", "\x1c1"] {
            assert!(error(int(text)).starts_with("invalid literal for int() with base 10: "), "{text:?}");
        }
        assert_eq!(error(int("cat")), "invalid literal for int() with base 10: 'cat'");
        assert_eq!(error(int(&"x".repeat(300))).chars().count(), 240);
        assert!(int(&"9".repeat(4300)).is_ok());
        assert!(error(int(&"9".repeat(4301))).starts_with("Exceeds the limit (4300 digits)"));
    }

    /// Expected messages are those of CPython's `open(…, encoding="utf-8").readlines()`.
    #[test]
    fn bytes_that_are_no_utf8() {
        let text = |bytes: &[u8]| error(utf8(bytes)).replace("'utf-8' codec can't decode ", "");
        assert_eq!(text(b"abc \xff"), "byte 0xff in position 4: invalid start byte");
        assert_eq!(text(b"\xe5\x9b x"), "bytes in position 0-1: invalid continuation byte");
        assert_eq!(text(b"\xb4\xf3"), "byte 0xb4 in position 0: invalid start byte");
        assert_eq!(text(b"\xc4 x"), "byte 0xc4 in position 0: invalid continuation byte");
        assert_eq!(text(b"ab\xe5\x9b"), "bytes in position 0-1: unexpected end of data");
        let mut long = vec![b'a'; 8200];
        long.push(0xff);
        assert_eq!(text(&long), "byte 0xff in position 8: invalid start byte");
        let mut cut = vec![b'a'; 8191];
        cut.extend(b"\xe5\x9b\x9bb\xff");
        assert_eq!(text(&cut), "byte 0xff in position 4: invalid start byte");
    }

    #[test]
    fn floats() {
        let cases = [(70.0, "70.0"), (33.4, "33.4"), (1e16, "1e+16"), (1e-5, "1e-05"), (0.0001, "0.0001")];
        for (value, repr) in cases {
            assert_eq!(float_repr(value), repr);
        }
    }
}
