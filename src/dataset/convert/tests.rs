use super::*;
use crate::file_tree::Memory;

fn converted(files: &[(&str, &[u8])], form: SourceForm, options: &ConvertOptions) -> Result<Converted> {
    let tree = Memory::new("x", files.iter().map(|&(path, bytes)| (path, bytes.to_vec())));
    convert(&tree, form, options)
}

fn texts(converted: Converted) -> Vec<(String, String)> {
    let files = converted.dataset.files.into_iter();
    files.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

fn lists(files: &[(&str, &str)], form: SourceForm) -> Result<Vec<(String, String)>> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|&(path, text)| (path, text.as_bytes())).collect();
    converted(&files, form, &ConvertOptions::default()).map(texts)
}

fn only(name: &str, text: &str) -> (String, String) {
    (name.into(), text.into())
}

/// A conversion of folders with empty images.
fn folders(paths: &[&str], divisions: Divisions) -> Result<Converted> {
    let files: Vec<(&str, &[u8])> = paths.iter().map(|&path| (path, &b""[..])).collect();
    converted(&files, SourceForm::Folders, &ConvertOptions { divisions, ..ConvertOptions::default() })
}

#[test]
fn folders_named_after_lists_are_lists() {
    let files =
        ["set/train/cat/1.jpg", "set/gallery/cat/a/2.jpg", "set/query/dog/3.jpg", "set/readme.md", "set/scan.heic"];
    let new = folders(&files, Divisions::Auto).unwrap();
    let told = ["train -> train.txt (1 image)", "gallery -> gallery.txt (1 image)", "query -> query.txt (1 image)"];
    assert_eq!(new.notes[1..], told);
    assert!(
        new.notes[0].contains("passed over 1 file that is no image that can be read: set/scan.heic"),
        "{:?}",
        new.notes
    );
    assert_eq!(
        texts(new),
        [
            only("train.txt", "images/train/cat/1.jpg 0\n"),
            only("gallery.txt", "images/gallery/cat/a/2.jpg 0\n"),
            only("query.txt", "images/query/dog/3.jpg 1\n"),
            only("label.txt", "cat\ndog\n"),
        ]
    );
}

/// Six images of two classes in `train`, and as many in another division.
fn divided_in_two(order: fn(&str, &str, usize) -> String, other: &str) -> Vec<String> {
    let one = |division: &str| -> Vec<String> {
        ["cat", "dog"].iter().flat_map(|class| (1..=5).map(|at| order(division, class, at))).collect()
    };
    [one("Train"), one(other)].concat()
}

#[test]
fn divisions_are_lists_and_no_classes() {
    let first = |division: &str, class: &str, at: usize| format!("{division}/{class}/{at}.jpg");
    let second = |division: &str, class: &str, at: usize| format!("{class}/{division}/{at}.jpg");
    for order in [first as fn(&str, &str, usize) -> String, second] {
        for other in ["val", "Validation", "TEST", "dev"] {
            let paths = divided_in_two(order, other);
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let new = folders(&paths, Divisions::Auto).unwrap();
            let name = if other == "TEST" { "test" } else { "val" };
            let told = format!("{name} -> gallery.txt and query.txt, divided 60 : 40 (10 images)");
            assert_eq!(new.notes, ["train -> train.txt (10 images)", &told]);
            let files = texts(new);
            let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["train.txt", "gallery.txt", "query.txt", "label.txt"], "{other}");
            assert_eq!(files[3].1, "cat\ndog\n");
            let rows = |at: usize| files[at].1.lines().collect::<Vec<_>>();
            assert_eq!((rows(0).len(), rows(1).len(), rows(2).len()), (10, 6, 4));
            assert!(rows(0).iter().all(|row| row.contains("Train")), "{:?}", rows(0));
            assert!(rows(1).iter().chain(&rows(2)).all(|row| row.contains(other)), "{other}");
        }
    }
}

