//! A reader of CSV files, for lists of images.

use crate::{Error, Result};

/// The separators that are known; the first one of equals is taken.
pub(super) const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];
/// The most records that are looked at to find the separator.
const MOST_LOOKED_AT: usize = 32;

/// The records of a CSV file with the number of their first line, without blank records. The separator is the one of
/// comma, semicolon, tab and bar that is outside quotes in every one of the first records, or most often in the first.
/// A first line such as `sep=;`, which Excel writes, names it.
pub(super) fn parse(text: &str) -> Result<Vec<(usize, Vec<String>)>> {
    match named_separator(text) {
        Some((separator, rest)) => {
            let records = split(rest, separator)?;
            Ok(records.into_iter().map(|(line, fields)| (line + 1, fields)).collect())
        }
        None => split(text, likely_separator(text)),
    }
}

/// The separator that the first line names, and the text after that line.
fn named_separator(text: &str) -> Option<(char, &str)> {
    let (line, rest) = text.split_once('\n')?;
    let mut named = line.trim_end_matches('\r').trim_matches('"').strip_prefix("sep=")?.chars();
    let separator = named.next()?;
    named.next().is_none().then_some((separator, rest))
}

fn likely_separator(text: &str) -> char {
    let counts = separator_counts(text);
    let key = |at: usize| {
        let everywhere = counts.iter().map(|counts| counts[at]).min().unwrap_or(0);
        (everywhere, counts.first().map_or(0, |counts| counts[at]))
    };
    let best = (0..SEPARATORS.len()).rev().max_by_key(|&at| key(at)).unwrap_or(0);
    SEPARATORS[best]
}

/// How often each separator is outside quotes in each of the first records.
fn separator_counts(text: &str) -> Vec<[usize; SEPARATORS.len()]> {
    let mut all = Vec::new();
    let (mut counts, mut is_blank, mut quoted) = ([0; SEPARATORS.len()], true, false);
    for c in text.chars().chain(['\n']) {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted => {
                if !is_blank {
                    all.push(counts);
                }
                if all.len() == MOST_LOOKED_AT {
                    break;
                }
                (counts, is_blank) = ([0; SEPARATORS.len()], true);
                continue;
            }
            c if !quoted => {
                if let Some(at) = SEPARATORS.iter().position(|&separator| separator == c) {
                    counts[at] += 1;
                }
            }
            _ => {}
        }
        is_blank &= c.is_whitespace();
    }
    all
}

fn split(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>> {
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
        assert_eq!(records("a|b\nc,d,e|f\n"), [record(1, &["a", "b"]), record(2, &["c,d,e", "f"])]);
        let quoted = "\"path, of the image\";\"label, in words\"\n\"a,b.jpg\";tea\n";
        assert_eq!(
            records(quoted),
            [record(1, &["path, of the image", "label, in words"]), record(2, &["a,b.jpg", "tea"])]
        );
        assert_eq!(records("sep=;\r\na;b,c\n"), [record(2, &["a", "b,c"])]);
        assert!(records("\n \n").is_empty());
        assert_eq!(parse("a,\"b\n").unwrap_err().to_string(), "the quote of line 1 is not closed");
    }
}
