//! Galleries in a real PostgreSQL: `with_postgres.py` starts one.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image_feature::gallery::{Entry, Gallery, Metric, ModelId, Storage};
use serde_json::{Value, json};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::common::small_model;
use super::photos::{model_file, photo, write};
use super::program::{Run, finish, program, run, text};

/// A database of its own, a model and a place for files.
struct Bench {
    folder: temp_dir::TempDir,
    url: String,
    /// Whether its pgvector has half floats and bits.
    recent: bool,
}

/// Runs SQL and gives the first column.
fn sql(url: &str, sql: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_string()),
            _ => None,
        });
        rows.collect()
    })
}

impl Bench {
    /// `None`, with a message, without a server.
    fn new(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var("IMAGE_FEATURE_POSTGRES") else {
            eprintln!("skipped: no IMAGE_FEATURE_POSTGRES; `./build.sh test rust` starts one");
            return None;
        };
        let database = format!("image_feature_{name}_{}", std::process::id());
        sql(&server, &format!("CREATE DATABASE {database}"));
        let url = server.replacen("/postgres?", &format!("/{database}?"), 1);
        assert_ne!(url, server);
        let version = sql(&url, "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'").remove(0);
        let recent = version.split('.').nth(1).unwrap().parse::<u32>().unwrap() >= 7;
        let folder = temp_dir::TempDir::new().unwrap();
        model_file(folder.path(), 24);
        Some(Bench { folder, url, recent })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut program = program();
        program.args(["gallery", command]).args(arguments).args(["--postgres", &self.url]);
        program.current_dir(self.folder.path()).stdin(Stdio::null());
        program
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Run {
        finish(&mut self.command(command, arguments))
    }

    /// Pushes a gallery as a file of this name. Returns the output.
    fn push(&self, gallery: &Gallery, name: &str, more: &[&str]) -> String {
        gallery.save(self.path(&format!("{name}.safetensors"))).unwrap();
        let pushed = self.run("push", &[&[format!("{name}.safetensors").as_str()], more].concat());
        assert_eq!(pushed.code, Some(0), "{pushed:?}");
        pushed.stderr
    }

    fn pull(&self, name: &str) -> Gallery {
        self.run("pull", &[name, "--output", "pulled.safetensors", "--force"]).good();
        Gallery::open(self.path("pulled.safetensors")).unwrap()
    }

    /// Searches with photos, in a file or in the database.
    fn search(&self, gallery: &str, remote: bool, more: &[&str]) -> Vec<Value> {
        let mut search = program();
        search.args([
            "gallery",
            "search",
            gallery,
            "queries",
            "--json",
            "--device",
            "cpu",
            "--model",
            "model-24.safetensors",
        ]);
        if remote {
            search.args(["--postgres", &self.url]);
        }
        let found = finish(search.args(more).current_dir(self.folder.path())).good();
        found.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Numbers from -1 to 1 that look random.
fn vector(seed: usize, dimension: usize) -> Vec<f32> {
    let mut state = seed as u64 * 0x9e37_79b9 + 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1u64 << 30) as f32 - 1.0
    };
    (0..dimension).map(|_| draw()).collect()
}

fn gallery(metric: Metric, dimension: usize, count: usize) -> Gallery {
    let storage = if metric == Metric::Hamming { Storage::Bit } else { Storage::F16 };
    let mut gallery = Gallery::new(dimension, metric, storage).unwrap();
    for id in 0..count {
        let entry = Entry::new(format!("é'\"\\{id}"))
            .metadata("shelf", id % 3)
            .metadata("deep", json!({ "a": [1, 2.5, null] }));
        let entry = if id % 2 == 0 { entry.label("tea; --") } else { entry };
        gallery.add(entry, &vector(id, dimension)).unwrap();
    }
    gallery
}

fn content(gallery: &Gallery) -> Vec<(Entry, Vec<f32>)> {
    gallery.iter().map(|(entry, vector)| (entry.clone(), vector.into_owned())).collect()
}

#[test]
fn what_is_pushed_is_pulled() {
    let Some(bench) = Bench::new("pull") else { return };
    let metrics = [
        (Metric::Cosine, 30),
        (Metric::InnerProduct, 3),
        (Metric::L2, 2500),
        (Metric::L2, 4500),
        (Metric::Hamming, 77),
    ];
    for (metric, dimension) in metrics {
        if metric == Metric::Hamming && !bench.recent {
            continue;
        }
        let original = gallery(metric, dimension, 40);
        let name = format!("g_{metric}_{dimension}");
        let told = bench.push(&original, &name, &[]);
        assert!(told.contains(&format!("40 rows sent, 0 unchanged, 0 deleted in table {name}")), "{told}");
        let pulled = bench.pull(&name);
        assert_eq!((pulled.metric(), pulled.storage(), pulled.dimension()), (metric, original.storage(), dimension));
        assert_eq!(content(&pulled), content(&original), "{name}");
        // an index for the metric, where pgvector can have one
        let index = sql(&bench.url, &format!("SELECT indexdef FROM pg_indexes WHERE indexname = '{name}_hnsw'"));
        let expected = match (metric, dimension) {
            (Metric::Cosine, _) => Some("vector_cosine_ops"),
            (Metric::InnerProduct, _) => Some("vector_ip_ops"),
            (Metric::Hamming, _) => Some("bit_hamming_ops"),
            (_, 2500) if bench.recent => Some("halfvec_l2_ops"),
            _ => None,
        };
        assert_eq!(index.len(), usize::from(expected.is_some()), "{name}: {index:?}");
        assert_eq!(told.contains("note: no index: pgvector"), expected.is_none(), "{told}");
        if let Some(expected) = expected {
            assert!(index[0].contains("USING hnsw") && index[0].contains(expected), "{index:?}");
        }
    }
    let empty = Gallery::new(8, Metric::Cosine, Storage::F32).unwrap();
    bench.push(&empty, "empty", &[]);
    assert_eq!(bench.pull("empty").len(), 0);
}

#[test]
fn a_push_sends_what_is_new() {
    let Some(bench) = Bench::new("push") else { return };
    let mut local = gallery(Metric::Cosine, 12, 50);
    bench.push(&local, "shop", &[]);
    let again = bench.push(&local, "shop", &[]);
    assert!(again.contains("0 rows sent, 50 unchanged, 0 deleted"), "{again}");
    // another vector, another label, more, fewer
    let id = |number: usize| format!("é'\"\\{number}");
    local.update(local.get(&id(3)).unwrap().clone(), Some(&vector(999, 12))).unwrap();
    local.update(Entry::new(id(4)).label("cup"), None).unwrap();
    local.add(Entry::new("new"), &vector(1000, 12)).unwrap();
    let removed = local.remove(&id(7)).unwrap();
    let told = bench.push(&local, "shop", &[]);
    assert!(told.contains("3 rows sent, 47 unchanged, 0 deleted"), "{told}");
    let pulled = bench.pull("shop");
    assert_eq!(pulled.len(), 51, "what only the table has stays");
    assert_eq!(pulled.get(&removed.id), Some(&removed));
    let told = bench.push(&local, "shop", &["--delete"]);
    assert!(told.contains("0 rows sent, 50 unchanged, 1 deleted"), "{told}");
    assert_eq!(content(&bench.pull("shop")), content(&local));
    // several pushes at once have the result of one after the other
    let mut pushes: Vec<_> = (0..3)
        .map(|_| bench.command("push", &["shop.safetensors", "--table", "twins", "--quiet"]).spawn().unwrap())
        .collect();
    assert!(pushes.iter_mut().all(|push| push.wait().unwrap().success()));
    assert_eq!(content(&bench.pull("twins")), content(&local));
}

/// A push that was killed half-way is continued by the next.
#[cfg(unix)]
#[test]
fn an_interrupted_push_goes_on() {
    let Some(bench) = Bench::new("interrupted") else { return };
    let local = gallery(Metric::L2, 16, 30_000);
    local.save(bench.path("large.safetensors")).unwrap();
    let mut push = bench.command("push", &["large.safetensors", "--quiet"]).spawn().unwrap();
    let started = Instant::now();
    let arrived = || -> usize {
        if sql(&bench.url, "SELECT to_regclass('large') IS NOT NULL")[0] == "f" {
            return 0;
        }
        sql(&bench.url, "SELECT count(*) FROM large")[0].parse().unwrap()
    };
    while arrived() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60) && push.try_wait().unwrap().is_none());
    }
    push.kill().unwrap();
    push.wait().unwrap();
    // the server still does statements that have arrived
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'image-feature' AND datname = current_database()";
    while sql(&bench.url, sessions)[0] != "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    let before = arrived();
    eprintln!("killed with {before} rows of 30000 in the table");
    assert!(before > 0 && before % 5000 == 0);
    let pushed = bench.run("push", &["large.safetensors"]);
    let expected = format!("{} rows sent, {before} unchanged", 30_000 - before);
    assert!(pushed.code == Some(0) && pushed.stderr.contains(&expected), "{pushed:?}");
    assert_eq!(content(&bench.pull("large")), content(&local));
    assert_eq!(sql(&bench.url, "SELECT count(*) FROM pg_indexes WHERE indexname = 'large_hnsw'")[0], "1");
}

