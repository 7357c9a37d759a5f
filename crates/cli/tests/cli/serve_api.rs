//! `serve --api`: PaddleX's retrieval service.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use image_feature::gallery::Gallery;
use serde_json::{Value, json};

use super::bench::Bench;
use super::common::shared;
use super::photos::{model_file, photo};
use super::program::{run, text};
use super::serve::{Server, read_answer};

pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Bench {
    pub fn serve(&self, more: &[&str]) -> Server {
        self.serve_model(&self.model, more)
    }

    fn serve_model(&self, model: &Path, more: &[&str]) -> Server {
        let arguments = ["--api", "--device", "cpu", "--threads", "2", "--model", text(model)];
        Server::start(&[&arguments, more].concat(), self.folder.path())
    }

    fn index(&self, key: &str) -> PathBuf {
        self.folder.path().join(".index").join(format!("{key}.safetensors"))
    }
}

/// The start of a request whose body has `len` bytes.
fn head(path: &str, len: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {len}\r\n\r\n"
    )
}

/// Sends a body; gives the status and the envelope, which is checked.
fn send(server: &Server, path: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(head(path, body.len()).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    envelope(read_answer(&mut stream))
}

/// The content that every answer must have.
fn envelope((status, head, body): (u16, String, Vec<u8>)) -> (u16, Value) {
    assert!(head.contains("content-type: application/json"), "{head}");
    let envelope: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    assert_eq!(envelope["logId"].as_str().unwrap().len(), 36, "{envelope}");
    let expected = if status == 200 { 0 } else { status };
    assert_eq!(envelope["errorCode"], expected, "{envelope}");
    assert_eq!(envelope["result"].is_object(), status == 200, "{envelope}");
    assert_eq!(envelope["errorMsg"] == "Success", status == 200, "{envelope}");
    (status, envelope)
}

#[track_caller]
pub fn ask(server: &Server, path: &str, request: Value) -> Value {
    let (status, mut envelope) = send(server, path, request.to_string().as_bytes());
    assert_eq!(status, 200, "{envelope}");
    envelope["result"].take()
}

#[track_caller]
fn refused(server: &Server, path: &str, request: Value, status: u16, part: &str) {
    let (found, envelope) = send(server, path, request.to_string().as_bytes());
    assert_eq!(found, status, "{envelope}");
    assert!(envelope["errorMsg"].as_str().unwrap().contains(part), "no `{part}` in {envelope}");
}

fn pairs(kinds: std::ops::Range<usize>) -> Value {
    kinds.map(|kind| json!({ "image": base64(&photo(kind)), "label": format!("kind {kind}") })).collect()
}

fn build(server: &Server, kinds: std::ops::Range<usize>) -> String {
    let result = ask(server, "/shitu-index-build", json!({ "imageLabelPairs": pairs(kinds) }));
    result["indexKey"].as_str().unwrap().to_string()
}

fn labels(result: &Value) -> Vec<&str> {
    let found = result["detectedObjects"][0]["recResults"].as_array().unwrap();
    found.iter().map(|hit| hit["label"].as_str().unwrap()).collect()
}

#[test]
fn an_index_is_built_added_to_searched_and_removed_from() {
    let bench = Bench::new();
    let server = bench.serve(&[]);
    assert!(server.address.ip().is_loopback());
    let (status, _, body) = server.get("/health");
    let health: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &health["errorCode"], &health["errorMsg"]), (200, &json!(0), &json!("Healthy")));

    let result = ask(&server, "/shitu-index-build", json!({ "imageLabelPairs": pairs(0..3) }));
    assert_eq!(result["imageCount"], 3);
    let key = result["indexKey"].as_str().unwrap();
    assert_eq!(key.len(), 36);
    let result = ask(&server, "/shitu-index-add", json!({ "imageLabelPairs": pairs(3..7), "indexKey": key }));
    assert_eq!(result, json!({ "imageCount": 7 }));

    let infer = |more: Value| {
        let image = format!("data:image/x-portable-pixmap;base64,{}", base64(&photo(4)));
        let mut request = json!({ "image": image, "indexKey": key, "recThreshold": -1.0 });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&server, "/shitu-infer", request)
    };
    // fields of PaddleX that have no meaning without a detector are accepted
    let result = infer(json!({ "detThreshold": 0.3, "visualize": false, "hammingRadius": null }));
    assert!(result["image"].is_null());
    let object = &result["detectedObjects"][0];
    assert_eq!((&object["bbox"], &object["score"]), (&json!([0.0, 0.0, 24.0, 16.0]), &json!(0.0)));
    assert_eq!(labels(&result).len(), 5, "PaddleX's rec_topk");
    assert_eq!(labels(&result)[0], "kind 4");
    assert!((object["recResults"][0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert_eq!(labels(&infer(json!({ "topk": 2 }))).len(), 2);
    assert_eq!(labels(&infer(json!({ "topk": 1_000_000_000_000_i64 }))).len(), 7);
    assert_eq!(labels(&infer(json!({ "recThreshold": 1.01 }))), [""; 0], "the best is not good enough");

    let result = ask(&server, "/shitu-index-remove", json!({ "ids": [4, 0], "indexKey": key }));
    assert_eq!(result, json!({ "imageCount": 5 }));
    assert!(!labels(&infer(json!({ "topk": 9 }))).contains(&"kind 4"));
    // ids go on after the largest that is there
    ask(&server, "/shitu-index-add", json!({ "imageLabelPairs": pairs(4..5), "indexKey": key }));
    let gallery = Gallery::open(bench.index(key)).unwrap();
    let ids: Vec<&str> = gallery.iter().map(|(entry, _)| entry.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "5", "6", "7"]);
}

/// PaddleX's own index, searched with its own photos through its own model.
#[test]
fn answers_are_those_of_paddlex() {
    let (Some(model), Some(golden), Some(inputs)) =
        (shared("golden/models/PP-ShiTuV2_rec_infer_pir"), shared("golden/index"), shared("golden/features/inputs"))
    else {
        return;
    };
    let bench = Bench::new();
    std::fs::create_dir(bench.folder.path().join(".index")).unwrap();
    let import = |key: &str, more: &[&str]| {
        let (input, output) = (golden.join("IP_Flat"), bench.index(key));
        run([&["gallery", "import", text(&input), "--output", text(&output)], more].concat()).good();
    };
    import("paddlex", &["--model", text(&model)]);
    import("unknown", &[]);
    let server = bench.serve_model(&model, &[]);
    let infer = json!({ "image": base64(&photo(1)), "indexKey": "unknown" });
    refused(&server, "/shitu-infer", infer, 409, "does not know which model");
    let index: Value = serde_json::from_slice(&std::fs::read(golden.join("index.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in index["IP_Flat"]["search_thr0.5_top3"].as_array().unwrap() {
        let Ok(photo) = std::fs::read(inputs.join(case["query"].as_str().unwrap())) else { continue };
        let request = json!({ "image": base64(&photo), "indexKey": "paddlex", "topk": 3 });
        let result = ask(&server, "/shitu-infer", request);
        assert_eq!(json!(labels(&result)), case["label"], "{case}");
        let hits = result["detectedObjects"][0]["recResults"].as_array().unwrap();
        for (hit, score) in hits.iter().zip(case["score"].as_array().unwrap()) {
            assert!((hit["score"].as_f64().unwrap() - score.as_f64().unwrap()).abs() < 1e-4, "{case}: {result}");
        }
        compared += 1;
    }
    assert!(compared >= 5, "{compared}");
}

#[test]
fn indexes_outlive_the_server() {
    let bench = Bench::new();
    let mut server = bench.serve(&[]);
    let key = build(&server, 0..4);
    let infer = json!({ "image": base64(&photo(2)), "indexKey": key });
    let before = ask(&server, "/shitu-infer", infer.clone());
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let server = bench.serve(&[]);
    assert_eq!(ask(&server, "/shitu-infer", infer.clone()), before);
    // a change by another program takes effect at once
    run(["gallery", "remove", text(&bench.index(&key)), "2"]).good();
    assert!(!labels(&ask(&server, "/shitu-infer", infer.clone())).contains(&"kind 2"));
    drop(server);

    let info = run(["gallery", "info", text(&bench.index(&key))]).good();
    assert!(info.contains("vectors    3 of 24 values") && info.contains("model      small ("), "{info}");
    let server = bench.serve_model(&model_file(bench.folder.path(), 16), &[]);
    refused(&server, "/shitu-infer", infer, 409, "made by another model, small (");
    refused(&server, "/shitu-index-remove", json!({ "ids": [1], "indexKey": key }), 409, "another model");
    let files: Vec<_> = std::fs::read_dir(bench.folder.path().join(".index")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn what_cannot_be_done_is_said() {
    let bench = Bench::new();
    let server = bench.serve(&[]);
    let key = build(&server, 0..2);
    let photo = base64(&photo(0));
    let bomb = base64(b"P6 65535 65535 255\n");
    let build_of = |image: &str| json!({ "imageLabelPairs": [{ "image": photo, "label": "a" }, { "image": image, "label": "b" }] });
    for (path, request, status, part) in [
        ("/shitu-infer", json!([1]), 422, "value_error"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": 5 }), 422, "expected a string"),
        ("/shitu-infer", json!({ "indexKey": key }), 422, "missing field `image`"),
        ("/shitu-infer", json!({ "image": photo }), 400, "`indexKey` is missing"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": "nosuch" }), 404, "no index `nosuch`"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": "../model-24" }), 400, "no key"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": "" }), 400, "no key"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": key, "topk": 0 }), 400, "`topk` is 0"),
        ("/shitu-infer", json!({ "image": photo, "indexKey": key, "topk": "many" }), 422, "[\"body\",\"topk\"]"),
        ("/shitu-infer", json!({ "image": base64(b"no image"), "indexKey": key }), 400, "image: not an image"),
        ("/shitu-infer", json!({ "image": "***", "indexKey": key }), 400, "no base64"),
        ("/shitu-infer", json!({ "image": "data:image/png,x", "indexKey": key }), 400, "data: URL without base64"),
        ("/shitu-infer", json!({ "image": "http://127.0.0.1:1/a.png", "indexKey": key }), 400, "fetches nothing"),
        ("/shitu-infer", json!({ "image": bomb, "indexKey": key }), 413, "65535x65535"),
        ("/shitu-index-build", build_of(&photo[..40]), 400, "imageLabelPairs[1].image"),
        ("/shitu-index-build", build_of(&bomb), 413, "imageLabelPairs[1].image"),
        (
            "/shitu-index-build",
            json!({ "imageLabelPairs": [{ "image": photo, "label": 1 }] }),
            422,
            "\"imageLabelPairs\",0,\"label\"",
        ),
        ("/shitu-index-build", json!({}), 422, "missing field `imageLabelPairs`"),
        ("/shitu-index-add", json!({ "imageLabelPairs": [], "indexKey": "a/b" }), 400, "no key"),
        ("/shitu-index-add", json!({ "imageLabelPairs": [], "indexKey": "a" }), 404, "no index `a`"),
        ("/shitu-index-remove", json!({ "ids": [0, 9], "indexKey": key }), 400, "no id `9`"),
        ("/shitu-index-remove", json!({ "ids": ["x"], "indexKey": key }), 422, "expected i64"),
    ] {
        refused(&server, path, request, status, part);
    }
    let (status, envelope) = send(&server, "/shitu-infer", b"{\"image\": ");
    assert!(status == 422 && envelope["errorMsg"].as_str().unwrap().contains("json_invalid"), "{envelope}");
    let errors: Value = serde_json::from_str(envelope["errorMsg"].as_str().unwrap()).unwrap();
    assert_eq!(errors[0]["loc"], json!(["body", "image"]), "{errors}");
    let (status, envelope) = send(&server, "/shitu-infer", (json!({ "image": photo }).to_string() + "x").as_bytes());
    assert!(status == 422 && envelope["errorMsg"].as_str().unwrap().contains("trailing"), "{envelope}");
    let (status, envelope) = send(&server, "/shitu-infer", &[b"[".repeat(100_000), b"\xff".to_vec()].concat());
    assert_eq!(status, 422, "{envelope}");

    let with = |method: &str, headers: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "{method} /shitu-infer HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").unwrap();
        self::envelope(read_answer(&mut stream)).0
    };
    assert_eq!(with("GET", "Host: localhost\r\n"), 405);
    assert_eq!(with("POST", "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"), 415);
    // a page of another site, with a host name that resolves to this computer
    assert_eq!(with("POST", "Host: example.org\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"), 403);

    // none of these requests has changed anything
    let gallery = Gallery::open(bench.index(&key)).unwrap();
    assert_eq!(gallery.len(), 2);
    assert_eq!(std::fs::read_dir(bench.folder.path().join(".index")).unwrap().count(), 1);
    std::fs::write(bench.index("broken"), b"no gallery").unwrap();
    let infer = json!({ "image": photo, "indexKey": "broken" });
    refused(&server, "/shitu-infer", infer, 500, "Internal server error");
}

