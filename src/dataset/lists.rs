//! Reading of lists, with PaddleX's meaning where it can read a row, and the intended meaning where it cannot.

use std::borrow::Cow;

use super::findings::{Code, Finding, Findings};
use super::subset::Subset;
use super::text::{DecodedLines, OldEncoding, Unwrapped, decode_lines};
use crate::file_tree::NameDecoder;

/// A row of a list, as far as it can be understood. See [`Dataset::rows`](super::Dataset::rows).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The list.
    pub list: Subset,
    /// The line of the list, from 1.
    pub line: u32,
    /// The path as written, without blanks around it.
    pub path: String,
    /// The class; `None` where there is no whole number.
    pub label: Option<i64>,
    /// The file's index in the entries of the tree; `None` where it does not exist.
    pub entry: Option<usize>,
    /// The fault because of which the row does not name one image and one class. Faults of the image do not count.
    pub fault: Option<Code>,
    /// The whole row as written, where that is not `path label`.
    pub written: Option<Box<str>>,
    /// The bytes of the whole row, where they are not UTF-8. Rows of UTF-16 are bytes of UTF-8 here.
    pub bytes: Option<Box<[u8]>>,
    /// Whether more follows after path and label.
    pub has_more: bool,
}

impl Row {
    /// The row as written in the list.
    pub fn text(&self) -> String {
        match (&self.written, self.label) {
            (Some(written), _) => written.to_string(),
            (None, Some(label)) => format!("{} {label}", self.path),
            (None, None) => self.path.clone(),
        }
    }

    /// The row as its bytes in the list, in whatever encoding it is.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.bytes {
            Some(bytes) => Cow::Borrowed(bytes),
            None => Cow::Owned(self.text().into_bytes()),
        }
    }
}

/// Reads a list. Returns its rows in order, without those that are blank, and adds faults to `findings`.
///
/// `exists` tells whether a path is in the data set: that decides the meaning of a row with several spaces. `decode`
/// reads rows that are not UTF-8. `tell` is given the encoding of the list where it is not UTF-8.
pub(super) fn parse(
    bytes: &[u8],
    list: Subset,
    exists: &dyn Fn(&str) -> bool,
    decode: Option<&NameDecoder>,
    findings: &mut Findings,
    tell: &mut dyn FnMut(&str),
) -> Vec<Row> {
    let mut rows = Vec::new();
    let text = Unwrapped::of(bytes);
    if text.has_mark {
        let reason = "the list begins with the bytes EF BB BF, which become a part of the first path";
        findings.add(Code::ByteOrderMark, |code| Finding::new(code, reason).at(list, 1).column(1));
    }
    if let Some(encoding) = text.wide {
        findings.add(Code::NotUtf8, |code| Finding::new(code, format!("the list is {encoding}")).at(list, 1).column(1));
    }
    if text.bytes.is_empty() {
        findings.add(Code::ListEmpty, |code| Finding::new(code, format!("{} is empty", list.list())).in_list(list));
        return rows;
    }
    let lines: Vec<(&[u8], &[u8])> = Lines(&text.bytes).collect();
    let (mut carriage_returns, mut first_return) = (0u64, 0);
    for (number, (_, end)) in (1..).zip(&lines) {
        if end.starts_with(b"\r") {
            carriage_returns += 1;
            first_return = if first_return == 0 { number } else { first_return };
        }
    }
    let ended = lines.last().is_none_or(|(_, end)| !end.is_empty());
    let lines: Vec<&[u8]> = lines.into_iter().map(|(line, _)| line).collect();
    let makes_sense = |line: &str| {
        let is_end = |c: char| BLANKS.contains(&c) || OTHER_SEPARATORS.contains(&c);
        line.trim().rsplit_once(is_end).is_some_and(|(path, _)| exists(path.trim()))
    };
    let mut decoded = decode_lines(&lines, OldEncoding { decode, makes_sense: Some(&makes_sense) });
    if let Some(encoding) = text.wide.or(decoded.encoding.as_deref()) {
        tell(encoding);
    }
    for (index, line) in lines.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        rows.extend(match (decoded.take(index), std::str::from_utf8(line)) {
            (None, Ok(text)) => parse_row(text, list, number, exists, findings),
            (Some(text), _) => {
                find_not_utf8(line, &decoded, list, number, findings);
                let row = parse_row(&text, list, number, exists, findings);
                row.map(|row| Row { bytes: Some((*line).into()), ..row })
            }
            (None, Err(_)) => {
                find_not_utf8(line, &DecodedLines::default(), list, number, findings);
                Some(unreadable_row(line, list, number))
            }
        });
    }
    if carriage_returns > 0 {
        findings.add(Code::WindowsLineEnds, |code| {
            Finding::new(code, format!("{carriage_returns} lines end with a carriage return")).at(list, first_return)
        });
    }
    if !ended {
        let last = rows.last().map_or(1, |row| row.line);
        findings.add(Code::NoFinalNewline, |code| {
            Finding::new(code, "the last row ends with the file, without a line end").at(list, last)
        });
    }
    rows
}