#[test]
fn evaluation_becomes_the_list_that_is_missing() {
    let with = |more: &[&str]| {
        let paths = [&["train/a/1.jpg", "test/a/2.jpg", "val/a/3.jpg"], more].concat();
        let new = folders(&paths, Divisions::Auto).unwrap();
        let rows = texts(new.clone()).into_iter().map(|(name, text)| (name, text.lines().count()));
        (rows.collect::<BTreeMap<String, usize>>(), new.notes)
    };
    let count = |lists: &BTreeMap<String, usize>| {
        ["train.txt", "gallery.txt", "query.txt"].map(|name| lists.get(name).copied().unwrap_or(0))
    };
    let (lists, notes) = with(&["query/a/4.jpg"]);
    assert_eq!(count(&lists), [1, 2, 1], "{notes:?}");
    let (lists, notes) = with(&["gallery/a/4.jpg"]);
    assert_eq!(count(&lists), [1, 1, 2], "{notes:?}");
    let (lists, notes) = with(&["gallery/a/4.jpg", "query/a/5.jpg"]);
    assert_eq!(count(&lists), [1, 1, 1], "{notes:?}");
    assert!(notes.contains(&"val -> left out, because gallery and query are there (1 image)".into()), "{notes:?}");
}

#[test]
fn what_may_be_a_division_or_a_class_is_asked() {
    let refused = |paths: &[&str], divisions| folders(paths, divisions).unwrap_err().to_string();
    let pets = ["cat/1.jpg", "dog/2.jpg", "test/3.jpg"];
    let error = refused(&pets, Divisions::Auto);
    assert!(error.starts_with("`test` may be divisions") && error.contains("beside `cat`, `dog`"), "{error}");
    assert!(error.contains("--divisions no") && error.contains("--divisions yes"), "{error}");
    assert_eq!(texts(folders(&pets, Divisions::No).unwrap()).pop().unwrap().1, "cat\ndog\ntest\n");

    let mixed = ["train/cat/1.jpg", "val/cat/2.jpg", "models/x/3.jpg", "y.jpg"];
    assert!(refused(&mixed, Divisions::Auto).contains("`train`, `val` may be"));
    let new = folders(&mixed, Divisions::Yes).unwrap();
    assert!(new.notes.contains(&"left out, because `models/` is no division: 1 images".into()), "{:?}", new.notes);
    assert!(new.notes.contains(&"left out, because they are in no folder: 1 images".into()), "{:?}", new.notes);
    assert_eq!(texts(new).pop().unwrap().1, "cat\n");

    let half = ["cat/train/1.jpg", "cat/val/2.jpg", "dog/3.jpg"];
    assert!(refused(&half, Divisions::Auto).contains("--divisions no"));
    assert_eq!(texts(folders(&half, Divisions::No).unwrap()).pop().unwrap().1, "cat\ndog\n");

    let flat = ["train/1.jpg", "val/2.jpg"];
    assert!(refused(&flat, Divisions::Auto).contains("`train/1.jpg` is in no folder of a class below its division"));
    assert_eq!(texts(folders(&flat, Divisions::No).unwrap()).pop().unwrap().1, "train\nval\n");

    let one = ["train/cat/1.jpg", "train/dog/2.jpg"];
    assert!(folders(&one, Divisions::Auto).unwrap().notes[0].contains("everything is in `train/`"));
    let new = folders(&one, Divisions::Yes).unwrap();
    assert_eq!(new.notes, ["train -> train.txt (2 images)"]);
    assert!(refused(&["cat/1.jpg", "dog/2.jpg"], Divisions::Yes).contains("leave out --divisions yes"));
}

#[test]
fn csv_is_read_by_its_columns() {
    let table = "split;Class;File\ntrain;\"big; cat\";a.jpg\nQuery;ant;images/b.jpg\n";
    let files = [("t/list.csv", table), ("t/images/a.jpg", ""), ("t/images/b.jpg", "")];
    assert_eq!(
        lists(&files, SourceForm::Csv).unwrap(),
        [
            only("train.txt", "images/a.jpg 1\n"),
            only("query.txt", "images/b.jpg 0\n"),
            only("label.txt", "ant\nbig; cat\n"),
        ]
    );
    let files = [("list.csv", "a.jpg,7\n"), ("a.jpg", "")];
    assert_eq!(lists(&files, SourceForm::Csv).unwrap(), [only("train.txt", "images/a.jpg 7\n")]);
}