#[test]
fn requests_are_limited_in_size_time_and_number() {
    let bench = Bench::new();
    let server = bench.serve(&["--max-body", "1", "--time-limit", "5", "--max-requests", "1"]);
    let key = build(&server, 0..2);
    let infer = json!({ "image": base64(&photo(1)), "indexKey": key });

    let large = json!({ "image": "A".repeat(2 << 20), "indexKey": key });
    refused(&server, "/shitu-infer", large.clone(), 413, "larger than 1 MiB");
    // the same without saying so before
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        "POST /shitu-infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", large.to_string().len()).unwrap();
    write!(stream, "{large}\r\n0\r\n\r\n").unwrap();
    assert_eq!(envelope(read_answer(&mut stream)).0, 413);
    // a client that waits for `100 Continue` gets the answer at once
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "{head}Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n").unwrap();
    assert_eq!(envelope(read_answer(&mut stream)).0, 413);

    // a large request that does not end leaves no room for another large one, until its time limit
    let mut slow = TcpStream::connect(server.address).unwrap();
    let head = self::head("/shitu-infer", 1_000_000).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    slow.write_all(head.as_bytes()).unwrap();
    let mut goes_on = [0; 25];
    slow.read_exact(&mut goes_on).unwrap();
    let let_in = Instant::now();
    slow.write_all(&[b' '; 900_000]).unwrap();
    // until the service has read most of it; a request that comes before is answered, which takes seconds on a busy machine
    std::thread::sleep(Duration::from_millis(500));
    let padded = infer.to_string() + &" ".repeat(400_000);
    while send(&server, "/shitu-infer", padded.as_bytes()).0 != 503 {
        assert!(let_in.elapsed() < Duration::from_secs(4), "it takes no room");
    }
    ask(&server, "/shitu-infer", infer.clone());
    // the rest of the body is read, so that the client sees the answer
    std::thread::sleep(Duration::from_millis(5_200).saturating_sub(let_in.elapsed()));
    slow.write_all(&[b' '; 100_000]).unwrap();
    let (status, answer) = envelope(read_answer(&mut slow));
    assert_eq!(status, 408, "{answer}");
    ask(&server, "/shitu-infer", infer);
}