/// Reports a row that is not UTF-8, with the encoding in which it was read.
fn find_not_utf8(line: &[u8], decoded: &DecodedLines, list: Subset, number: u32, findings: &mut Findings) {
    findings.add(Code::NotUtf8, |code| {
        // a row may be UTF-8 by accident, among others that are not
        let valid = std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
        let column = String::from_utf8_lossy(&line[..valid]).chars().count() + 1;
        let reason = match &decoded.encoding {
            Some(encoding) => format!("the row is read as {encoding}"),
            None => format!("byte {} of the row is not UTF-8", valid + 1),
        };
        let column = if valid == line.len() { 1 } else { column };
        Finding::new(code, reason).at(list, number).column(column)
    });
}

/// A row that is in no known encoding.
fn unreadable_row(line: &[u8], list: Subset, number: u32) -> Row {
    let text = String::from_utf8_lossy(line);
    Row {
        list,
        line: number,
        path: text.trim().into(),
        label: None,
        entry: None,
        fault: Some(Code::NotUtf8),
        written: Some(text.into()),
        bytes: Some(line.into()),
        has_more: false,
    }
}

/// The lines of a text by Python's rules, each with its end: LF, CRLF, CR, or nothing at the end of the file.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let at = self.0.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(self.0.len());
        let end = if self.0[at..].starts_with(b"\r\n") { at + 2 } else { (at + 1).min(self.0.len()) };
        let line = (&self.0[..at], &self.0[at..end]);
        self.0 = &self.0[end..];
        Some(line)
    }
}

const BLANKS: [char; 2] = [' ', '\t'];
/// Characters other than blanks that people put between path and label: Chinese keyboards write the wide ones, and text
/// from pages has the blank that does not break.
const OTHER_SEPARATORS: [char; 8] = [',', ';', '|', '\u{3000}', '\u{a0}', '，', '；', '｜'];

fn parse_row(
    text: &str,
    list: Subset,
    line: u32,
    exists: &dyn Fn(&str) -> bool,
    findings: &mut Findings,
) -> Option<Row> {
    let text = RowText::new(text, list, line);
    if text.trimmed.is_empty() {
        let what = if text.whole.is_empty() { "nothing" } else { "nothing but blanks" };
        findings.add(Code::BlankRow, |code| text.finding(code, format!("there is {what} in the row"), 0));
        return None;
    }
    let written = Some(text.whole.into());
    let Some(Parts { path, label, fault, has_more }) = text.parts(exists, findings) else {
        findings.add(Code::LabelMissing, |code| {
            let reason = format!("`{}` stands alone", text.trimmed);
            text.finding(code, reason, text.start + text.trimmed.len()).image(text.trimmed)
        });
        let (path, fault) = (text.trimmed.into(), Some(Code::LabelMissing));
        return Some(Row { list, line, path, label: None, entry: None, fault, written, bytes: None, has_more: false });
    };
    let path = path.to_string();
    let mut row = Row { list, line, path, label: None, entry: None, fault, written, bytes: None, has_more };
    match whole_number(label) {
        Some(Ok(number)) => {
            row.label = Some(number);
            row.written = row.written.take_if(|written| !is_written(written, &row.path, number));
        }
        other => {
            let code = if other.is_some() { Code::LabelOutOfRange } else { Code::LabelNotInteger };
            row.fault = Some(code);
            let at = text.whole.rfind(label).unwrap_or(0);
            findings
                .add(code, |code| text.finding(code, format!("the label is `{label}`"), at).image(row.path.as_str()));
        }
    }
    Some(row)
}

/// The text of a row, and its place.
struct RowText<'a> {
    whole: &'a str,
    /// Without the blanks around it.
    trimmed: &'a str,
    /// The position of `trimmed` in `whole`.
    start: usize,
    list: Subset,
    line: u32,
}

/// The parts of a row.
struct Parts<'a> {
    path: &'a str,
    label: &'a str,
    fault: Option<Code>,
    /// Whether more follows.
    has_more: bool,
}