#[test]
fn a_search_in_the_database_gives_what_one_in_the_file_gives() {
    let Some(bench) = Bench::new("search") else { return };
    for kind in 0..30 {
        write(&bench.path(&format!("photos/{}/{kind}.ppm", ["tea", "cup"][kind % 2])), &photo(kind));
    }
    for kind in [3, 40, 41] {
        write(&bench.path(&format!("queries/{kind}.ppm")), &photo(kind));
    }
    for metric in ["cosine", "ip", "l2", "hamming"] {
        if metric == "hamming" && !bench.recent {
            continue;
        }
        let file = format!("{metric}.safetensors");
        let storage = if metric == "hamming" { "bit" } else { "f32" };
        let model = bench.path("model-24.safetensors");
        let build =
            ["gallery", "build", "photos", "--output", &file, "--metric", metric, "--storage", storage, "--model"];
        finish(program().args(build).arg(&model).args(["--device", "cpu"]).current_dir(bench.folder.path())).good();
        bench.run("push", &[&file, "--quiet"]).good();
        let path = format!("path={}", bench.path("photos/tea/4.ppm").display());
        for more in [
            &[][..],
            &["-k", "3"],
            &["-k", "100"],
            &["-k", "0"],
            &["-k", "4", "--label", "cup"],
            &["--label", "cup", "--label", "tea", "--where", &path],
            &["--where", "path=nowhere"],
            &["--threshold", "0.9999"],
            &["--exact"],
        ] {
            let local: Vec<&str> = more.iter().copied().filter(|argument| *argument != "--exact").collect();
            assert_eq!(bench.search(metric, true, more), bench.search(&file, false, &local), "{metric}: {more:?}");
        }
    }
    // the file's model is the table's
    model_file(bench.folder.path(), 16);
    let search =
        ["gallery", "search", "cosine", "queries", "--postgres", &bench.url, "--model", "model-16.safetensors"];
    finish(program().args(search).current_dir(bench.folder.path()))
        .fails(2, &["cosine: the gallery was made by another model"]);
}

