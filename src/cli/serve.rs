//! `image-feature serve`: the page, with the headers that WebAssembly with threads needs.

use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

use super::Outcome;
use super::terminal::note;
use crate::{Error, ErrorKind, Result};

/// How long requests may take to finish after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

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

/// Serve the page on this computer
#[derive(clap::Args)]
pub struct ServeArgs {
    /// Folder to serve [default: the folder www of the checkout, or the one beside the program]
    dir: Option<PathBuf>,
    /// Port; 0 takes any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other computers in
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
}

pub fn run(args: ServeArgs) -> Result<Outcome> {
    let folder = match args.dir {
        Some(folder) => folder,
        None => find_page()?,
    };
    if !folder.is_dir() {
        let message = format!("{}: no such folder; give the one to serve", folder.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(&folder, SocketAddr::new(args.host, args.port)))?;
    runtime.shutdown_background(); // a file being read must not hold the program up
    Ok(Outcome::Good)
}

/// The folder `www` with the page: in the current folder, or beside the program or above it (`target/release`).
fn find_page() -> Result<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let current = std::env::current_dir().unwrap_or_default();
    std::iter::once(current.as_path())
        .chain(program.ancestors().skip(1).take(4))
        .map(|folder| folder.join("www"))
        .find(|folder| folder.join("index.html").is_file())
        .ok_or_else(|| {
            let message = "the page (www/index.html) is neither here nor beside the program; \
                           give the folder to serve: image-feature serve DIR";
            Error::new(ErrorKind::Io, message)
        })
}

async fn serve(folder: &Path, address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, error))?;
    let address = listener.local_addr()?;
    let interrupts = interrupts()?; // before the address is told: whoever reads it may stop us at once
    note(&format!("serving {} at http://{address}/ (Ctrl-C stops)", folder.display()));
    if !address.ip().is_loopback() {
        note("other computers can open this too; their browsers give WebGPU and threads only to https:// or localhost");
    }

    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        interrupts.await;
        stop.send_replace(true);
    });
    let mut stopped = stopping.clone();
    let server = axum::serve(listener, router(folder)).with_graceful_shutdown(async move {
        let _ = stopping.wait_for(|&stop| stop).await;
    });
    tokio::select! {
        served = async { server.await } => served?,
        () = async {
            let _ = stopped.wait_for(|&stop| stop).await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
    Ok(())
}

fn router(folder: &Path) -> Router {
    Router::new()
        .fallback_service(ServeDir::new(folder))
        .layer(from_fn(refuse_hidden))
        .layer(CompressionLayer::new())
        .layer(from_fn(add_headers))
}

async fn add_headers(request: Request, next: Next) -> Response {
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

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> Error {
    let what_to_do = match error.kind() {
        AddrInUse => "another program listens there; stop it, or choose with --port N (0 takes a free port)",
        PermissionDenied => "ports below 1024 need an administrator; choose another with --port N",
        AddrNotAvailable => "this computer has no such address; leave --host out for this computer only",
        _ => "choose another with --host and --port",
    };
    Error::new(ErrorKind::Io, format!("cannot listen on {address}: {what_to_do}")).with_source(error)
}

/// Begins to listen for Ctrl-C and SIGTERM; what it gives waits for one.
#[cfg(unix)]
fn interrupts() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Begins to listen for Ctrl-C; what it gives waits for it.
#[cfg(windows)]
fn interrupts() -> Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
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
