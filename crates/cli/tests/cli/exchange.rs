//! `gallery import` and `export`: which files are taken, which are refused, and in which words.

use std::path::Path;

use image_feature::gallery::{Entry, Gallery, Metric, Storage, npy};
use temp_dir::TempDir;

use super::common::repository;
use super::photos::{photo, write};
use super::program::{Run, finish, program, run, text};

/// A folder with files of `tests/gallery/files`, each under a name of its own.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, original) in files {
        let bytes = std::fs::read(repository().join("tests/gallery/files").join(original)).unwrap();
        write(&folder.path().join(name), &bytes);
    }
    folder
}

fn import(input: &Path, more: &[&str]) -> (Run, Option<Gallery>) {
    let output = TempDir::new().unwrap();
    let file = output.path().join("g.safetensors");
    let run = run([&["gallery", "import", text(input), "--output", text(&file)], more].concat());
    let gallery = Gallery::open(&file).ok();
    assert_eq!(gallery.is_some(), run.code == Some(0), "{run:?}");
    (run, gallery)
}

#[test]
fn indexes_of_paddlex_and_paddleclas_are_taken_with_their_labels() {
    for (labels, original, label) in [
        ("id_map.pkl", "lines.pkl", "green tea 5"),
        ("id_map.pkl", "labels-5.pkl", "tea 5"),
        ("id_map.pkl", "labels-2.pkl", "茶 5"),
    ] {
        let folder = folder(&[("vector.index", "ivf.index"), (labels, original)]);
        for input in [folder.path().to_path_buf(), folder.path().join("vector.index")] {
            let (_, gallery) = import(&input, &[]);
            let gallery = gallery.unwrap();
            assert_eq!((gallery.len(), gallery.metric()), (40, Metric::L2));
            assert_eq!(gallery.get("5").unwrap().label.as_deref(), Some(label));
        }
    }
    let beta = folder(&[("vector.index", "flat.index")]);
    let ids = (0..40).map(|at| format!("  {}: tea {at}\n", 3 * at + 5)).collect::<String>();
    write(
        &beta.path().join("index_info.yaml"),
        format!("id_map:\n{ids}index_type: Flat\nmetric_type: L2\n").as_bytes(),
    );
    assert_eq!(import(beta.path(), &[]).1.unwrap().get("8").unwrap().label.as_deref(), Some("tea 1"));

    let alone = folder(&[("vector.index", "ivf-removed.index")]);
    let (told, gallery) = import(alone.path(), &["--metric", "cosine", "--storage", "i8"]);
    let gallery = gallery.unwrap();
    assert!(told.stderr.contains("note: there are no labels"), "{told:?}");
    assert_eq!((gallery.len(), gallery.metric(), gallery.storage()), (37, Metric::Cosine, Storage::I8));
    assert_eq!(gallery.get("119"), Some(&Entry::new("119")));
    let (quiet, _) = import(alone.path(), &["--quiet"]);
    assert_eq!(quiet.stderr, "");

    let both = folder(&[("vector.index", "flat.index"), ("id_map.pkl", "lines.pkl"), ("index_info.yaml", "lines.pkl")]);
    import(both.path(), &[]).0.fails(2, &["labels lie beside it 2 times: index_info.yaml, id_map.pkl"]);
    import(&both.path().join("id_map.pkl"), &[]).0.fails(2, &["labels and no vectors"]);
    for (vectors, labels, parts) in [
        (&b"IxM2xxxx"[..], &b"\x80\x04N."[..], ["id_map.pkl: ", "no dictionary"]),
        (b"IxM2xxxx", b"\x80\x04}.", ["vector.index: ", "damaged"]),
        (b"IxM2xxxx", b"\x80\x04cos\nsystem\n.", ["id_map.pkl: ", "`os.system`"]),
        (b"IBxFxxxx", b"\x80\x04}.", ["vector.index: ", "`IBxF` is no index file"]),
    ] {
        write(&both.path().join("x/vector.index"), vectors);
        write(&both.path().join("x/id_map.pkl"), labels);
        import(&both.path().join("x"), &[]).0.fails(1, &parts);
    }
}

