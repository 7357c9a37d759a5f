//! The names under which this server may be asked.
//!
//! A foreign page can let its own name resolve to this computer (DNS rebinding), and then read what it gets from here. Its
//! requests still carry that name. Nobody else can own `localhost` or an address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Names that are allowed beside `localhost` and addresses.
#[derive(Clone, Default)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    pub fn new(names: &[String]) -> Self {
        Hosts(names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect())
    }

    /// Whether a header `Host` is one of the names.
    pub fn has(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        self.0.contains(&name)
    }

    /// Whether a header `Host` cannot be a foreign page's.
    fn is_own(&self, host: &str) -> bool {
        is_localhost(host) || name_of(host).parse::<IpAddr>().is_ok() || self.has(host)
    }
}

/// A name for `--allow-host`: without scheme, port and path.
///
/// # Errors
/// The reason why the text is no name.
pub fn host_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.into()),
        false => Err("expected a name alone, such as photos.example.org".into()),
    }
}

/// The name in a header `Host`, without port and the brackets of an address.
fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.')
}

fn is_localhost(host: &str) -> bool {
    name_of(host).eq_ignore_ascii_case("localhost")
}

/// Whether a header `Host` names this computer by one of its own names.
pub fn is_local(host: &str) -> bool {
    is_localhost(host) || name_of(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The one header `Host`; empty where there is none, or several.
pub fn host_of(headers: &HeaderMap) -> &str {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or(""),
        _ => "",
    }
}

/// Answers 421 to requests under foreign names.
pub async fn refuse_foreign(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let asked = request.uri().authority().map(|authority| authority.host().to_string());
    if hosts.is_own(host_of(request.headers())) && asked.is_none_or(|host| hosts.is_own(&host)) {
        return next.run(request).await;
    }
    let message = "this server answers to localhost, to addresses, and to the names that --allow-host gave it\n";
    (StatusCode::MISDIRECTED_REQUEST, message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_computers_own_names_are_local() {
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.0.0.2", "[::1]:8080", "[::1]"] {
            assert!(is_local(host) && Hosts::default().is_own(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org:80", "192.168.0.7", "[::2]:80", "127.0.0.1.example.org"]
        {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn names_are_foreign_unless_they_are_allowed() {
        let hosts = Hosts::new(&["Photos.example.org".into()]);
        for host in ["photos.example.org", "PHOTOS.example.org.:80", "192.168.0.7:8080", "[fe80::1]", "localhost."] {
            assert!(hosts.is_own(host), "{host}");
        }
        for host in ["", "example.org", "evil.photos.example.org", "photos.example.org.evil", "1.2.3.4.example"] {
            assert!(!hosts.is_own(host), "{host}");
        }
        assert!(host_name("photos.example.org").is_ok());
        for wrong in ["", "http://photos", "photos:80", "a/b", "*"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
