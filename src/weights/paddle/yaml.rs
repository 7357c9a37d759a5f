//! Reads YAML, within limits.
//!
//! A parser gives events. This module builds values from them, by the part of YAML 1.2's core schema that a settings file uses.
//! Depth, aliases, nodes (those of an alias counted each time) and the number of documents are limited.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// An `inference.yml` nests 6 deep.
const MAX_DEPTH: usize = 32;
/// An `inference.yml` has some 60 nodes.
const MAX_NODES: usize = 4096;
/// PyYAML writes an alias for a list that occurs twice. Each can repeat a text as long as the file.
const MAX_ALIASES: usize = 64;

/// The value of a YAML document: mappings as objects, sequences as arrays, `null` for an empty document.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the line.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        Error::model(format!("line {line}: not UTF-8"))
    })?;
    let mut composer = Composer::default();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = event.map_err(|error| at(error.marker().line(), error.info()))?;
        composer.take(event).map_err(|message| at(span.start.line(), &message))?;
    }
    Ok(composer.root.unwrap_or(Value::Null))
}

fn at(line: usize, message: &str) -> Error {
    Error::model(format!("line {line}: {message}"))
}

/// A collection that is not closed yet.
enum Open {
    Sequence(Vec<Value>),
    /// The entries, and a key that has no value yet.
    Mapping(Map<String, Value>, Option<String>),
}

/// A value and its number of nodes.
struct Anchored {
    value: Value,
    nodes: usize,
}

/// Builds the value from events. It keeps its own stack, so that no input can overflow the thread's.
#[derive(Default)]
struct Composer {
    root: Option<Value>,
    documents: usize,
    /// Open collections, each with the number of its anchor (0: none) and the number of nodes before it.
    open: Vec<(Open, usize, usize)>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    aliases: usize,
}

