//! Addresses in the place of paths.

use std::path::Path;

use image_feature::{Error, Result};

/// The error for an address that stands where a path is expected; `None` for a path.
pub fn as_address(path: &Path) -> Option<Error> {
    let text = path.to_str()?;
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme || path.exists() {
        return None;
    }
    Some(Error::usage(match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" | "ftp" => format!(
            "this is an address, and only files are read; download it first: curl -L -o '{}' '{}'",
            file_name(rest),
            text.replace('\'', "%27")
        ),
        "file" => format!("this is an address; give the path itself: {}", rest.trim_start_matches("localhost")),
        _ => "this is an address, and only files are read; download it first, and give the file".to_string(),
    }))
}

/// Refuses an address where a path is expected.
///
/// # Errors
/// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage), with the path and the way to download it.
pub fn refuse_address(path: &Path) -> Result<()> {
    as_address(path).map_or(Ok(()), |error| Err(error.context(path.display().to_string())))
}

/// The name of an address's file, without the query.
fn file_name(rest: &str) -> String {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let name = path.split_once('/').map_or("", |(_, path)| path).rsplit('/').find(|part| !part.is_empty());
    let name: String = name.unwrap_or("download").chars().filter(|c| !c.is_control() && *c != '\'').collect();
    if name.starts_with('-') { format!("./{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        let cases = [
            ("https://example.org/a.jpg?w=2", Some("curl -L -o 'a.jpg' 'https://example.org/a.jpg?w=2'")),
            ("HTTP://example.org/", Some("curl -L -o 'download' 'HTTP://example.org/'")),
            ("https://example.org/b's.jpg#x", Some("curl -L -o 'bs.jpg' 'https://example.org/b%27s.jpg#x'")),
            ("s3://bucket/photos/", Some("download it first, and give the file")),
            ("file:///home/me/a.jpg", Some("give the path itself: /home/me/a.jpg")),
            ("photos/a.jpg", None),
            ("C://photos/a.jpg", None),
            ("a b://c", None),
        ];
        for (path, advice) in cases {
            let error = as_address(Path::new(path)).map(|error| error.to_string());
            assert_eq!(error.is_some(), advice.is_some(), "{path}");
            assert!(error.unwrap_or_default().ends_with(advice.unwrap_or_default()), "{path}");
        }
    }
}