/// With more rows than PostgreSQL would scan, the index is used, and finds the nearest.
#[test]
fn the_index_is_used() {
    let Some(bench) = Bench::new("index") else { return };
    let mut local = Gallery::new(24, Metric::Cosine, Storage::F32).unwrap();
    for id in 0..20_000 {
        local.add(Entry::new(id.to_string()), &vector(id, 24)).unwrap();
    }
    local.set_model(Some(ModelId::of(&small_model(24))));
    bench.push(&local, "many", &[]);
    sql(&bench.url, "ANALYZE many");
    let plan =
        sql(&bench.url, "EXPLAIN SELECT id FROM many ORDER BY feature <=> (SELECT feature FROM many LIMIT 1) LIMIT 20");
    assert!(plan.iter().any(|line| line.contains("Index Scan using many_hnsw")), "{plan:?}");
    for kind in 0..20 {
        write(&bench.path(&format!("queries/{kind}.ppm")), &photo(kind));
    }
    let ids = |found: Vec<Value>| -> Vec<Vec<String>> {
        let hits = |query: &Value| query["hits"].as_array().unwrap().iter().map(|hit| hit["id"].to_string()).collect();
        found.iter().map(hits).collect()
    };
    let (approximate, exact) = (ids(bench.search("many", true, &[])), ids(bench.search("many", true, &["--exact"])));
    assert_eq!(exact, ids(bench.search("many.safetensors", false, &[])));
    let found: usize = approximate.iter().zip(&exact).map(|(a, b)| b.iter().filter(|id| a.contains(id)).count()).sum();
    assert!(found >= 90, "{found} of 100 nearest");
}