/// The rows of all lists and the names of the classes of a table beside `1.jpg` to `4.jpg`, and the first note.
fn of_table(table: &[u8], columns: CsvColumns) -> Result<(Vec<String>, Option<String>, String)> {
    let images = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"].map(|path| (path, &b""[..]));
    let files = [&[("list.csv", table)], &images[..]].concat();
    let new = converted(&files, SourceForm::Csv, &ConvertOptions { columns, ..ConvertOptions::default() })?;
    let note = new.notes.join("\n");
    let (mut rows, mut classes) = (Vec::new(), None);
    for (name, text) in texts(new) {
        match name.as_str() {
            "label.txt" => classes = Some(text.lines().collect::<Vec<_>>().join(" ")),
            _ => rows.extend(text.lines().map(|row| row.trim_start_matches("images/").to_string())),
        }
    }
    rows.sort();
    Ok((rows, classes, note))
}

#[test]
fn the_label_is_the_column_of_that_name() {
    let tea = ["1.jpg 1", "2.jpg 1", "3.jpg 0", "4.jpg 0"];
    let cases: [(&str, [&str; 4], Option<&str>, &str); 14] = [
        (
            "id,path,label\n7,1.jpg,tea\n8,2.jpg,tea\n9,3.jpg,cup\n10,4.jpg,cup\n",
            tea,
            Some("cup tea"),
            "not used: `id`",
        ),
        ("target,path,label\n7,1.jpg,tea\n8,2.jpg,tea\n9,3.jpg,cup\n10,4.jpg,cup\n", tea, Some("cup tea"), "`target`"),
        (
            "ID|PATH|Label\n7|1.jpg|tea\n8|2.jpg|tea\n9|3.jpg|cup\n10|4.jpg|cup\n",
            tea,
            Some("cup tea"),
            "not used: `ID`",
        ),
        (
            "id\tImage Path\tCategory\n7\t1.jpg\ttea\n8\t2.jpg\ttea\n9\t3.jpg\tcup\n1\t4.jpg\tcup\n",
            tea,
            Some("cup tea"),
            "",
        ),
        // names beside numbers
        (
            "path,class_id,class_name\n1.jpg,1,ant\n2.jpg,1,ant\n3.jpg,0,zoo\n4.jpg,0,zoo\n",
            tea,
            Some("zoo ant"),
            "label is `class_id`, name of the class is `class_name`",
        ),
        (
            "path,label,class_id\n1.jpg,ant,1\n2.jpg,ant,1\n3.jpg,zoo,0\n4.jpg,zoo,0\n",
            tea,
            Some("zoo ant"),
            "`class_id`",
        ),
        ("path,label,class_name\n1.jpg,1,ant\n2.jpg,1,ant\n3.jpg,0,zoo\n4.jpg,0,zoo\n", tea, Some("zoo ant"), ""),
        ("1.jpg,1,ant\n2.jpg,1,ant\n3.jpg,0,zoo\n4.jpg,0,zoo\n", tea, Some("zoo ant"), "the first row is an image"),
        ("1.jpg,ant,1\n2.jpg,ant,1\n3.jpg,zoo,0\n4.jpg,zoo,0\n", tea, Some("zoo ant"), "label is column 3"),
        ("path,label\n1.jpg,1.0\n2.jpg,1.0\n3.jpg,0.0\n4.jpg,0\n", tea, None, ""),
        // heads whose names are not known
        ("foto,sorte\n1.jpg,tea\n2.jpg,tea\n3.jpg,cup\n4.jpg,cup\n", tea, Some("cup tea"), "path is `foto`"),
        ("sorte,foto\ntea,1.jpg\ntea,2.jpg\ncup,3.jpg\ncup,4.jpg\n", tea, Some("cup tea"), "path is `foto`"),
        ("tea,1.jpg\ntea,2.jpg\ncup,3.jpg\ncup,4.jpg\n", tea, Some("cup tea"), "path is column 2"),
        ("sep=;\nname;label\n1.jpg;tea\n2.jpg;tea\n3.jpg;cup\n4.jpg;cup\n", tea, Some("cup tea"), "path is `name`"),
    ];
    for (table, rows, classes, told) in cases {
        let (found, names, note) = of_table(table.as_bytes(), CsvColumns::default()).unwrap();
        assert_eq!((found, names.as_deref()), (rows.map(String::from).to_vec(), classes), "{table}");
        assert!(note.contains(told), "{table}: {note}");
    }
}