#[test]
fn one_file_of_several_is_not_guessed() {
    let files = [("a.npy", "a"), ("b.npy", "b"), ("c.jsonl", "c")];
    let folder = TempDir::new().unwrap();
    for (name, _) in files {
        write(&folder.path().join(name), &npy::write(&npy::Matrix { columns: 2, values: vec![1.0, 2.0] }));
    }
    import(folder.path(), &[]).0.fails(2, &["has vectors in 3 files: a.npy, b.npy, c.jsonl; name one of them"]);
    let file = |name: &str| folder.path().join(name);
    std::fs::remove_file(file("b.npy")).unwrap();
    std::fs::remove_file(file("c.jsonl")).unwrap();
    write(&file(".hidden.npy"), b"");
    // a pair by name, also of a path alone
    write(&file("a.jsonl"), "\u{feff}{\"id\": 7, \"label\": 3}\r\n".as_bytes());
    for input in [folder.path().to_path_buf(), file("a.npy")] {
        assert_eq!(import(&input, &[]).1.unwrap().get("7"), Some(&Entry::new("7").label("3")));
    }
    write(&file("a.txt"), b"tea\n");
    import(folder.path(), &[]).0.fails(2, &["a.npy: several files say what its rows are: a.jsonl, a.txt"]);
    std::fs::remove_file(file("a.jsonl")).unwrap();
    std::fs::rename(file("a.txt"), file("labels.txt")).unwrap();
    import(folder.path(), &[]).0.fails(2, &["labels.txt", "a.npy", "name the matrix itself"]);
    assert_eq!(import(&file("a.npy"), &[]).1.unwrap().get("0"), Some(&Entry::new("0")));
    std::fs::rename(file("labels.txt"), file("a.txt")).unwrap();
    assert_eq!(import(folder.path(), &[]).1.unwrap().get("0"), Some(&Entry::new("0").label("tea")));
    write(&file("a.txt"), b"tea\ncup\n");
    import(folder.path(), &[]).0.fails(1, &["a.txt: 2 lines for 1 vectors"]);
    std::fs::remove_file(file("a.npy")).unwrap();
    import(folder.path(), &[]).0.fails(2, &["no vectors among its 1 files", ".npz"]);
}

#[test]
fn arrays_of_numpy_are_taken() {
    let folder = folder(&[("shop.npz", "shop.npz"), ("x/two.npz", "two.npz"), ("x/y/objects.npz", "objects.npz")]);
    let gallery = import(folder.path(), &["--metric", "ip"]).1.unwrap();
    assert_eq!(gallery.get("c.jpg"), Some(&Entry::new("c.jpg").label("cup")));
    import(&folder.path().join("x"), &[]).0.fails(1, &["two.npz: it is not clear", "`arr_0`, `arr_1`"]);
    import(&folder.path().join("x/y"), &[]).0.fails(1, &["objects.npz: ids.npy", "dtype=str"]);
}

#[test]
fn lines_are_taken_or_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.jsonl");
    write(&file, b"{\"id\":\"a\",\"feature\":[1,0]}\n\n{\"id\":2,\"embedding\":[0,1],\"price\":3}\n");
    let gallery = import(&file, &[]).1.unwrap();
    assert_eq!((gallery.len(), gallery.get("2")), (2, Some(&Entry::new("2").metadata("price", 3))));
    write(&file, b"{\"res\": {\"input_path\": \"a.jpg\", \"feature\": [[1, 0]]}}\n");
    assert_eq!(import(&file, &[]).1.unwrap().get("a.jpg"), Some(&Entry::new("a.jpg")));
    write(&file, b"{\"id\":\"a\",\"feature\":[1,0]}\n{\"id\":\"b\",\"embeding\":[0,1]}\n");
    import(&file, &[]).0.fails(1, &["a.jsonl: line 2: no vector", "`embedding`"]);
    write(&file, b"{\"id\":\"a\",\"feature\":[1,0]}\n{\"input_path\":\"b\",\"error\":\"no image\"}\n");
    let (told, gallery) = import(&file, &[]);
    assert!(
        told.stderr.contains("1 lines without a vector were passed over") && gallery.unwrap().len() == 1,
        "{told:?}"
    );
}

#[test]
fn archives_are_to_be_unpacked() {
    let folder = TempDir::new().unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index/vector.index", zip::write::SimpleFileOptions::default()).unwrap();
    write(&folder.path().join("index.zip"), &zip.finish().unwrap().into_inner());
    write(&folder.path().join("index.tar.gz"), b"\x1f\x8b\x08\x00");
    import(&folder.path().join("index.zip"), &[])
        .0
        .fails(1, &["index.zip: a zip without arrays", "`index/vector.index`"]);
    import(&folder.path().join("index.tar.gz"), &[]).0.fails(2, &["index.tar.gz: is compressed; unpack it"]);
}

/// The program's own list of a matrix's rows.
#[test]
fn the_matrix_of_predict_keeps_its_images() {
    let folder = TempDir::new().unwrap();
    for (kind, name) in ["a, b.ppm", "c.ppm"].iter().enumerate() {
        write(&folder.path().join("photos").join(name), &photo(kind));
    }
    let predict = ["predict", "photos", "--save", "out", "--format", "npy", "--device", "cpu", "--quiet"];
    finish(program().args(predict).current_dir(folder.path())).good();
    let gallery = import(&folder.path().join("out"), &[]).1.unwrap();
    let ids: Vec<&str> = gallery.iter().map(|(entry, _)| entry.id.as_str()).collect();
    assert_eq!(ids, ["photos/a, b.ppm", "photos/c.ppm"]);
}