impl<'a> RowText<'a> {
    fn new(whole: &'a str, list: Subset, line: u32) -> Self {
        let start = whole.len() - whole.trim_start().len();
        RowText { whole, trimmed: whole.trim(), start, list, line }
    }

    /// A finding at the byte `at` of the row.
    fn finding(&self, code: Code, reason: String, at: usize) -> Finding {
        Finding::new(code, reason).at(self.list, self.line).column(self.whole[..at].chars().count() + 1)
    }

    /// Path and label; `None` where there is only one word.
    fn parts(&self, exists: &dyn Fn(&str) -> bool, findings: &mut Findings) -> Option<Parts<'a>> {
        if let Some((path, label)) = separated_otherwise(self.trimmed) {
            let at = self.start + path.len();
            let separator = self.whole[at..].chars().next().unwrap_or_default();
            findings.add(Code::OtherSeparator, |code| self.finding(code, separates(separator), at));
            let path = path.trim_end_matches(|c: char| c.is_whitespace() || c == separator);
            return Some(Parts { path, label, fault: None, has_more: false });
        }
        let at = self.trimmed.rfind(BLANKS)?;
        let path = self.trimmed[..at].trim_end_matches(BLANKS);
        if path.contains(BLANKS)
            && !exists(path)
            && let Some(parts) = self.first_words(exists, findings)
        {
            return Some(parts);
        }
        self.judge_blanks(path, &self.trimmed[path.len()..=at], findings);
        Some(Parts { path, label: &self.trimmed[at + 1..], fault: None, has_more: false })
    }

    /// The first two words as path and label, where an existing file shows that more follows: the next row or another
    /// column.
    fn first_words(&self, exists: &dyn Fn(&str) -> bool, findings: &mut Findings) -> Option<Parts<'a>> {
        let mut words = self.trimmed.split(BLANKS).filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let second_at = self.start + self.whole[self.start..].find(second).unwrap_or(0);
        let (digits, glued) = second.split_at(second.bytes().take_while(u8::is_ascii_digit).count());
        if !digits.is_empty() && !glued.is_empty() && (exists(first) || exists(glued)) {
            let reason = format!("`{glued}` begins a row of its own");
            findings.add(Code::GluedRows, |code| self.finding(code, reason, second_at + digits.len()));
            return Some(Parts { path: first, label: digits, fault: Some(Code::GluedRows), has_more: true });
        }
        if !exists(first) {
            return None;
        }
        findings.add(Code::ExtraColumn, |code| {
            self.finding(code, "more follows after path and label".into(), second_at + second.len())
        });
        Some(Parts { path: first, label: second, fault: None, has_more: true })
    }

    /// Reports blanks other than one space between path and label; `gap` is the text between them.
    fn judge_blanks(&self, path: &str, gap: &str, findings: &mut Findings) {
        let path_end = self.start + path.len();
        if gap.contains('\t') {
            let reason = "a tab separates path and label";
            findings.add(Code::TabSeparator, |code| self.finding(code, reason.into(), path_end));
        }
        if let Some(blank) = path.find(BLANKS) {
            let reason = format!("the path `{path}` has blanks in it");
            findings.add(Code::SpaceInName, |code| self.finding(code, reason, self.start + blank));
        }
        if self.whole.len() != self.trimmed.len() || gap.len() > 1 && !gap.contains('\t') {
            let end = self.start + self.trimmed.len();
            let (at, place) = match (self.start > 0, self.whole.len() > end) {
                (true, _) => (0, "before the path"),
                (_, true) => (end, "after the label"),
                _ => (path_end + 1, "between path and label"),
            };
            findings.add(Code::ExtraSpace, |code| self.finding(code, format!("blanks {place}"), at));
        }
    }
}

/// Whether the text is exactly `path label`.
fn is_written(text: &str, path: &str, label: i64) -> bool {
    let rest = text.strip_prefix(path).and_then(|rest| rest.strip_prefix(' '));
    rest.is_some_and(|rest| rest == label.to_string())
}

/// Path and label where another separator is between them and the label is a whole number.
fn separated_otherwise(text: &str) -> Option<(&str, &str)> {
    let (path, label) = text.rsplit_once(OTHER_SEPARATORS)?;
    let label = label.trim();
    let has_path = !path.trim_matches(|c: char| c.is_whitespace() || OTHER_SEPARATORS.contains(&c)).is_empty();
    (whole_number(label).is_some() && has_path).then_some((path, label))
}