/// Line `n` of label.txt is class `n`, also where numbers begin with 1 or have gaps.
#[test]
fn names_stand_in_the_line_of_their_number() {
    let named = |table: &str| of_table(table.as_bytes(), CsvColumns::default()).unwrap();
    let (rows, names, note) = named("path,class_id,class_name\n1.jpg,1,ant\n2.jpg,1,ant\n3.jpg,3,zoo\n4.jpg,3,zoo\n");
    assert_eq!(rows, ["1.jpg 1", "2.jpg 1", "3.jpg 3", "4.jpg 3"]);
    assert_eq!(names.as_deref(), Some("0 ant 2 zoo"));
    assert!(note.contains("2 of the classes 0 to 3 have no image"), "{note}");
    let (rows, names, note) =
        named("path,class_id,class_name\n1.jpg,70,ant\n2.jpg,70,ant\n3.jpg,-5,zoo\n4.jpg,-5,zoo\n");
    assert_eq!(rows, ["1.jpg 1", "2.jpg 1", "3.jpg 0", "4.jpg 0"]);
    assert_eq!(names.as_deref(), Some("zoo ant"));
    assert!(note.contains("from -5 to 70"), "{note}");
}

#[test]
fn columns_are_taken_as_the_user_says() {
    let table = b"id,path,label,kind\n7,1.jpg,tea,a\n7,2.jpg,tea,b\n9,3.jpg,cup,a\n9,4.jpg,cup,b\n";
    let label = |name: &str| CsvColumns { label: Some(name.into()), ..CsvColumns::default() };
    assert_eq!(of_table(table, label("kind")).unwrap().1.as_deref(), Some("a b"));
    assert_eq!(of_table(table, label(" KIND ")).unwrap().1.as_deref(), Some("a b"));
    assert_eq!(of_table(table, label("4")).unwrap().1.as_deref(), Some("a b"));
    assert_eq!(of_table(table, label("id")).unwrap().0[0], "1.jpg 7");
    let error = of_table(table, label("sort")).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("`id`, `path`, `label`, `kind`"), "{error}");
    let path = CsvColumns { path: Some("label".into()), ..CsvColumns::default() };
    assert!(of_table(table, path).unwrap_err().to_string().contains("`tea` does not exist"));
    let same = CsvColumns { path: Some("path".into()), label: Some("path".into()), list: None };
    assert!(of_table(table, same).unwrap_err().is_usage());
    let part = b"path,label,teil\n1.jpg,a,train\n2.jpg,a,val\n3.jpg,b,train\n4.jpg,b,val\n";
    let list = CsvColumns { list: Some("teil".into()), label: Some("label".into()), path: None };
    assert!(of_table(part, list).unwrap().2.contains("list is `teil`"));
}

// in browsers the page decodes old encodings
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn tables_are_read_in_whatever_encoding() {
    let table = "路径,标签\n1.jpg,绿茶\n2.jpg,绿茶\n3.jpg,红茶\n4.jpg,红茶\n";
    let wide: Vec<u8> =
        format!("\u{feff}{}", table.replace(',', "\t")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gbk = encoding_rs::GBK.encode(table).0.into_owned();
    let marked = format!("\u{feff}{table}").into_bytes();
    for bytes in [table.into(), wide, gbk, marked] {
        let (rows, classes, note) = of_table(&bytes, CsvColumns::default()).unwrap();
        assert_eq!(classes.as_deref(), Some("红茶 绿茶"), "{note}");
        assert_eq!(rows[0], "1.jpg 1");
    }
}

#[test]
fn a_list_column_divides_the_images() {
    let (rows, ..) =
        of_table(b"1.jpg,0,train\n2.jpg,0,val\n3.jpg,0,val\n4.jpg,0,train\n", CsvColumns::default()).unwrap();
    assert_eq!(rows.len(), 4);
    let files: Vec<(&str, &[u8])> = vec![
        ("a.csv", b"path,label,split\n1.jpg,a,gallery\n1.jpg,a,query\n1.jpg,a,query\n2.jpg,a,train\n"),
        ("1.jpg", b""),
        ("2.jpg", b""),
    ];
    let new = converted(&files, SourceForm::Csv, &ConvertOptions::default()).unwrap();
    assert!(new.notes.iter().any(|note| note.ends_with("taken once: 1")), "{:?}", new.notes);
    assert_eq!(new.dataset.images.len(), 2);
    let expected = ["train.txt", "gallery.txt", "query.txt"]
        .map(|name| only(name, if name == "train.txt" { "images/2.jpg 0\n" } else { "images/1.jpg 0\n" }));
    assert_eq!(texts(new)[..3], expected);
    let error = of_table(b"path,label,split\n1.jpg,a,train\n2.jpg,a,\n3.jpg,a,spring\n", CsvColumns::default());
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("list.csv:3: `2.jpg`: the list is missing") && error.contains("`spring` is not"),
        "{error}"
    );
}

