//! Downloads from a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use temp_dir::TempDir;

use super::{DownloadOptions, OFFICIAL_MODELS, OfficialModel};
use crate::{Error, Result};

const MODEL: &OfficialModel = &OFFICIAL_MODELS[0];

/// How the server behaves. It answers with 404 for other paths.
#[derive(Clone, Default)]
struct Behaviour {
    body: Vec<u8>,
    /// The strong ETag; none where empty.
    tag: &'static str,
    /// Ends each connection after this many bytes of the body.
    cut: Option<usize>,
    /// Answers to ranges with the whole file.
    ignores_ranges: bool,
    status: Option<&'static str>,
}

struct Server {
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
    /// The range that each request asked for; empty for the whole.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/models/", listener.local_addr().unwrap());
        let (behaviour, requests) = (Arc::new(Mutex::new(behaviour)), Arc::<Mutex<Vec<String>>>::default());
        let (of_thread, log) = (behaviour.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let behaviour = of_thread.lock().unwrap().clone();
                let _ = answer(stream, &behaviour, &log); // the client may be gone
            }
        });
        Server { address, behaviour, requests }
    }

    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    fn options(&self, cache: &TempDir) -> DownloadOptions {
        let cache = Some(cache.path().join("deep/official_models"));
        DownloadOptions { mirror: Some(self.address.clone()), cache, offline: false }
    }
}

fn answer(mut stream: TcpStream, behaviour: &Behaviour, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let (mut range, mut if_range) = (String::new(), String::new());
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => range = value.into(),
            "if-range" => if_range = value.into(),
            _ => {}
        }
    }
    log.lock().unwrap().push(range.clone());
    if !first.starts_with("GET /models/PP-ShiTuV2_rec_infer.tar ") {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }
    if let Some(status) = behaviour.status {
        return stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    let start = range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let start = start.filter(|_| !behaviour.ignores_ranges && if_range == behaviour.tag);
    let (size, rest) = (behaviour.body.len(), &behaviour.body[start.unwrap_or(0)..]);
    let status = match start {
        Some(start) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{size}", size - 1),
        None => "200 OK".into(),
    };
    let tag = if behaviour.tag.is_empty() { String::new() } else { format!("ETag: {}\r\n", behaviour.tag) };
    write!(stream, "HTTP/1.1 {status}\r\n{tag}Connection: close\r\nContent-Length: {}\r\n\r\n", rest.len())?;
    stream.write_all(&rest[..behaviour.cut.unwrap_or(rest.len()).min(rest.len())])
}

/// An archive of these files, in the folder that PaddleX's archives have.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("PP-ShiTuV2_rec_infer/{name}"), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn model() -> Vec<u8> {
    let weights: Vec<u8> = (0..3_000_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    archive(&[("inference.json", b"{}"), ("inference.pdiparams", &weights), ("inference.yml", b"Global:\n")])
}

