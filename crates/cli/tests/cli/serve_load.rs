//! `serve` with clients that keep it waiting: others are answered, and it ends when asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::serve::Server;

/// Time within which a client is answered while others keep the server waiting.
const AT_ONCE: Duration = Duration::from_secs(5);
/// More than the system keeps for a client that does not read.
const LARGE: usize = 24 << 20;

/// A site with a large file.
fn site() -> temp_dir::TempDir {
    let folder = temp_dir::TempDir::new().unwrap();
    std::fs::write(folder.path().join("index.html"), "hello").unwrap();
    std::fs::write(folder.path().join("large.bin"), vec![7; LARGE]).unwrap();
    folder
}

#[track_caller]
fn is_answered_at_once(server: &Server) {
    let asked = Instant::now();
    assert!(server.get("/").2.ends_with(b"hello"));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
}

fn clients(server: &Server, count: usize, head: &str) -> Vec<TcpStream> {
    let connect = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let _ = stream.write_all(head.as_bytes()); // it may already have been closed for another
        stream
    };
    std::iter::repeat_with(connect).take(count).collect()
}

/// Reads a connection to its end. Gives the number of bytes.
fn read_rest(mut stream: TcpStream) -> usize {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut total, mut buffer) = (0, [0; 65_536]);
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        total += len;
    }
    total
}

#[test]
fn readers_that_never_read_keep_nobody_out() {
    let site = site();
    let server = Server::start(&["."], site.path());
    let readers = clients(&server, 300, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for _ in 0..10 {
        is_answered_at_once(&server);
    }
    drop(readers);
}

#[test]
fn a_reader_that_never_reads_is_given_up() {
    let site = site();
    let server = Server::start(&[".", "--write-time", "1"], site.path());
    let reader = clients(&server, 1, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").remove(0);
    std::thread::sleep(Duration::from_secs(3));
    let read = read_rest(reader);
    assert!(0 < read && read < LARGE, "{read}");
    // one that reads slowly, but reads, gets all of it
    let mut slow =
        clients(&server, 1, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").remove(0);
    let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match slow.read(&mut buffer).unwrap() {
            0 => break,
            len => total += len,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(total > LARGE, "{total}");
}

#[test]
fn slow_heads_keep_nobody_out() {
    let site = site();
    let server = Server::start(&["."], site.path());
    let mut slow = clients(&server, 300, "GET / HTTP/1.1\r\n");
    for _ in 0..10 {
        for stream in &mut slow {
            let _ = stream.write_all(b"x"); // it may have been closed
        }
        is_answered_at_once(&server);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let site = site();
    let server = Server::start(&[".", "--head-time", "1"], site.path());
    let started = Instant::now();
    for stream in clients(&server, 20, "GET / HTTP/1.1\r\nHost: local") {
        assert!(read_rest(stream) < 1000);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A client that is being answered is not closed for others, however many they are.
#[test]
fn a_client_that_reads_gets_its_whole_answer() {
    let site = site();
    let server = Server::start(&[".", "--max-connections", "8"], site.path());
    let mut reader =
        clients(&server, 1, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").remove(0);
    let (mut total, mut buffer) = (0, vec![0; 1 << 19]);
    let mut idle = Vec::new();
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            len => total += len,
        }
        idle.extend(clients(&server, 1, "GET / HTTP"));
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(total > LARGE, "{total}");
}

#[cfg(unix)]
#[test]
fn it_ends_whatever_its_clients_do() {
    let site = site();
    for signal in ["-INT", "-TERM"] {
        let mut server = Server::start(&["."], site.path());
        let _readers = clients(&server, 100, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let _heads = clients(&server, 100, "GET / HTTP/1.1\r\n");
        let _idle = clients(&server, 100, "");
        is_answered_at_once(&server);
        let asked = Instant::now();
        std::process::Command::new("kill").args([signal, &server.child.id().to_string()]).status().unwrap();
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{signal}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{signal}: {:?}", asked.elapsed());
    }
}