#[test]
fn what_is_not_clear_in_a_table_is_asked() {
    let fails = |table: &str, part: &str| {
        let error = of_table(table.as_bytes(), CsvColumns::default()).unwrap_err().to_string();
        assert!(error.starts_with("list.csv") && error.contains(part), "{table}: {error}");
    };
    fails("foto,a,b\n1.jpg,x,y\n2.jpg,x,z\n", "--label-column");
    fails("1.jpg,x,y\n2.jpg,x,z\n", "--label-column");
    fails("path,class_id,class_name\n1.jpg,1,ant\n2.jpg,1,bee\n", "1 is `ant` in line 2 and `bee` in line 3");
    fails("path,class_id,class_name\n1.jpg,1,ant\n2.jpg,2,ant\n", "`ant` is 1 in line 2 and 2 in line 3");
    fails("foto,label\nx,y\n", "--path-column");
    fails("path,label\n1.jpg,tea, green\n", "list.csv:2: 3 cells, but 2 in the first row");
    fails("path,label\n1.jpg,\"tea\ngreen\"\n", "list.csv:2: the label has a line break");
    // a path that is missing is no head
    fails("none.jpg,tea\n1.jpg,tea\n", "list.csv:1: `none.jpg` does not exist");
}

#[test]
fn absolute_paths_of_other_computers_are_found() {
    let table = "path,label\n/home/me/set/1.jpg,a\nC:\\set\\2.jpg,a\n./3.jpg,b\n";
    assert_eq!(of_table(table.as_bytes(), CsvColumns::default()).unwrap().0, ["1.jpg 0", "2.jpg 0", "3.jpg 1"]);
}

