//! The page's files, and the headers of every answer.

use std::path::{Component, Path};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

use super::host::{Hosts, refuse_foreign};
use image_feature::Result;
use image_feature::error::Context;

/// Headers of every answer. The page loads from this server only, sends nothing elsewhere, and cannot be framed. It is
/// isolated from other origins, which browsers require for shared memory.
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
    // Browsers ask each time, by ETag: new wasm does not run with an old script.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// The routes of the files of a folder, for requests under this server's own names.
///
/// # Errors
/// [`ErrorKind::Io`](image_feature::ErrorKind::Io) where the folder cannot be read.
pub fn router(folder: &Path, hosts: &Hosts) -> Result<Router> {
    let root: Arc<Path> = folder.canonicalize().context(|| folder.display().to_string())?.into();
    Ok(Router::new()
        .fallback_service(ServeDir::new(folder))
        .layer(from_fn_with_state(root, refuse_hidden))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(hosts.clone(), refuse_foreign)))
}

/// Adds the headers of every answer.
pub async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(HEADERS);
    response
}

/// Answers 404 for names that start with a dot, such as `.git` and `.env`, and for links that lead to these or out of the folder.
async fn refuse_hidden(State(root): State<Arc<Path>>, request: Request, next: Next) -> Response {
    let path = percent_decoded(request.uri().path());
    let hidden = path.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part.starts_with(b"."));
    if hidden || !is_inside(root, path).await {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(request).await
}

/// Whether the file of a request lies in the folder when links are followed. One that does not exist does.
async fn is_inside(root: Arc<Path>, path: Vec<u8>) -> bool {
    let Ok(path) = String::from_utf8(path) else { return true }; // `ServeDir` has no such file
    let looked = tokio::task::spawn_blocking(move || {
        let file = root.join(path.trim_start_matches('/'));
        // a folder is answered with its index
        [file.join("index.html"), file].iter().all(|file| leads_inside(&root, file))
    });
    looked.await.unwrap_or(false)
}

fn leads_inside(root: &Path, file: &Path) -> bool {
    let Ok(real) = file.canonicalize() else { return true };
    let is_plain =
        |part: Component| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
    real.strip_prefix(root).is_ok_and(|below| below.components().all(is_plain))
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
