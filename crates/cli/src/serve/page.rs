//! The page's files, and the headers of every answer.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

/// Everything comes from this server and goes nowhere else; nobody frames the page; what it opens shares no process
/// with it, which is what a browser asks for before it gives shared memory.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; \
             connect-src 'self' blob:; worker-src 'self' blob:; style-src 'self'; object-src 'none'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-embedder-policy"), HeaderValue::from_static("require-corp")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // ask each time, by ETag: a rebuilt wasm must not meet an old script
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// Answers with the files of a folder.
pub fn router(folder: &Path) -> Router {
    Router::new().fallback_service(ServeDir::new(folder)).layer(from_fn(refuse_hidden)).layer(CompressionLayer::new())
}

/// Adds the headers that every answer has.
pub async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(HEADERS);
    response
}

/// Answers 404 for files and folders whose name starts with a dot: `.git`, `.env`.
async fn refuse_hidden(request: Request, next: Next) -> Response {
    let path = percent_decoded(request.uri().path());
    if path.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part.starts_with(b".")) {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(request).await
}

fn percent_decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = bytes.get(index + 1..index + 3).filter(|_| bytes[index] == b'%');
        let value = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        decoded.push(value.unwrap_or(bytes[index]));
        index += if value.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_escapes_are_decoded_once() {
        for (path, decoded) in [("/a%2Egit", "/a.git"), ("/%252e", "/%2e"), ("/%zz%4", "/%zz%4"), ("/%e9", "/\u{fffd}")]
        {
            assert_eq!(String::from_utf8_lossy(&percent_decoded(path)), decoded);
        }
    }
}
