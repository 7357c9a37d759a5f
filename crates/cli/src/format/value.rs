//! A Python value as Python prints it and as its `json` writes it.

use super::python::{float_json, float_repr, float32_repr, string_repr};

/// A value of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Whole(u64),
    /// A Python float.
    Double(f64),
    /// A numpy float32.
    Single(f32),
    Text(String),
    List(Vec<Value>),
    /// Keys in their order.
    Dict(Vec<(&'static str, Value)>),
}

/// The layout of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `json.dumps(result, indent=4, ensure_ascii=False)`, as PaddleX saves it.
    Indented,
    /// On one line.
    Line,
}

impl Value {
    /// `repr(value)`, with numpy 2's `np.float32(…)`.
    pub fn repr(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Whole(number) => number.to_string(),
            Value::Double(number) => float_repr(*number),
            Value::Single(number) => format!("np.float32({})", float32_repr(*number)),
            Value::Text(text) => string_repr(text),
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(Value::repr).collect();
                format!("[{}]", values.join(", "))
            }
            Value::Dict(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("'{key}': {}", value.repr())).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// `json.dumps(value)`: floats of both kinds as doubles.
    pub fn json(&self, layout: Layout) -> String {
        let mut json = String::new();
        self.write(layout, 0, &mut json);
        json
    }

    fn write(&self, layout: Layout, depth: usize, json: &mut String) {
        match self {
            Value::None => json.push_str("null"),
            Value::Whole(number) => json.push_str(&number.to_string()),
            Value::Double(number) => json.push_str(&float_json(*number)),
            Value::Single(number) => json.push_str(&float_json(f64::from(*number))),
            Value::Text(text) => json.push_str(&serde_json::Value::from(text.as_str()).to_string()),
            Value::List(values) => {
                let values = values.iter().map(|value| (String::new(), value));
                write_within(("[", "]"), values, layout, depth, json);
            }
            Value::Dict(fields) => {
                let fields = fields.iter().map(|(key, value)| (format!("\"{key}\": "), value));
                write_within(("{", "}"), fields, layout, depth, json);
            }
        }
    }
}

/// The values of a list or of a dict, each with what stands before it.
fn write_within<'v>(
    (open, close): (&str, &str),
    values: impl ExactSizeIterator<Item = (String, &'v Value)>,
    layout: Layout,
    depth: usize,
    json: &mut String,
) {
    let line = |depth: usize| format!("\n{}", "    ".repeat(depth));
    let is_indented = layout == Layout::Indented && values.len() > 0;
    json.push_str(open);
    for (index, (before, value)) in values.enumerate() {
        if index > 0 {
            json.push_str(if is_indented { "," } else { ", " });
        }
        if is_indented {
            json.push_str(&line(depth + 1));
        }
        json.push_str(&before);
        value.write(layout, depth + 1, json);
    }
    if is_indented {
        json.push_str(&line(depth));
    }
    json.push_str(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_by_python() {
        let value = Value::Dict(vec![
            ("text", Value::Text("it's \"é\"\n".into())),
            ("none", Value::List(vec![Value::None])),
            ("empty", Value::List(Vec::new())),
            (
                "numbers",
                Value::List(vec![Value::Whole(0), Value::Double(1e-5), Value::Single(0.1), Value::Single(2.0)]),
            ),
        ]);
        let repr = r#"{'text': 'it\'s "é"\n', 'none': [None], 'empty': [], 'numbers': [0, 1e-05, np.float32(0.1), np.float32(2.0)]}"#;
        assert_eq!(value.repr(), repr);
        let line =
            r#"{"text": "it's \"é\"\n", "none": [null], "empty": [], "numbers": [0, 1e-05, 0.10000000149011612, 2.0]}"#;
        assert_eq!(value.json(Layout::Line), line);
        let indented =
            Value::Dict(vec![("a", Value::List(vec![Value::Whole(1), Value::None])), ("b", Value::List(vec![]))]);
        let expected = "{\n    \"a\": [\n        1,\n        null\n    ],\n    \"b\": []\n}";
        assert_eq!(indented.json(Layout::Indented), expected);
    }
}
