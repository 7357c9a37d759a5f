//! `serve`: its answers and refusals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::program::{finish, program, run, text};

/// The program as a server.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(arguments: &[&str], current_folder: &Path) -> Self {
        let mut child = program()
            .arg("serve")
            .args(arguments)
            .args(["--port", "0"])
            .current_dir(current_folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect(&line).parse().unwrap();
        Server { child, address }
    }

    /// Sends a request as it is and gives the status, the headers in lower case and the body.
    fn request(&self, method: &str, target: &str, headers: &str) -> (u16, String, Vec<u8>) {
        self.send(&format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
    }

    fn send(&self, head: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    pub fn get(&self, target: &str) -> (u16, String, Vec<u8>) {
        self.request("GET", target, "")
    }
}

/// Reads an answer to its end: the status, the headers in lower case and the body.
pub fn read_answer(stream: &mut TcpStream) -> (u16, String, Vec<u8>) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an end of the headers");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A site in `www`, with secrets beside it.
fn site() -> temp_dir::TempDir {
    let folder = temp_dir::TempDir::new().unwrap();
    let www = folder.path().join("www");
    std::fs::create_dir_all(www.join(".git")).unwrap();
    std::fs::create_dir_all(www.join("wasm")).unwrap();
    let files: [(&str, &[u8]); 6] = [
        ("index.html", b"<!doctype html>hello"),
        ("app.js", b"export {};"),
        (".env", b"secret"),
        (".git/config", b"secret"),
        ("wasm/core.wasm", &[0; 50_000]),
        ("../secret.txt", b"secret"),
    ];
    for (name, bytes) in files {
        std::fs::write(www.join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn every_answer_has_the_headers() {
    let site = site();
    let server = Server::start(&["www"], site.path());
    assert!(server.address.ip().is_loopback());
    let expected = [
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "cross-origin-resource-policy: same-origin",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
        "content-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; \
         connect-src 'self' blob:; worker-src 'self' blob:; style-src 'self'; object-src 'none'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ];
    let pages = [
        ("/", 200, "text/html"),
        ("/app.js", 200, "text/javascript"),
        ("/wasm/core.wasm", 200, "application/wasm"),
        ("/nosuch", 404, ""),
        ("/.env", 404, ""),
    ];
    for (target, status, mime) in pages {
        let (answered, head, _) = server.get(target);
        assert_eq!(answered, status, "{target}: {head}");
        assert!(head.contains(&format!("content-type: {mime}")) || mime.is_empty(), "{target}: {head}");
        for header in expected {
            assert!(head.contains(header), "{target}: no {header} in {head}");
        }
    }
    assert!(server.get("/").2.ends_with(b"hello"));
}

#[test]
fn wasm_is_compressed_and_cached() {
    let site = site();
    let server = Server::start(&["www"], site.path());
    let (_, head, body) = server.request("GET", "/wasm/core.wasm", "Accept-Encoding: gzip\r\n");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("vary: accept-encoding"), "{head}");
    assert!(body.len() < 5000, "{} bytes", body.len());
    let (_, head, body) = server.get("/wasm/core.wasm");
    assert!(!head.contains("content-encoding") && body.len() == 50_000, "{head}");

    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect(&head);
    let (status, _, body) = server.request("GET", "/wasm/core.wasm", &format!("If-None-Match: {etag}\r\n"));
    assert!(status == 304 && body.is_empty(), "{status}");
    std::fs::write(site.path().join("www/wasm/core.wasm"), b"rebuilt").unwrap();
    let (status, _, body) = server.request("GET", "/wasm/core.wasm", &format!("If-None-Match: {etag}\r\n"));
    assert!(status == 200 && body.ends_with(b"rebuilt"), "{status}");

    assert_eq!(server.request("HEAD", "/app.js", "").0, 200);
    assert_eq!(server.request("POST", "/app.js", "Content-Length: 0\r\n").0, 405);
}

#[test]
fn nothing_outside_is_served() {
    let site = site();
    let server = Server::start(&["www"], site.path());
    let targets = [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/wasm/../../secret.txt",
        "/wasm/..%2f..%2fsecret.txt",
        "/..\\secret.txt",
        "/%5c..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "//../secret.txt",
        "/%00/../secret.txt",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/%2Egit%2fconfig",
        "/wasm/%2e%2e/.env",
    ];
    let outside = format!("/{}", site.path().join("secret.txt").display());
    for target in targets.into_iter().chain([outside.as_str()]) {
        let (status, head, body) = server.get(target);
        assert!((400..500).contains(&status), "{target}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{target}");
    }
    assert_eq!(server.get("/").0, 200, "it still answers");
}

#[cfg(unix)]
#[test]
fn links_stay_in_the_folder() {
    use std::os::unix::fs::symlink;
    let site = site();
    let www = site.path().join("www");
    std::fs::create_dir(site.path().join("beside")).unwrap();
    std::fs::write(site.path().join("beside/index.html"), "secret").unwrap();
    std::fs::create_dir(www.join("index")).unwrap();
    let links = [
        ("../secret.txt", "out.txt"),
        ("../beside", "beside"),
        (".git/config", "hidden.txt"),
        ("../../secret.txt", "index/index.html"),
        ("wasm/core.wasm", "inside.wasm"),
        ("wasm", "inside"),
    ];
    for (target, link) in links {
        symlink(target, www.join(link)).unwrap();
    }
    // the folder itself may be a link
    symlink("www", site.path().join("linked")).unwrap();
    for folder in ["www", "linked"] {
        let server = Server::start(&[folder], site.path());
        for target in ["/out.txt", "/beside/", "/beside/index.html", "/hidden.txt", "/index/", "/index/index.html"] {
            let (status, head, body) = server.get(target);
            assert_eq!(status, 404, "{target}: {head}");
            assert!(!String::from_utf8_lossy(&body).contains("secret"), "{target}");
        }
        for target in ["/inside.wasm", "/inside/core.wasm", "/wasm/core.wasm"] {
            assert_eq!((server.get(target).0, server.get(target).2.len()), (200, 50_000), "{target}");
        }
        assert_eq!(server.get("/").0, 200);
    }
}

/// A foreign page can let its own name resolve to this computer, and then read what it gets.
#[test]
fn files_are_given_under_own_names_only() {
    let site = site();
    let server = Server::start(&["www", "--allow-host", "photos.example.org"], site.path());
    let asked = |host: &str| server.send(&format!("GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "192.168.0.7", "photos.example.org:80"] {
        assert_eq!(asked(&format!("Host: {host}\r\n")).0, 200, "{host}");
    }
    let foreign = ["Host: evil.example.org\r\n", "Host: localhost.evil.org\r\n", "Host: \r\n", ""];
    for host in foreign.into_iter().chain(["Host: localhost\r\nHost: evil.example.org\r\n"]) {
        let (status, head, body) = asked(host);
        assert!((400..500).contains(&status), "{host}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("hello"), "{host}");
    }
    let (status, _, body) = asked(foreign[0]);
    assert!(status == 421 && String::from_utf8_lossy(&body).contains("--allow-host"), "{status}");
    let absolute = "GET http://evil.example.org/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(server.send(absolute).0, 421);
    run(["serve", "--allow-host", "http://photos"]).fails_with_usage("expected a name alone");
}

#[test]
fn the_page_is_found_and_a_folder_that_is_not_there_is_named() {
    let site = site();
    let server = Server::start(&[], site.path());
    assert!(server.get("/").2.ends_with(b"hello"));
    run(["serve", text(&site.path().join("nosuch"))]).fails(1, &["nosuch", "no such folder"]);
}

#[test]
fn a_busy_port_is_explained() {
    let site = site();
    let server = Server::start(&["www"], site.path());
    let port = server.address.port().to_string();
    let second = finish(program().args(["serve", "www", "--port", &port]).current_dir(site.path()));
    second.fails(1, &[&server.address.to_string(), "another program listens there", "--port"]);
    let nowhere = finish(program().args(["serve", "www", "--host", "192.0.2.1"]).current_dir(site.path()));
    nowhere.fails(1, &["192.0.2.1:8080", "--host"]);
}

#[cfg(unix)]
#[test]
fn it_stops_when_asked() {
    let site = site();
    for signal in ["-INT", "-TERM"] {
        let mut server = Server::start(&["www"], site.path());
        // a client that never finishes its request does not keep the server up
        let mut idle = TcpStream::connect(server.address).unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let asked = Instant::now();
        std::process::Command::new("kill").args([signal, &server.child.id().to_string()]).status().unwrap();
        let status = server.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{signal}");
    }
}
