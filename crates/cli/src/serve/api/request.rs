//! The requests of clients.

use std::borrow::Cow;

use axum::http::StatusCode;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::Refusal;
use image_feature::{Error, Result};

/// Maximum characters of an error message. It may quote the request.
const MESSAGE_CHARACTERS: usize = 300;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
pub struct Pair<'a> {
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    #[serde(borrow)]
    pub label: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRequest<'a> {
    #[serde(borrow)]
    pub image_label_pairs: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddRequest<'a> {
    #[serde(borrow)]
    pub image_label_pairs: Vec<Pair<'a>>,
    pub index_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveRequest {
    pub ids: Vec<i64>,
    pub index_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InferRequest<'a> {
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    pub index_key: Option<String>,
    pub det_threshold: Option<f32>,
    pub rec_threshold: Option<f32>,
    pub hamming_radius: Option<f32>,
    pub topk: Option<i64>,
    pub visualize: Option<bool>,
}

/// Reads a request's JSON. The refusal has the form of PaddleX's FastAPI, a list of errors, with the first error only.
pub fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let (place, error) = match serde_path_to_error::deserialize(&mut json) {
        Ok(request) => match json.end() {
            Ok(()) => return Ok(request),
            Err(error) => (Vec::new(), error),
        },
        Err(error) => {
            let place = error.path().iter().filter_map(|segment| match segment {
                Segment::Map { key } => Some(json!(key)),
                Segment::Seq { index } => Some(json!(index)),
                _ => None,
            });
            (place.collect(), error.into_inner())
        }
    };
    let kind = if error.classify() == Category::Data { "value_error" } else { "json_invalid" };
    let place: Vec<Value> = std::iter::once(json!("body")).chain(place).collect();
    let message: String = error.to_string().chars().take(MESSAGE_CHARACTERS).collect();
    let errors = json!([{ "type": kind, "loc": place, "msg": message }]);
    Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, errors.to_string()))
}

/// The bytes of an image file in base64, also within a `data:` URL.
///
/// # Errors
/// [`ErrorKind::Unsupported`](image_feature::ErrorKind::Unsupported) for URLs: a client could make this computer open addresses
/// that only this computer can reach. [`ErrorKind::Decode`](image_feature::ErrorKind::Decode) for other texts than base64.
pub fn image_bytes(text: &str) -> Result<Vec<u8>> {
    if text.get(..8).unwrap_or(text).to_ascii_lowercase().starts_with("http") && text.contains("://") {
        return Err(Error::unsupported("is a URL, and this service fetches nothing; send the file's bytes in base64"));
    }
    let text = data_of_url(text)?.unwrap_or(text);
    let text: Cow<str> = match text.contains(|c: char| c.is_ascii_whitespace()) {
        true => text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().into(),
        false => text.into(),
    };
    BASE64.decode(&*text).map_err(|error| Error::decode(format!("is no base64: {error}")))
}

/// The base64 of a `data:` URL; `None` for other texts.
fn data_of_url(text: &str) -> Result<Option<&str>> {
    const SCHEME: &str = "data:";
    let Some(url) =
        text.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME)).map(|_| &text[SCHEME.len()..])
    else {
        return Ok(None);
    };
    let is_base64 = |kind: &str| kind.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    match url.split_once(',') {
        Some((kind, data)) if is_base64(kind) => Ok(Some(data)),
        _ => Err(Error::decode("is a data: URL without base64; `data:image/jpeg;base64,…` is read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_base64_and_nothing_else() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8",
            "aGVs\r\nbG8=\n",
            "data:image/jpeg;base64,aGVsbG8=",
            "DATA:;BASE64,aGVsbG8",
            "data:image/png;name=a.png;base64,aGVs\nbG8=",
        ] {
            assert_eq!(image_bytes(text).unwrap(), b"hello", "{text}");
        }
        for (text, part) in [
            ("http://127.0.0.1/x.png", "URL"),
            ("HTTPS://example.org/x", "URL"),
            ("a", "base64"),
            ("é!", "base64"),
            ("data:image/png,x", "data: URL"),
            ("data:", "data: URL"),
            ("data:;base64,é", "base64"),
        ] {
            assert!(image_bytes(text).unwrap_err().to_string().contains(part), "{text}");
        }
    }

    #[test]
    fn error_messages_are_short() {
        let body = format!("{{\"ids\": \"{}\"}}", "x".repeat(1 << 20));
        let refused = parse::<RemoveRequest>(body.as_bytes()).err().unwrap();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.message.len() < 500 && refused.message.starts_with("[{"), "{}", refused.message);
    }
}
