//! A file from a server, which goes on after a break.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::error::Context;
use crate::{Error, Result};

/// Time for a connection, and for each read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts without a byte in between.
const ATTEMPTS: u32 = 4;
/// Largest archive. The largest official one has 1.2 GB.
const MOST_BYTES: u64 = 4 << 30;
/// Bytes between two calls of the progress.
const REPORT_EVERY: u64 = 256 << 10;

/// The progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<'u> {
    /// The address.
    pub url: &'u str,
    /// Bytes so far, those of earlier runs included.
    pub bytes: u64,
    /// Bytes of the whole file, if the server says it.
    pub total: Option<u64>,
}

/// The version of the file that a part is of. It lies beside the part.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Version {
    url: String,
    /// A strong ETag, or the date of the last change.
    validator: String,
}

/// The reason why an attempt ended.
enum Failure {
    /// Another attempt may succeed.
    Broken(Error),
    Final(Error),
}

/// Downloads a file to the path `part`, and goes on with what is there already.
///
/// # Errors
/// As [`OfficialModel::download`](super::OfficialModel::download).
pub(super) fn fetch(url: &str, part: &Path, progress: &mut dyn FnMut(Received) -> ControlFlow<()>) -> Result<()> {
    let download = Download { url, part, version: version_path(part), agent: agent() };
    let mut attempts = 0;
    let mut reached = 0;
    loop {
        match download.attempt(progress) {
            Ok(()) => {
                let _ = fs::remove_file(&download.version);
                return Ok(());
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Broken(error)) => {
                let length = fs::metadata(part).map_or(0, |metadata| metadata.len());
                attempts = if length > reached { 1 } else { attempts + 1 };
                reached = reached.max(length);
                if attempts >= ATTEMPTS {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(250) * attempts);
            }
        }
    }
}

fn version_path(part: &Path) -> PathBuf {
    part.with_added_extension("json")
}

/// One connection after another. Uses the proxy of `HTTPS_PROXY`, and the system root certificates.
fn agent() -> Agent {
    let system = rustls_native_certs::load_native_certs().certs;
    let certificates: Vec<_> = system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    // a small container may have none
    let roots = if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(certificates)) };
    Agent::config_builder()
        .user_agent(concat!("image-feature/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .new_agent()
}

struct Download<'d> {
    url: &'d str,
    part: &'d Path,
    version: PathBuf,
    agent: Agent,
}

impl Download<'_> {
    fn attempt(&self, progress: &mut dyn FnMut(Received) -> ControlFlow<()>) -> Result<(), Failure> {
        let known = self.known();
        let mut request = self.agent.get(self.url);
        if let Some((length, version)) = &known {
            request = request.header(header::RANGE, format!("bytes={length}-"));
            request = request.header(header::IF_RANGE, &version.validator);
        }
        let mut response = request.call().map_err(|error| self.unreached(error))?;
        let start = match (response.status(), &known) {
            (StatusCode::PARTIAL_CONTENT, Some((length, _))) if range_start(&response) == Some(*length) => *length,
            // the server does not continue files, or has another version
            (StatusCode::OK, _) => 0,
            // the part is all there is, or longer: begin again
            (StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT, Some(_)) => {
                let _ = fs::remove_file(self.part);
                return Err(Failure::Broken(self.error("the server does not continue its own file")));
            }
            (status, _) => return Err(self.refused(status)),
        };
        let total = response.body().content_length().map(|rest| start + rest);
        if total.is_some_and(|total| total > MOST_BYTES) {
            return Err(Failure::Final(Error::limit(format!("{}: larger than {MOST_BYTES} bytes", self.url))));
        }
        let mut file = self.open_part(&response, start).map_err(Failure::Final)?;
        self.receive(response.body_mut().as_reader(), &mut file, start, total, progress)
    }

    /// The length of the part and the version that it is of; `None` where there is nothing to go on with.
    fn known(&self) -> Option<(u64, Version)> {
        let version: Version = serde_json::from_slice(&fs::read(&self.version).ok()?).ok()?;
        let length = fs::metadata(self.part).ok()?.len();
        (length > 0 && version.url == self.url).then_some((length, version))
    }

    /// Opens the part to write from `start` on.
    fn open_part(&self, response: &Response<Body>, start: u64) -> Result<File> {
        let open = || -> Result<File> {
            let mut file = File::options().create(true).write(true).truncate(start == 0).open(self.part)?;
            if start == 0 {
                let _ = fs::remove_file(&self.version);
                if let Some(validator) = validator(response) {
                    let version = Version { url: self.url.into(), validator };
                    fs::write(&self.version, serde_json::to_vec(&version).map_err(std::io::Error::other)?)?;
                }
            }
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
            Ok(file)
        };
        open().context(|| format!("{}: cannot be written", self.part.display()))
    }

    fn receive(
        &self,
        mut body: impl Read,
        file: &mut File,
        start: u64,
        total: Option<u64>,
        progress: &mut dyn FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; 64 << 10];
        let (mut bytes, mut reported) = (start, None::<u64>);
        loop {
            if reported.is_none_or(|reported| bytes - reported >= REPORT_EVERY) {
                reported = Some(bytes);
                if progress(Received { url: self.url, bytes, total }).is_break() {
                    return Err(Failure::Final(Error::cancelled(
                        "the download was cancelled; it goes on the next time",
                    )));
                }
            }
            match body.read(&mut buffer) {
                Ok(0) if total.is_none_or(|total| total == bytes) => break,
                Ok(0) => return Err(Failure::Broken(self.error(&format!("the connection ended after {bytes} bytes")))),
                Ok(read) => {
                    bytes += read as u64;
                    let written = file.write_all(&buffer[..read]);
                    written.context(|| self.part.display().to_string()).map_err(Failure::Final)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let told = self.error(&format!("the connection ended after {bytes} bytes: {error}"));
                    return Err(Failure::Broken(told.with_source(error)));
                }
            }
            if bytes > MOST_BYTES {
                return Err(Failure::Final(Error::limit(format!("{}: larger than {MOST_BYTES} bytes", self.url))));
            }
        }
        let synced = file.sync_all().context(|| self.part.display().to_string());
        synced.map_err(Failure::Final)?;
        let _ = progress(Received { url: self.url, bytes, total: Some(bytes) }); // there is nothing left to stop
        Ok(())
    }

    fn error(&self, what: &str) -> Error {
        Error::io(format!(
            "{}: {what}; try again (the download goes on where it ended), or set IMAGE_FEATURE_MIRROR to another server",
            self.url
        ))
    }

    fn unreached(&self, error: ureq::Error) -> Failure {
        let told = self.error(&error.to_string());
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => Failure::Final(told),
            _ => Failure::Broken(told),
        }
    }

    fn refused(&self, status: StatusCode) -> Failure {
        let told = self.error(&format!("the server answered {status}"));
        let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if later { Failure::Broken(told) } else { Failure::Final(told) }
    }
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The first byte of a `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    text(response, header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// What tells one version of the file from another.
fn validator(response: &Response<Body>) -> Option<String> {
    let strong = text(response, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| text(response, header::LAST_MODIFIED)).map(String::from)
}
