//! A reader of CSV files, for lists of images.

use crate::{Error, Result};

/// The records of a CSV file with the number of their first line, without blank records. The separator is comma,
/// semicolon or tab: the most frequent one in the first line.
pub(super) fn parse(text: &str) -> Result<Vec<(usize, Vec<String>)>> {
    let first = text.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().rev().max_by_key(|&c| first.matches(c).count()).unwrap_or(',');
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut start, mut quoted) = (1, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            c if quoted => field.push(c),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                fields.push(std::mem::take(&mut field));
                if fields.iter().any(|field| !field.trim().is_empty()) {
                    records.push((start, std::mem::take(&mut fields)));
                }
                fields.clear();
                start = line;
            }
            c if c == separator => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(Error::unsupported(format!("the quote of line {start} is not closed")));
    }
    fields.push(field);
    if fields.iter().any(|field| !field.trim().is_empty()) {
        records.push((start, fields));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_separators_and_line_ends_are_as_people_write_them() {
        let records = |text: &str| parse(text).unwrap();
        let record = |line: usize, fields: &[&str]| (line, fields.iter().map(|field| field.to_string()).collect());
        assert_eq!(
            records("a,b\r\n\r\nc,\"d,\"\"e\"\"\nf\"\ng,h"),
            [record(1, &["a", "b"]), record(3, &["c", "d,\"e\"\nf"]), record(5, &["g", "h"]),]
        );
        assert_eq!(records("a;b;c,d\nd;e;f\n"), [record(1, &["a", "b", "c,d"]), record(2, &["d", "e", "f"])]);
        assert_eq!(records("a\tb\tc,d\n"), [record(1, &["a", "b", "c,d"])]);
        assert!(records("\n \n").is_empty());
        assert_eq!(parse("a,\"b\n").unwrap_err().to_string(), "the quote of line 1 is not closed");
    }
}