/// The reason of a finding; blanks are named, because they look like a space.
fn separates(separator: char) -> String {
    match separator {
        '\u{3000}' => "a full-width blank (U+3000) separates".into(),
        '\u{a0}' => "a blank that does not break (U+00A0) separates".into(),
        other => format!("`{other}` separates"),
    }
}

/// A whole number by Python's rules, signs and leading zeros allowed. `None` for other text, an error for a number that
/// does not fit.
fn whole_number(text: &str) -> Option<Result<i64, ()>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().map_err(|_| ()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = Vec<(String, Option<i64>)>;
    type Found = Vec<(Code, Option<u32>, Option<u32>)>;
    type Case = (&'static str, Option<i64>, &'static str, &'static [(Code, u32)]);

    fn parsed(text: &[u8], existing: &[&str]) -> (Read, Found) {
        let mut findings = Findings::default();
        let rows = parse(text, Subset::Train, &|path| existing.contains(&path), None, &mut findings, &mut |_| ());
        let found = Code::ALL.iter().flat_map(|&code| findings.of(code)).map(|f| (f.code, f.line, f.column)).collect();
        (rows.into_iter().map(|row| (row.path, row.label)).collect(), found)
    }

    #[test]
    fn each_slip_is_named_with_its_place() {
        use Code::*;
        let cases: [Case; 30] = [
            ("a.jpg 3\n", Some(3), "a.jpg", &[]),
            ("a.jpg +03\n", Some(3), "a.jpg", &[]),
            ("a.jpg -1\n", Some(-1), "a.jpg", &[]),
            ("a.jpg\t3\n", Some(3), "a.jpg", &[(TabSeparator, 6)]),
            ("a.jpg  3\n", Some(3), "a.jpg", &[(ExtraSpace, 7)]),
            (" a.jpg 3\n", Some(3), "a.jpg", &[(ExtraSpace, 1)]),
            ("a.jpg 3 \n", Some(3), "a.jpg", &[(ExtraSpace, 8)]),
            ("my cat.jpg 3\n", Some(3), "my cat.jpg", &[(SpaceInName, 3)]),
            ("my\tcat.jpg 3\n", Some(3), "my\tcat.jpg", &[(SpaceInName, 3)]),
            ("a.jpg,3\n", Some(3), "a.jpg", &[(OtherSeparator, 6)]),
            ("my cat.jpg; 3\n", Some(3), "my cat.jpg", &[(OtherSeparator, 11)]),
            ("a.jpg|3\n", Some(3), "a.jpg", &[(OtherSeparator, 6)]),
            ("a.jpg | 3\n", Some(3), "a.jpg", &[(OtherSeparator, 7)]),
            ("a.jpg\u{3000}3\n", Some(3), "a.jpg", &[(OtherSeparator, 6)]),
            ("a.jpg\u{3000}\u{3000}3\n", Some(3), "a.jpg", &[(OtherSeparator, 7)]),
            ("a.jpg \u{3000} 3\n", Some(3), "a.jpg", &[(OtherSeparator, 7)]),
            ("a.jpg\u{a0}3\n", Some(3), "a.jpg", &[(OtherSeparator, 6)]),
            ("a.jpg，3\n", Some(3), "a.jpg", &[(OtherSeparator, 6)]),
            ("\u{3000}a.jpg 3\n", Some(3), "a.jpg", &[(ExtraSpace, 1)]),
            ("a.jpg 3\u{a0}\n", Some(3), "a.jpg", &[(ExtraSpace, 8)]),
            ("a.jpg\n", None, "a.jpg", &[(LabelMissing, 6)]),
            ("a.jpg cat\n", None, "a.jpg", &[(LabelNotInteger, 7)]),
            ("a.jpg 3.0\n", None, "a.jpg", &[(LabelNotInteger, 7)]),
            ("a.jpg 99999999999999999999\n", None, "a.jpg", &[(LabelOutOfRange, 7)]),
            ("a.jpg 3 cat\n", Some(3), "a.jpg", &[(ExtraColumn, 8)]),
            ("a.jpg 3b.jpg 4\n", Some(3), "a.jpg", &[(GluedRows, 8)]),
            ("你好.jpg  3\n", Some(3), "你好.jpg", &[(ExtraSpace, 8)]),
            ("a.jpg 3\r\n", Some(3), "a.jpg", &[(WindowsLineEnds, 0)]),
            ("a.jpg 3", Some(3), "a.jpg", &[(NoFinalNewline, 0)]),
            ("\u{feff}a.jpg 3\n", Some(3), "a.jpg", &[(ByteOrderMark, 1)]),
        ];
        for (text, label, path, expected) in cases {
            let (rows, found) = parsed(text.as_bytes(), &["a.jpg", "b.jpg"]);
            assert_eq!(rows, [(path.to_string(), label)], "{text:?}");
            let expected: Vec<_> =
                expected.iter().map(|&(code, column)| (code, Some(1), (column > 0).then_some(column))).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_row_is_left_out() {
        assert_eq!(parsed(b"", &[]), (vec![], vec![(Code::ListEmpty, None, None)]));
        let (rows, found) = parsed(b"a.jpg 1\n\n \t\nc.jpg 4\n", &[]);
        assert_eq!(rows, [("a.jpg".into(), Some(1)), ("c.jpg".into(), Some(4))]);
        assert_eq!(found, [(Code::BlankRow, Some(2), Some(1)), (Code::BlankRow, Some(3), Some(1))],);
    }

    #[test]
    fn rows_that_are_not_utf8_are_read_and_keep_their_bytes() {
        let rows = |bytes: &[u8], decode: Option<&NameDecoder>| {
            let mut findings = Findings::default();
            let rows = parse(bytes, Subset::Train, &|_| false, decode, &mut findings, &mut |_| ());
            (rows, findings)
        };
        let gbk = b"a.jpg 1\nimages/\xc2\xcc\xb2\xe8/1.jpg 2\nimages/\xba\xec\xb2\xe8/2.jpg 3\n";
        let (read, findings) = rows(gbk, None);
        assert_eq!(read[1].path, "images/绿茶/1.jpg");
        assert_eq!((read[1].label, read[1].fault, &*read[1].bytes()), (Some(2), None, &gbk[8..27]));
        let found: Vec<_> = findings.of(Code::NotUtf8).iter().map(|f| (f.line, f.column, f.reason.as_str())).collect();
        assert_eq!(found[0], (Some(2), Some(8), "the row is read as GBK"));
        assert_eq!((found.len(), read[0].bytes.is_none()), (2, true));

        let none = |_: &[&[u8]]| None;
        let (read, findings) = rows(gbk, Some(&none));
        assert_eq!((read[1].fault, read[1].label, &*read[1].bytes()), (Some(Code::NotUtf8), None, &gbk[8..27]));
        assert_eq!(findings.of(Code::NotUtf8)[0].reason, "byte 8 of the row is not UTF-8");

        let wide: Vec<u8> = "茶.jpg 0\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [[&b"\xff\xfe"[..], &wide].concat(), wide] {
            let (read, findings) = rows(&bytes, None);
            assert_eq!((read[0].path.as_str(), read[0].label, read[0].fault), ("茶.jpg", Some(0), None));
            assert_eq!(findings.of(Code::NotUtf8)[0].reason, "the list is UTF-16LE");
        }
    }

    proptest! {
        #[test]
        fn lists_that_were_written_are_read(
            rows in prop::collection::vec(("[a-z/._+-]{1,12}", any::<i64>()), 1..40),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        ) {
            let text: String = rows.iter().map(|(path, label)| format!("{path} {label}{end}")).collect();
            let (read, found) = parsed(text.as_bytes(), &[]);
            let expected: Vec<_> = rows.into_iter().map(|(path, label)| (path, Some(label))).collect();
            prop_assert_eq!(read, expected);
            prop_assert_eq!(found.len(), usize::from(end != "\n"));
        }

        #[test]
        fn any_bytes_are_taken_apart(
            bytes in prop::collection::vec(prop::sample::select(b"a./\\ \t\r\n,;0123-+\xff\xc3\xa9\xef\xbb\xbf".to_vec()), 0..60),
        ) {
            let mut findings = Findings::default();
            let rows = parse(&bytes, Subset::Query, &|path| path.len() == 1, None, &mut findings, &mut |_| ());
            let lines = Lines(&bytes).count();
            for row in &rows {
                prop_assert!(row.line as usize <= lines && !row.path.is_empty());
                prop_assert!(row.fault.is_some() || row.label.is_some());
            }
            let all: Vec<&Finding> = Code::ALL.iter().flat_map(|&code| findings.of(code)).collect();
            // whatever a strict reader would refuse has been said
            let text = String::from_utf8_lossy(&bytes);
            let is_strict = bytes.split(|&byte| byte == b'\n').all(|line| line.split(|&byte| byte == b' ').count() == 2);
            prop_assert!(is_strict || !all.is_empty() || text.ends_with('\n'), "{:?}", text);
            for finding in all {
                prop_assert!(finding.line.is_none_or(|line| line >= 1 && line as usize <= lines.max(1)));
            }
        }
    }
}
