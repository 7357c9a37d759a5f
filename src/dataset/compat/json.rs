//! PaddleX's result file.

use super::Exception;
use super::check::{Summary, Tag};

/// The text of `check_dataset_result.json`, byte for byte as PaddleX writes it. PaddleX uses ujson, which puts a
/// backslash before each slash.
pub fn result_json(verdict: &Result<Summary, Exception>) -> String {
    let mut json = String::from("{\n  \"done_flag\": ");
    match verdict {
        Err(exception) => {
            json.push_str("false,\n  \"err_type\": ");
            push_string(&mut json, &exception.err_type());
            json.push_str(",\n  \"err_msg\": ");
            push_string(&mut json, &exception.message);
        }
        Ok(summary) => {
            json.push_str("true,\n  \"check_pass\": true,\n  \"attributes\": {\n");
            for (index, tag) in Tag::ALL.into_iter().enumerate() {
                let tag = tag.as_str();
                let separator = if index == 0 { "" } else { ",\n" };
                json.push_str(&format!(
                    "{separator}    \"{tag}_samples\": {},\n    \"{tag}_sample_paths\": ",
                    summary.counts[index].images
                ));
                push_list(&mut json, &summary.samples[index]);
            }
            json.push_str("\n  },\n  \"analysis\": {\n    \"histogram\": ");
            push_string(&mut json, "check_dataset/histogram.png");
            json.push_str("\n  },\n  \"dataset_path\": ");
            push_string(&mut json, &summary.dataset_path);
            json.push_str(",\n  \"show_type\": \"image\",\n  \"dataset_type\": \"ShiTuRecDataset\"");
        }
    }
    json.push_str("\n}");
    json
}

fn push_list(json: &mut String, items: &[String]) {
    if items.is_empty() {
        json.push_str("[]");
        return;
    }
    json.push('[');
    for (index, item) in items.iter().enumerate() {
        json.push_str(if index == 0 { "\n      " } else { ",\n      " });
        push_string(json, item);
    }
    json.push_str("\n    ]");
}

fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '/' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ujson 5 and 6 write it with `ensure_ascii=False`.
    #[test]
    fn strings_as_ujson_writes_them() {
        let mut json = String::new();
        push_string(&mut json, "a/b\"\\\n\u{1}\u{7f}\u{2028}é字");
        assert_eq!(json, "\"a\\/b\\\"\\\\\\n\\u0001\u{7f}\u{2028}é字\"");
    }
}
