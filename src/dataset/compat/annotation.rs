//! Annotations of LabelMe, read with the results and errors of Python's `json`.

use std::collections::HashMap;

use super::{Exception, python};

/// The deepest nesting of JSON. Python has such a limit, too.
const MOST_DEPTH: usize = 500;

/// The parts of an annotation that are used.
#[derive(Debug)]
pub(super) struct Annotation {
    /// `data["imagePath"]`.
    pub image_path: String,
    flags: Option<Value>,
}

/// A value of JSON, as far as it is used.
#[derive(Debug)]
enum Value {
    Null,
    Bool(bool),
    /// Whether it is not zero.
    Int(bool),
    Float(bool),
    String(String),
    /// Whether it is not empty.
    List(bool),
    Dict(Vec<(String, Value)>),
}

impl Value {
    /// `bool(value)`.
    fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(truth) | Value::Int(truth) | Value::Float(truth) | Value::List(truth) => *truth,
            Value::String(text) => !text.is_empty(),
            Value::Dict(items) => !items.is_empty(),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "str",
            Value::List(_) => "list",
            Value::Dict(_) => "dict",
        }
    }
}

impl Annotation {
    /// `json.load` of a text file, and its `imagePath`.
    pub fn read(text: &str) -> Result<Self, Exception> {
        let mut items = match parse(&python::lines(text).concat())? {
            Value::Dict(items) => items,
            Value::List(_) => {
                return Err(Exception::new("TypeError", "list indices must be integers or slices, not str"));
            }
            Value::String(_) => return Err(Exception::new("TypeError", "string indices must be integers, not 'str'")),
            other => {
                let message = format!("'{}' object is not subscriptable", other.type_name());
                return Err(Exception::new("TypeError", message));
            }
        };
        let mut take = |name: &str| {
            let index = items.iter().rposition(|(key, _)| key == name)?;
            Some(items.remove(index).1)
        };
        match take("imagePath") {
            None => Err(Exception::new("KeyError", "'imagePath'")),
            Some(Value::String(image_path)) => Ok(Annotation { image_path, flags: take("flags") }),
            Some(other) => Err(no_attribute(&other, "strip")),
        }
    }

    /// The names of the flags that are set, in the file's order.
    pub fn flags(&self) -> Result<Vec<String>, Exception> {
        let items = match &self.flags {
            None => return Err(Exception::new("KeyError", "'flags'")),
            Some(Value::Dict(items)) => items,
            Some(other) => return Err(no_attribute(other, "items")),
        };
        // as in a Python dict: a repeated key keeps its first position and gets the last value
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut flags: Vec<(&str, bool)> = Vec::new();
        for (name, value) in items {
            let place = *places.entry(name).or_insert(flags.len());
            if place == flags.len() {
                flags.push((name, false));
            }
            flags[place].1 = value.is_true();
        }
        Ok(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_string()).collect())
    }
}

fn no_attribute(value: &Value, name: &str) -> Exception {
    Exception::new("AttributeError", format!("'{}' object has no attribute '{name}'", value.type_name()))
}

/// `json.loads`.
fn parse(text: &str) -> Result<Value, Exception> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        return Err(reader.error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.error("Extra data", reader.at));
    }
    Ok(value)
}