impl Composer {
    fn take(&mut self, event: Event) -> std::result::Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("a second document begins; one is expected".into());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1)?;
                let value = scalar(&text, style, tag.as_deref())?;
                self.keep(anchor, &value, 1);
                self.place(value)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq")?;
                self.open(Open::Sequence(Vec::new()), anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map")?;
                self.open(Open::Mapping(Map::new(), None), anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((open, anchor, before)) = self.open.pop() {
                    let value = match open {
                        Open::Sequence(items) => Value::Array(items),
                        Open::Mapping(entries, _) => Value::Object(entries),
                    };
                    self.keep(anchor, &value, self.nodes - before);
                    self.place(value)?;
                }
            }
            Event::Alias(anchor) => {
                let nodes = match self.anchors.get(&anchor) {
                    Some(anchored) => anchored.nodes,
                    None => return Err("an alias stands inside of what it repeats".into()),
                };
                // counted before the value is copied
                self.count(nodes)?;
                self.aliases += 1;
                if self.aliases > MAX_ALIASES {
                    return Err(format!("more than {MAX_ALIASES} aliases"));
                }
                let value = self.anchors[&anchor].value.clone();
                self.place(value)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize) -> std::result::Result<(), String> {
        if self.open.len() == MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        let before = self.nodes;
        self.count(1)?;
        self.open.push((open, anchor, before));
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> std::result::Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} values, those that aliases repeat among them"));
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, value: &Value, nodes: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { value: value.clone(), nodes });
        }
    }

    /// Adds a value to the innermost open collection, or makes it the root.
    fn place(&mut self, value: Value) -> std::result::Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::Sequence(items), ..)) => items.push(value),
            Some((Open::Mapping(entries, key), ..)) => match key.take() {
                Some(key) => {
                    entries.insert(key, value);
                }
                None => {
                    let name = match value {
                        Value::String(name) => name,
                        Value::Array(_) | Value::Object(_) => return Err("a key is a list or a mapping".into()),
                        other => other.to_string(),
                    };
                    if entries.contains_key(&name) {
                        return Err(format!("the key `{name}` is there twice"));
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

/// Refuses any tag but the one of YAML's core schema with this name.
fn check_tag(tag: Option<&Tag>, expected: &str) -> std::result::Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => Err(unknown_tag(tag)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag) -> String {
    format!("the tag `{tag}` cannot be here; a settings file has names, numbers, lists and mappings")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> std::result::Result<Value, String> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(resolve(text)),
        None => Ok(text.into()),
        Some(tag) if tag.is_yaml_core_schema() => {
            let value = resolve(text);
            let fits = match &tag.suffix[..] {
                "str" => return Ok(text.into()),
                "null" => value.is_null(),
                "bool" => value.is_boolean(),
                "int" => value.is_i64() || value.is_u64(),
                "float" => value.is_number(),
                _ => return Err(unknown_tag(tag)),
            };
            if fits { Ok(value) } else { Err(format!("`{text}` is tagged !!{} and is none", tag.suffix)) }
        }
        // `!` alone means text
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(text.into()),
        Some(tag) => Err(unknown_tag(tag)),
    }
}

/// The value of a scalar without quotes: null, a truth value, a decimal number, or text.
///
/// Infinities and other notations of numbers stay text. No setting has one, and an error can then show it as it was written.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !numeric {
        return text.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_those_of_the_core_schema() {
        let cases = [
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            ("\u{feff}a: 1", json!({ "a": 1 })),
            ("[~, null, Null, '', \"\", ]", json!([null, null, null, "", ""])),
            ("[true, False, yes]", json!([true, false, "yes"])),
            ("[0, -5, +7, 007, 18446744073709551615]", json!([0, -5, 7, 7, u64::MAX])),
            ("[0.5, -.5, 1., 1e-3, 1.0E+2]", json!([0.5, -0.5, 1.0, 1e-3, 100.0])),
            (
                "[.inf, .nan, 1e999, 0x10, 1_000, 1.2.3, '5']",
                json!([".inf", ".nan", "1e999", "0x10", "1_000", "1.2.3", "5"]),
            ),
            ("[1.0/255.0, 1 / 255]", json!(["1.0/255.0", "1 / 255"])),
            ("a: |\n  one\n  two\nb: >\n  one\n  two\n", json!({ "a": "one\ntwo\n", "b": "one two\n" })),
            ("1: one\nnull: none\n", json!({ "1": "one", "null": "none" })),
            ("a: &x [1, 2]\nb: *x\nc: &y 5\nd: *y\n", json!({ "a": [1, 2], "b": [1, 2], "c": 5, "d": 5 })),
            ("[!!str 5, !!float 5, !!int 5, ! 5, !!null ~]", json!(["5", 5, 5, "5", null])),
            ("!!map {a: !!seq [1]}", json!({ "a": [1] })),
            ("- a:\n  - b: 1\n    c: {}\n", json!([{ "a": [{ "b": 1, "c": {} }] }])),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_told_with_its_line() {
        let wide = format!("[{}]", "1, ".repeat(MAX_NODES));
        let deep = format!("\n{}", "[".repeat(MAX_DEPTH + 1));
        let quoted_depth = "- ".repeat(MAX_DEPTH + 1);
        let aliases = format!("[&a x{}]", ", *a".repeat(MAX_ALIASES + 1));
        let cases: [(&[u8], &str); 15] = [
            (b"a: 1\na: 2\n", "line 2: the key `a` is there twice"),
            (b"a: 1\n--- \nb: 2\n", "line 2: a second document"),
            (b"a: &x [*x]\n", "line 1: an alias stands inside"),
            (b"a: *missing\n", "line 1: "),
            (b"{a: [}\n", "line 1: "),
            (b"a: b: c\n", "line 1: "),
            (b"? [1]\n: 2\n", "line 1: a key is a list"),
            (b"a: !!python/tuple [1]\n", "line 1: the tag `tag:yaml.org,2002:!python/tuple`"),
            (b"a: !own 5\n", "line 1: the tag `!own`"),
            (b"a: !!int big\n", "line 1: `big` is tagged !!int and is none"),
            (b"a: 1\nb: \xff\n", "line 2: not UTF-8"),
            (wide.as_bytes(), "line 1: more than 4096 values"),
            (aliases.as_bytes(), "line 1: more than 64 aliases"),
            (deep.as_bytes(), "line 2: nested more than 32 deep"),
            (quoted_depth.as_bytes(), "line 1: nested more than 32 deep"),
        ];
        for (text, expected) in cases {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]);
            let error = parse(text).expect_err(&shown).to_string();
            assert!(error.starts_with(expected), "{shown}: {error}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_is_copied() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (from, to) in ('a'..='y').zip('b'..='z') {
            bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(", "));
        }
        let error = parse(bomb.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 4096 values"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_soup_of_yaml_makes_it_panic(parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "a", "b: ", "- ", "? ", ": ", "[", "]", "{", "}", ", ", "\n", "\n  ", "\n    ", "&x ", "*x", "!!str ", "!", "|\n", ">-\n",
                "'", "\"", "#", "---\n", "...\n", "%YAML 1.2\n", "\\", "\t", "5", "~", "<<: ", "\u{e9}", "\r\n",
            ]),
            0..60,
        )) {
            let _ = parse(parts.concat().as_bytes());
        }
    }
}