#[test]
fn what_cannot_be_is_said() {
    let Some(bench) = Bench::new("errors") else { return };
    let shop = gallery(Metric::Cosine, 12, 5);
    bench.push(&shop, "shop", &[]);
    sql(
        &bench.url,
        "CREATE TABLE theirs (id text); CREATE TABLE later (id text); \
        COMMENT ON TABLE later IS '{\"image_feature_gallery\": {\"version\": 9}}'",
    );
    gallery(Metric::L2, 12, 5).save(bench.path("other.safetensors")).unwrap();
    gallery(Metric::Cosine, 13, 5).save(bench.path("wide.safetensors")).unwrap();
    let mut named = gallery(Metric::Cosine, 12, 5);
    named.set_model(Some(ModelId { name: "tea".into(), hash: "0".repeat(64) }));
    bench.push(&named, "named", &[]);
    for (command, arguments, code, parts) in [
        ("push", vec!["other.safetensors", "--table", "shop"], 2, ["table `shop`", "metric cosine, this one has l2"]),
        ("push", vec!["wide.safetensors", "--table", "shop"], 2, ["table `shop`", "dimension 12, this one has 13"]),
        (
            "push",
            vec!["named.safetensors", "--table", "shop"],
            2,
            ["table `shop`", "model unknown, this one has tea (0"],
        ),
        ("push", vec!["shop.safetensors", "--table", "named"], 2, ["table `named`", "this one has unknown"]),
        ("search", vec!["shop", "x.png", "--device", "cpu"], 2, ["shop: the gallery does not know", "--any-model"]),
        ("push", vec!["shop.safetensors", "--table", "theirs"], 1, ["theirs: ", "is no gallery"]),
        ("push", vec!["shop.safetensors", "--table", "later"], 1, ["later: ", "version 9"]),
        ("push", vec!["shop.safetensors", "--table", "a; DROP TABLE shop"], 2, ["--table", "no name for a table"]),
        ("push", vec!["shop.safetensors", "--table", "nowhere.shop"], 1, ["PostgreSQL", "nowhere"]),
        ("push", vec!["nosuch.safetensors"], 1, ["nosuch.safetensors", ""]),
        ("pull", vec!["nosuch", "--output", "x"], 2, ["no table `nosuch`", "gallery push"]),
        ("pull", vec!["theirs", "--output", "x"], 1, ["theirs: ", "is no gallery"]),
        ("pull", vec!["shop", "--output", "shop.safetensors"], 2, ["shop.safetensors", "--force"]),
        ("search", vec!["nosuch", "x.png"], 2, ["no table `nosuch`", ""]),
    ] {
        bench.run(command, &arguments).fails(code, &parts);
    }
    assert!(!bench.path("x").exists());
    let mut nul = Gallery::new(12, Metric::Cosine, Storage::F32).unwrap();
    nul.add(Entry::new("a\0b"), &vector(1, 12)).unwrap();
    nul.save(bench.path("nul.safetensors")).unwrap();
    bench.run("push", &["nul.safetensors"]).fails(1, &["a\\0b", "NUL"]);
    // other programs may write a vector that we would refuse
    sql(&bench.url, "UPDATE shop SET feature = array_fill(0, ARRAY[12])::vector WHERE place = 2");
    bench.run("pull", &["shop", "--output", "x"]).fails(1, &["shop: ", "no direction"]);
    // with `sslmode=require`, a server without TLS is refused
    let mut push = program();
    let url = bench.url.clone() + "&sslmode=require";
    push.args(["gallery", "push", "shop.safetensors", "--postgres", &url]).current_dir(bench.folder.path());
    let push = finish(&mut push);
    assert_eq!(push.code, Some(1), "{push:?}");
    assert!(push.stderr.contains("TLS"), "{push:?}");
}

/// The errors for URLs, without a server.
#[test]
fn a_database_that_is_not_there_is_explained() {
    let folder = temp_dir::TempDir::new().unwrap();
    let file = folder.path().join("g.safetensors");
    gallery(Metric::Cosine, 3, 2).save(&file).unwrap();
    for (url, code, parts) in [
        ("shop", 2, ["--postgres", "postgresql://USER@HOST/DATABASE"]),
        ("postgresql://me@localhost/x?sslmode=sometimes", 2, ["--postgres", "sslmode"]),
        ("postgresql://me:secret@127.0.0.1:1/x", 1, ["--postgres", "refused"]),
        ("postgresql://me:secret@127.0.0.1:1/x?sslmode=verify-full", 1, ["--postgres", "refused"]),
    ] {
        let push = run(["gallery", "push", text(&file), "--postgres", url]);
        push.fails(code, &parts);
        assert!(!push.stderr.contains("secret"), "{push:?}");
    }
}