const LABELME: [(&str, &str); 4] = [
    ("label.txt", "cat\ndog\n"),
    ("images/a.jpg", ""),
    ("annotations/a.json", r#"{"imagePath": "../images/a.jpg", "flags": {"cat": false, "dog": true}}"#),
    ("annotations/b.json", r#"{"imagePath": "../images/b.jpg", "flags": {"cat": false}}"#),
];

#[test]
fn labelme_is_read_by_its_flags() {
    let expected = [only("train.txt", "images/a.jpg 1\n"), only("label.txt", "cat\ndog\n")];
    assert_eq!(lists(&LABELME, SourceForm::LabelMe).unwrap(), expected);
    let files = LABELME.map(|(path, text)| (path, text.as_bytes()));
    let new = converted(&files, SourceForm::LabelMe, &ConvertOptions::default()).unwrap();
    assert_eq!(new.notes, ["annotations without a flag that is set, which are left out: 1"]);
}

#[test]
fn all_faults_are_told_and_left_out_where_that_is_asked_for() {
    let annotations: Vec<(String, &str)> = (10..40).map(|at| (format!("annotations/{at}.json"), "{")).collect();
    let files: Vec<(&str, &[u8])> = LABELME
        .iter()
        .copied()
        .chain(annotations.iter().map(|(path, text)| (path.as_str(), *text)))
        .map(|(path, text)| (path, text.as_bytes()))
        .collect();
    let error = converted(&files, SourceForm::LabelMe, &ConvertOptions::default()).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(
        lines[0].starts_with("annotations/10.json: not JSON") && lines[0].ends_with("30 faults in all:"),
        "{error}"
    );
    assert_eq!((lines.len(), lines[21]), (22, "… and 10 more"));

    let skipping = ConvertOptions { skip_faulty: true, ..ConvertOptions::default() };
    let new = converted(&files, SourceForm::LabelMe, &skipping).unwrap();
    assert!(new.notes.contains(&"left out because of faults: 30".into()), "{:?}", new.notes);
    assert_eq!(texts(new)[0], only("train.txt", "images/a.jpg 1\n"));
    let none: Vec<(&str, &[u8])> = files.into_iter().filter(|(path, _)| *path != "annotations/a.json").collect();
    let error = converted(&none, SourceForm::LabelMe, &skipping).unwrap_err().to_string();
    assert!(error.contains("no labelled images"), "{error}");
}

#[test]
fn what_the_original_trips_over_is_said() {
    let with = |path: &str, text: &str| {
        let mut files: BTreeMap<&str, &str> = LABELME.into_iter().collect();
        files.insert(path, text);
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        lists(&files, SourceForm::LabelMe).unwrap_err().to_string()
    };
    let annotation = |flags: &str| format!(r#"{{"imagePath": "../images/a.jpg", "flags": {flags}}}"#);
    let cases = [
        (with("annotations/a.json", &annotation(r#"{"cow": true}"#)), "annotations/a.json: its flag `cow`"),
        (with("annotations/a.json", &annotation(r#"{"cat": true, "dog": true}"#)), "annotations/a.json: 2 flags"),
        (with("annotations/a.json", "{"), "annotations/a.json: not JSON"),
        (
            with("annotations/a.json", r#"{"imagePath": "x.jpg", "flags": {"cat": true}}"#),
            "annotations/a.json: its image `x.jpg`",
        ),
        (with("label.txt", "cat\ncat\n"), "label.txt: line 2: `cat` for the second time"),
    ];
    for (error, start) in cases {
        assert!(error.starts_with(start), "{error}");
    }
    for (files, form, start) in [
        (vec![("a.jpg", "")], SourceForm::LabelMe, "no LabelMe data set: there is no label.txt"),
        (vec![("a.jpg", "")], SourceForm::Csv, "there is no .csv"),
        (vec![("a.jpg", ""), ("b/c.jpg", "")], SourceForm::Folders, "`a.jpg` is in no folder"),
        (vec![("a.csv", "x.jpg,1\n")], SourceForm::Csv, "a.csv:1: `x.jpg` does not exist"),
        (vec![("a.csv", "a.jpg,1\na.jpg,2\n"), ("a.jpg", "")], SourceForm::Csv, "a.csv:2: `a.jpg` has two labels"),
    ] {
        let error = lists(&files, form).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
    assert!("Label".parse::<SourceForm>().is_err(), "a part of a name is no name");
}

#[test]
fn paths_of_tables_are_matched_as_those_of_lists() {
    let files: Vec<(&str, &[u8])> = vec![
        (
            "set/l.csv",
            "path,label\nCAT.jpg,a\ncafe\u{301}.jpg,a\ndeep\\dog.jpg,b\nDeep\\Bird.JPG,b\n./deep/../x.jpg,b\n"
                .as_bytes(),
        ),
        ("set/cat.jpg", b"1"),
        ("set/images/caf\u{e9}.jpg", b"2"),
        ("set/deep/dog.jpg", b"3"),
        ("set/deep/bird.jpg", b"4"),
        ("set/x.jpg", b"5"),
    ];
    let options = ConvertOptions {
        split: SplitOptions { percent: [100.0, 0.0, 0.0], ..SplitOptions::default() },
        ..ConvertOptions::default()
    };
    let new = converted(&files, SourceForm::Csv, &options).unwrap();
    let note = new.notes.iter().find(|note| note.contains("written otherwise")).expect("a note");
    assert!(note.contains(": 5: ") && note.contains("`CAT.jpg` is `cat.jpg`") && note.ends_with(", …"), "{note}");
    let rows =
        "images/caf\u{e9}.jpg 0\nimages/cat.jpg 0\nimages/deep/bird.jpg 1\nimages/deep/dog.jpg 1\nimages/x.jpg 1\n";
    assert_eq!(texts(new)[0], only("train.txt", rows));

    let two: Vec<(&str, &[u8])> = vec![("l.csv", b"path,label\nA.jpg,a\n"), ("a.jpg", b""), ("a.JPG", b"")];
    let error = converted(&two, SourceForm::Csv, &options).unwrap_err().to_string();
    assert!(error.contains("`A.jpg` does not exist"), "it is not clear which is meant: {error}");
}
