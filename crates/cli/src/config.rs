//! PaddleX's settings: a YAML file, and `Section.key=value` from the command line in place of what it says.

use serde_json::{Map, Value};

use image_feature::weights::parse_yaml;
use image_feature::{Error, Result};

/// Settings in sections.
///
/// ```
/// use image_feature::config::Config;
///
/// let mut config = Config::parse(b"Train:\n  batch_size: 128\n")?;
/// assert_eq!(config.set("Train.batch_size=64")?, None);
/// assert_eq!(config.get("Train.batch_size").and_then(|value| value.as_u64()), Some(64));
/// assert_eq!(config.set("Train.colour=red")?, Some("A new field (colour) detected!".into()));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    root: Value,
}

impl Config {
    /// Reads a file. Texts that are Python's form of something else (`"10"`, `"[1, 2]"`) become that, as in PaddleX.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage), naming the line, where it is no YAML of sections.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut root = parse_yaml(bytes).map_err(|error| Error::usage(error.to_string()))?;
        if !root.is_object() {
            return Err(Error::usage("the settings are not sections with keys, such as `Global:`"));
        }
        evaluate_texts(&mut root);
        Ok(Config { root })
    }

    /// Takes over one `Section.key=value`. What PaddleX warns of is given back.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where that is not its form.
    pub fn set(&mut self, option: &str) -> Result<Option<String>> {
        let (path, value) = option
            .split_once('=')
            .filter(|(path, value)| !value.contains('=') && path.split('.').all(|key| !key.is_empty()))
            .ok_or_else(|| Error::usage(format!("-o {option}: expected Section.key=value, with one `=`")))?;
        let (mut place, mut warning) = (&mut self.root, None);
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Some(section) = place.as_object_mut() else { break };
            if !section.contains_key(key) && warning.is_none() {
                warning = Some(format!("A new field ({key}) detected!"));
            }
            place = section.entry(key).or_insert(Value::Null);
            if keys.peek().is_none() {
                *place = option_value(value);
            }
        }
        Ok(warning)
    }

    /// The value at `Section.key`; `None` where there is none, or `null`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.root, |place, key| place.get(key)).filter(|value| !value.is_null())
    }

    /// The text at a place.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where something else is there.
    pub fn text(&self, path: &str) -> Result<Option<&str>> {
        self.typed(path, "a text", Value::as_str)
    }

    /// The number at a place.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where something else is there.
    pub fn number(&self, path: &str) -> Result<Option<f64>> {
        self.typed(path, "a number", Value::as_f64)
    }

    /// The whole number of 0 or more at a place.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where something else is there.
    pub fn count(&self, path: &str) -> Result<Option<usize>> {
        self.typed(path, "a whole number", |value| usize::try_from(value.as_u64()?).ok())
    }

    /// Whether a place says yes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where something else is there.
    pub fn flag(&self, path: &str) -> Result<bool> {
        Ok(self.typed(path, "True or False", Value::as_bool)?.unwrap_or(false))
    }

    fn typed<'a, T>(&'a self, path: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(path) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Error::usage(format!("{path} is `{value}`; expected {what}")))
    }
}

fn evaluate_texts(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(evaluate_texts),
        Value::Array(items) => items.iter_mut().for_each(evaluate_texts),
        Value::String(text) => {
            if let Some(literal) = literal(text) {
                *value = literal;
            }
        }
        _ => {}
    }
}

/// What PaddleX makes of the value of an option. Every part of the word `None` means nothing, and so does no value.
fn option_value(text: &str) -> Value {
    match text {
        _ if "None".contains(text) => Value::Null,
        "TRUE" | "True" | "true" | "T" | "t" => true.into(),
        "FALSE" | "False" | "false" | "F" | "f" => false.into(),
        _ => literal(text).unwrap_or_else(|| text.into()),
    }
}

/// A literal of Python: a number, a text in quotes, a truth value, `None`, or a list or tuple of these.
fn literal(text: &str) -> Option<Value> {
    let mut reader = Literal { rest: text.trim() };
    let value = reader.value(0)?;
    reader.rest.trim_start().is_empty().then_some(value)
}

/// Lists in lists in lists are no settings.
const DEEPEST: usize = 8;

struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '[' if depth < DEEPEST => self.list(']', depth),
            '(' if depth < DEEPEST => self.list(')', depth),
            quote @ ('\'' | '"') => {
                let (text, rest) = self.rest[1..].split_once(quote)?;
                self.rest = rest;
                (!text.contains('\\')).then(|| text.into())
            }
            _ => {
                let end = self.rest.find([',', ']', ')']).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                scalar(word.trim_end())
            }
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Option<Value> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None if self.rest.starts_with(close) => {}
                None => return None,
            }
        }
    }
}

fn scalar(word: &str) -> Option<Value> {
    match word {
        "None" => return Some(Value::Null),
        "True" => return Some(true.into()),
        "False" => return Some(false.into()),
        _ => {}
    }
    // Python has no numbers with leading zeros, and no names such as `inf`
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    match word.strip_prefix('+').unwrap_or(word).parse::<i64>() {
        Ok(_) if digits.len() > 1 && digits.starts_with('0') => None,
        Ok(whole) => Some(whole.into()),
        Err(_) => word.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::from),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_mean_what_they_mean_to_paddlex() {
        for (text, expected) in [
            ("", json!(null)),
            ("None", json!(null)),
            ("on", json!(null)),
            ("e", json!(null)),
            ("T", json!(true)),
            ("False", json!(false)),
            ("64", json!(64)),
            ("-3", json!(-3)),
            ("0.01", json!(0.01)),
            ("1e-3", json!(0.001)),
            ("007", json!("007")),
            ("gpu:0,1", json!("gpu:0,1")),
            ("'64'", json!("64")),
            ("[1, 'a', (2.5,)]", json!([1, "a", [2.5]])),
            ("[1", json!("[1")),
            ("./a/b.pdparams", json!("./a/b.pdparams")),
            ("train", json!("train")),
            ("inf", json!("inf")),
            ("nan", json!("nan")),
        ] {
            assert_eq!(option_value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn options_need_one_equals_sign() {
        let mut config = Config::parse(b"Global:\n  mode: train\n  n: '10'\n  path: \"a.jpg\"\n").unwrap();
        assert_eq!(config.get("Global.n"), Some(&json!(10)));
        for wrong in ["Global.mode", "Global.mode=a=b", "=x", "Global..x=1"] {
            assert!(config.set(wrong).unwrap_err().to_string().contains("Section.key=value"), "{wrong}");
        }
        assert_eq!(config.set("Global.mode.deeper=1").unwrap(), Some("A new field (deeper) detected!".into()));
        assert_eq!(config.set("New.section=1").unwrap(), Some("A new field (New) detected!".into()));
        assert_eq!(config.count("New.section").unwrap(), Some(1));
        assert!(config.count("Global.path").unwrap_err().to_string().contains("Global.path is"));
        assert!(Config::parse(b"- 1\n").is_err());
        assert!(Config::parse(b"a: [").is_err());
    }
}
