//! Writes YAML as PyYAML's `dump` does: block style, keys in order, no flow style.

use serde_json::Value;

/// The value as a YAML document.
pub(crate) fn dump(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (at, (key, value)) in map.iter().enumerate() {
                // in a list, the first key follows the dash
                if at > 0 || out.is_empty() || out.ends_with('\n') {
                    out.push_str(&margin);
                }
                out.push_str(&scalar_text(key));
                out.push(':');
                match value {
                    Value::Object(map) if !map.is_empty() => {
                        out.push('\n');
                        block(value, indent + 2, out);
                    }
                    // the items of a list have the indentation of its key
                    Value::Array(items) if !items.is_empty() => {
                        out.push('\n');
                        block(value, indent, out);
                    }
                    _ => {
                        out.push(' ');
                        block(value, indent, out);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&margin);
                out.push_str("- ");
                block(item, indent + 2, out);
            }
        }
        _ => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => float(value),
            None => number.to_string(),
        },
        Value::String(text) => scalar_text(text),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
    }
}

/// Python's shortest form. YAML's numbers need a point before the exponent.
fn float(value: f64) -> String {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    format!("{mantissa}{point}e{sign}{digits:0>2}")
}

/// A text without quotes where it reads back as the same text, else with quotes.
fn scalar_text(text: &str) -> String {
    const WORDS: [&str; 8] = ["null", "~", "true", "false", "yes", "no", "on", "off"];
    if text.chars().any(char::is_control) {
        // JSON's strings are valid YAML
        return Value::from(text).to_string();
    }
    let mut chars = text.chars();
    let begins = match chars.next() {
        None => false,
        // these are syntax only before a blank
        Some('-' | '?' | ':') => chars.next().is_some_and(|second| second != ' '),
        Some(first) => !"!&*#|>@`\"'%,[]{}=<".contains(first),
    };
    let number = text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o");
    let word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    let inside = text.contains(": ") || text.contains(" #") || text.ends_with(':') || text.trim() != text;
    if begins && !number && !word && !inside { text.into() } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_pyyamls() {
        let value = json!({
            "a": { "list": [1, 2.5, { "x": null, "y": [true] }], "none": {} },
            "b": 1e-20, "c": 1e-5, "d": 0.01, "e": "1.0/255.0", "f": "a: b", "g": "", "h": "123", "i": "/a b/ü", "j": [],
            "k": "no", "l": 1.0, "m": "it's", "n": "1e3", "o": "-x",
        });
        let expected = "a:\n  list:\n  - 1\n  - 2.5\n  - x: null\n    y:\n    - true\n  none: {}\nb: 1.0e-20\nc: 1.0e-05\n\
                        d: 0.01\ne: 1.0/255.0\nf: 'a: b'\ng: ''\nh: '123'\ni: /a b/ü\nj: []\nk: 'no'\nl: 1.0\nm: it's\n\
                        n: '1e3'\no: -x\n";
        assert_eq!(dump(&value), expected);
    }
}