#[cfg(unix)]
#[test]
fn what_was_begun_is_answered_when_it_is_stopped() {
    let bench = Bench::new();
    let mut server = bench.serve(&[]);
    let body = json!({ "imageLabelPairs": pairs(0..20) }).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = head("/shitu-index-build", body.len()).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut goes_on = [0; 25];
    stream.read_exact(&mut goes_on).unwrap(); // it has been let in
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body.as_bytes()[..1000]).unwrap();
    std::process::Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    std::thread::sleep(Duration::from_millis(3000)); // longer than files would be waited for
    stream.write_all(&body.as_bytes()[1000..]).unwrap();
    let (status, answer) = envelope(read_answer(&mut stream));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let key = answer["result"]["indexKey"].as_str().unwrap();
    assert_eq!(Gallery::open(bench.index(key)).unwrap().len(), 20);
}

/// With too many clients, each gets a complete answer or refusal, and a second time takes no more memory.
#[cfg(target_os = "linux")]
#[test]
fn a_flood_is_answered_or_refused() {
    let bench = Bench::new();
    let server = bench.serve(&["--max-requests", "4"]);
    let key = build(&server, 0..50);
    let infer = json!({ "image": base64(&photo(7)), "indexKey": key, "recThreshold": 0.9 }).to_string();
    let padded = json!({ "image": base64(&photo(7)) + &" ".repeat(1 << 20), "indexKey": key }).to_string();
    let flood = || -> [usize; 2] {
        let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for client in 0..24 {
                let (server, answered, refused) = (&server, &answered, &refused);
                let body = if client % 4 == 0 { &padded } else { &infer };
                scope.spawn(move || {
                    for _ in 0..15 {
                        let (status, envelope) = send(server, "/shitu-infer", body.as_bytes());
                        match status {
                            200 => {
                                assert_eq!(labels(&envelope["result"])[0], "kind 7");
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            503 => {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => panic!("{envelope}"),
                        }
                    }
                });
            }
        });
        [answered, refused].map(AtomicUsize::into_inner)
    };
    let most = || -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let first = flood();
    let before = most();
    for _ in 0..2 {
        let [answered, refused] = flood();
        assert_eq!(answered + refused, 24 * 15);
        assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused; {first:?} before");
    }
    let grown = most() - before;
    assert!(grown < 24 << 10, "{grown} kB more than after the first flood, {before} kB");
    eprintln!("{first:?} answered and refused; {before} kB at most, then {grown} kB more");
}

/// Bodies that come a byte at a time keep nobody out, and are given up.
#[test]
fn slow_bodies_keep_nobody_out() {
    // nothing before the first slow byte, or much
    for start in [0, 70_000] {
        keeps_nobody_out(start);
    }
}

fn keeps_nobody_out(start: usize) {
    let bench = Bench::new();
    let server = bench.serve(&["--max-requests", "16"]);
    let key = build(&server, 0..3);
    let infer = json!({ "image": base64(&photo(1)), "indexKey": key }).to_string();
    let started = Instant::now();
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(head("/shitu-infer", 100_000).as_bytes()).unwrap();
            stream.write_all(&vec![b' '; start]).unwrap();
            stream
        })
        .collect();
    for _ in 0..30 {
        for stream in &mut slow {
            stream.write_all(b" ").unwrap();
        }
        let asked = Instant::now();
        let (status, envelope) = send(&server, "/shitu-infer", infer.as_bytes());
        assert_eq!(status, 200, "{envelope}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