fn download(options: &DownloadOptions) -> Result<std::path::PathBuf> {
    MODEL.download(options, &mut |_| ControlFlow::Continue(()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once_and_its_hash_written_down() {
    let (cache, server) = (TempDir::new().unwrap(), Server::start(Behaviour { body: model(), ..Behaviour::default() }));
    let options = server.options(&cache);
    let mut seen = Vec::new();
    let folder = MODEL
        .download(&options, &mut |received| {
            seen.push((received.url.to_string(), received.bytes, received.total));
            ControlFlow::Continue(())
        })
        .unwrap();
    let total = model().len() as u64;
    assert_eq!(seen[0], (format!("{}PP-ShiTuV2_rec_infer.tar", server.address), 0, Some(total)));
    assert_eq!(seen.last().unwrap().1, total);
    assert!(seen.len() > 5 && seen.is_sorted_by_key(|(_, bytes, _)| *bytes), "{seen:?}");
    assert_eq!(names(&folder), ["inference.json", "inference.pdiparams", "inference.yml"]);
    assert_eq!(std::fs::read(folder.join("inference.pdiparams")).unwrap().len(), 3_000_000);
    let beside = names(folder.parent().unwrap());
    let archive = "PP-ShiTuV2_rec_infer.tar";
    assert_eq!(beside, ["PP-ShiTuV2_rec".into(), format!("{archive}.lock"), format!("{archive}.sha256")]);
    assert_eq!(server.requests().len(), 1);

    assert_eq!(download(&options).unwrap(), folder);
    assert!(server.requests().is_empty(), "it is there already");

    // the same again, and then another archive
    std::fs::remove_dir_all(&folder).unwrap();
    download(&options).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    server.set(|behaviour| behaviour.body = archive_of_others());
    let error = download(&options).unwrap_err();
    assert!(error.is_model() && error.to_string().contains(".sha256"), "{error}");
    assert!(!folder.exists());
    assert_eq!(names(folder.parent().unwrap()).len(), 2, "lock and hash");
}

fn archive_of_others() -> Vec<u8> {
    archive(&[("inference.json", b"{ }"), ("inference.pdiparams", b"other"), ("inference.yml", b"Global:\n")])
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let behaviour = Behaviour { body: model(), tag: "\"v1\"", cut: Some(1_000_000), ..Behaviour::default() };
    let (cache, server) = (TempDir::new().unwrap(), Server::start(behaviour));
    let folder = download(&server.options(&cache)).unwrap();
    assert_eq!(std::fs::read(folder.join("inference.pdiparams")).unwrap().len(), 3_000_000);
    let requests = server.requests();
    assert_eq!(requests, ["", "bytes=1000000-", "bytes=2000000-", "bytes=3000000-"]);
    let hash = std::fs::read_to_string(folder.with_file_name("PP-ShiTuV2_rec_infer.tar.sha256")).unwrap();

    // the same hash as that of a download in one piece
    let whole = TempDir::new().unwrap();
    server.set(|behaviour| behaviour.cut = None);
    let folder = download(&server.options(&whole)).unwrap();
    assert_eq!(std::fs::read_to_string(folder.with_file_name("PP-ShiTuV2_rec_infer.tar.sha256")).unwrap(), hash);
}

#[test]
fn a_download_that_was_stopped_goes_on_in_the_next_run() {
    let behaviour = Behaviour { body: model(), tag: "\"v1\"", ..Behaviour::default() };
    let (cache, server) = (TempDir::new().unwrap(), Server::start(behaviour));
    let options = server.options(&cache);
    let stop = |received: super::Received| {
        if received.bytes > 1_000_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(MODEL.download(&options, &mut { stop }).unwrap_err().is_cancelled());
    server.requests();
    download(&options).unwrap();
    let range = server.requests().remove(0);
    let start: u64 = range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
    assert!(start > 1_000_000, "{range}");

    // the server has another version meanwhile: from the beginning
    let cache = TempDir::new().unwrap();
    let options = server.options(&cache);
    assert!(MODEL.download(&options, &mut { stop }).unwrap_err().is_cancelled());
    server.set(|behaviour| (behaviour.tag, behaviour.body) = ("\"v2\"", archive_of_others()));
    let folder = download(&options).unwrap();
    assert_eq!(std::fs::read(folder.join("inference.pdiparams")).unwrap(), b"other");
}

#[test]
fn servers_that_do_not_help_are_given_up() {
    let cases: [(Behaviour, &str); 5] = [
        (Behaviour { status: Some("404 Not Found"), ..Behaviour::default() }, "404"),
        (Behaviour { status: Some("503 Service Unavailable"), ..Behaviour::default() }, "503"),
        (Behaviour { body: model(), cut: Some(100), ignores_ranges: true, ..Behaviour::default() }, "100 bytes"),
        (Behaviour { body: b"<html>sign in</html>".repeat(100), ..Behaviour::default() }, "no archive"),
        (Behaviour { body: archive(&[("readme.txt", b"hello")]), ..Behaviour::default() }, "inference.pdiparams"),
    ];
    for (behaviour, part) in cases {
        let (cache, server) = (TempDir::new().unwrap(), Server::start(behaviour));
        let error = download(&server.options(&cache)).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().starts_with("PP-ShiTuV2_rec: "), "{error}");
        assert!(!cache.path().join("deep/official_models/PP-ShiTuV2_rec").exists());
    }
}

#[test]
fn nothing_is_fetched_offline() {
    let (cache, server) = (TempDir::new().unwrap(), Server::start(Behaviour { body: model(), ..Behaviour::default() }));
    let options = DownloadOptions { offline: true, ..server.options(&cache) };
    let error: Error = download(&options).unwrap_err();
    assert!(error.is_io() && error.to_string().contains("IMAGE_FEATURE_OFFLINE"), "{error}");
    assert!(server.requests().is_empty());
    assert!(!cache.path().join("deep").exists(), "nothing is made");
    // a model that is there is used
    std::fs::create_dir_all(cache.path().join("deep/official_models/PP-ShiTuV2_rec")).unwrap();
    assert!(download(&options).is_ok());
}

#[test]
fn archives_never_write_elsewhere() {
    for name in ["../../evil", "a/../../evil", ".bashrc", "con\u{7}"] {
        let mut bytes = archive(&[("inference.json", b"{}"), ("inference.pdiparams", b"x"), ("placeholder", b"evil")]);
        let at = bytes.windows(11).position(|window| window == b"placeholder").unwrap() - "PP-ShiTuV2_rec_infer/".len();
        bytes[at..at + 100].fill(0);
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        let header = &mut bytes[at..at + 512];
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let (cache, server) =
            (TempDir::new().unwrap(), Server::start(Behaviour { body: bytes, ..Behaviour::default() }));
        let _ = download(&server.options(&cache)); // some are refused, others are left out
        let found: Vec<_> = walk(cache.path());
        assert!(!found.iter().any(|path| path.ends_with(".bashrc")), "{name}: {found:?}");
        let inside = "deep/official_models/";
        assert!(found.iter().all(|path| path.starts_with(inside)), "{name}: {found:?}");
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let below = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => walk(&entry.path()).into_iter().map(|name| format!("{}/{name}", entry.file_name().display())).collect(),
        false => vec![entry.file_name().into_string().unwrap()],
    };
    std::fs::read_dir(folder).unwrap().flat_map(|entry| below(entry.unwrap())).collect()
}