/// CPython's `_json` scanner.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// `json.JSONDecodeError`, with positions in characters.
    fn error(&self, what: &str, at: usize) -> Exception {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let position = before.chars().count();
        let message = format!("{what}: line {line} column {column} (char {position})");
        Exception::new("json.decoder.JSONDecodeError", message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Exception> {
        let word = |reader: &mut Self, word: &str, value: Value| {
            reader.text[reader.at..].starts_with(word).then(|| {
                reader.at += word.len();
                value
            })
        };
        let found = match self.peek() {
            Some(b'"') => return self.string().map(Value::String),
            Some(open @ (b'{' | b'[')) => {
                if depth == MOST_DEPTH {
                    let message = "maximum recursion depth exceeded while decoding a JSON array from a unicode string";
                    return Err(Exception::new("RecursionError", message));
                }
                self.at += 1;
                return if open == b'{' { self.dict(depth) } else { self.list(depth) };
            }
            Some(b'n') => word(self, "null", Value::Null),
            Some(b't') => word(self, "true", Value::Bool(true)),
            Some(b'f') => word(self, "false", Value::Bool(false)),
            Some(b'N') => word(self, "NaN", Value::Float(true)),
            Some(b'I') => word(self, "Infinity", Value::Float(true)),
            Some(b'-') => word(self, "-Infinity", Value::Float(true)).or_else(|| self.number()),
            Some(b'0'..=b'9') => self.number(),
            _ => None,
        };
        found.ok_or_else(|| self.error("Expecting value", self.at))
    }

    /// The longest number that begins here.
    fn number(&mut self) -> Option<Value> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let start = self.at;
        let first = start + usize::from(bytes[start] == b'-');
        let mut end = match bytes.get(first)? {
            b'0' => first + 1,
            b'1'..=b'9' => digits(first),
            _ => return None,
        };
        let whole = end;
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let power = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if power <= bytes.len() && digits(power) > power {
                end = digits(power);
            }
        }
        self.at = end;
        let is_not_zero = self.text[start..end].parse::<f64>().is_ok_and(|number| number != 0.0);
        Some(if end == whole { Value::Int(is_not_zero) } else { Value::Float(is_not_zero) })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Exception> {
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(false));
        }
        loop {
            self.value(depth + 1)?;
            if self.ends_with(b']')? {
                return Ok(Value::List(true));
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, Exception> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Dict(items));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("Expecting property name enclosed in double quotes", self.at));
            }
            let name = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("Expecting ':' delimiter", self.at));
            }
            self.at += 1;
            self.skip_space();
            items.push((name, self.value(depth + 1)?));
            if self.ends_with(b'}')? {
                return Ok(Value::Dict(items));
            }
        }
    }

    /// After an item: whether the list ends here, or a comma brings the next one.
    fn ends_with(&mut self, close: u8) -> Result<bool, Exception> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(false)
            }
            _ => Err(self.error("Expecting ',' delimiter", self.at)),
        }
    }

    fn string(&mut self) -> Result<String, Exception> {
        let start = self.at;
        let unterminated = |reader: &Self| reader.error("Unterminated string starting at", start);
        let mut string = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')).ok_or_else(|| unterminated(self))?;
            string.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes()[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(string);
                }
                b'\\' => {
                    let escaped = *rest.as_bytes().get(plain + 1).ok_or_else(|| unterminated(self))?;
                    string.push(self.escape(escaped)?);
                }
                _ => return Err(self.error("Invalid control character at", self.at)),
            }
        }
    }

    /// The character of an escape sequence that begins here, with this byte after the backslash.
    fn escape(&mut self, escaped: u8) -> Result<char, Exception> {
        let c = match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.code_unit()?;
                return Ok(self.character(unit));
            }
            _ => return Err(self.error("Invalid \\escape", self.at)),
        };
        self.at += 2;
        Ok(c)
    }

    /// The UTF-16 code unit of a `\uXXXX` that begins here.
    fn code_unit(&mut self) -> Result<u32, Exception> {
        let digits = self.at + 2;
        // Python's scanner requires a character after the digits
        match self.text.get(digits..digits + 4).filter(|_| digits + 4 < self.text.len()) {
            Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                self.at = digits + 4;
                Ok(hex.chars().fold(0, |value, c| value * 16 + c.to_digit(16).unwrap_or_default()))
            }
            _ => Err(self.error("Invalid \\uXXXX escape", digits - 1)),
        }
    }

    /// The character of a code unit; reads the second half of a surrogate pair, too. A replacement character for a lone
    /// half.
    fn character(&mut self, unit: u32) -> char {
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            match self.code_unit() {
                Ok(low @ 0xdc00..0xe000) => {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                }
                _ => self.at = before,
            }
        }
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages are those of CPython 3.11.
    #[test]
    fn broken_files_are_reported_as_python_does() {
        let cases = [
            ("", "Expecting value: line 1 column 1 (char 0)"),
            ("\u{feff}{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
            ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("{\"a\":}", "Expecting value: line 1 column 6 (char 5)"),
            ("{\"a\": 1\r\n \"b\"}", "Expecting ',' delimiter: line 2 column 2 (char 9)"),
            ("{\"a\": 1,}", "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)"),
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            ("[1", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
            ("{} x", "Extra data: line 1 column 4 (char 3)"),
            ("\"abc", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("\"é\tc\"", "Invalid control character at: line 1 column 3 (char 2)"),
            ("\"\\x\"", "Invalid \\escape: line 1 column 2 (char 1)"),
            ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\u12x4\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("-", "Expecting value: line 1 column 1 (char 0)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("nul", "Expecting value: line 1 column 1 (char 0)"),
        ];
        for (text, message) in cases {
            let exception = Annotation::read(text).unwrap_err();
            assert_eq!(
                (exception.class, exception.message.as_str()),
                ("json.decoder.JSONDecodeError", message),
                "{text}"
            );
        }
        assert_eq!(Annotation::read(&"[".repeat(100_000)).unwrap_err().class, "RecursionError");
    }

    #[test]
    fn other_shapes_are_reported_as_python_does() {
        let cases = [
            ("[]", "list indices must be integers or slices, not str"),
            ("\"x\"", "string indices must be integers, not 'str'"),
            ("1.5", "'float' object is not subscriptable"),
            ("null", "'NoneType' object is not subscriptable"),
            ("{}", "'imagePath'"),
            ("{\"imagePath\": 3}", "'int' object has no attribute 'strip'"),
        ];
        for (text, message) in cases {
            assert_eq!(Annotation::read(text).unwrap_err().message, message);
        }
        let flags = |text: &str| Annotation::read(text).unwrap().flags().unwrap_err().message;
        assert_eq!(flags("{\"imagePath\": \"\"}"), "'flags'");
        assert_eq!(flags("{\"imagePath\": \"\", \"flags\": []}"), "'list' object has no attribute 'items'");
    }

    #[test]
    fn flags_that_python_takes_for_true() {
        let text = r#"{"flags": {"x": true}, "imagePath": "../a\u0062/\ud83d\ude00\ud800.png", "n": [-1.5e3, {}],
            "flags": {"a": 0, "b": 1, "c": "", "d": "0", "e": [], "f": [0], "g": null, "h": NaN, "i": 0.0, "j": {}, "a": true}}"#;
        let annotation = Annotation::read(text).unwrap();
        assert_eq!(annotation.image_path, "../ab/😀\u{fffd}.png");
        assert_eq!(annotation.flags().unwrap(), ["a", "b", "d", "f", "h"]);
    }
}
