//! A golden case (`golden/check_dataset/*/CASE.json`) and its data set, rebuilt by the rules of
//! `golden/scripts/golden_dataset.py`. Reads no file: the golden's text is enough.
#![allow(dead_code)] // the program's tests use a part

use std::collections::BTreeMap;
use std::io::Cursor;

use serde_json::Value;

/// One run of PaddleX.
pub struct Case {
    pub name: String,
    /// The data set's folder below the root of all cases.
    pub folder: String,
    /// Contents by their paths below that folder.
    pub files: BTreeMap<String, Vec<u8>>,
    pub overrides: BTreeMap<String, String>,
    pub seed: u64,
    pub exit_code: i64,
    /// The golden's result, without whitespace between its parts.
    result: String,
    /// The lists after PaddleX's run.
    pub lists_after: BTreeMap<String, String>,
    /// The files below its output folder.
    pub out_files: Vec<String>,
}

impl Case {
    pub fn parse(text: &str) -> Case {
        let golden: Value = serde_json::from_str(text).unwrap();
        let name = golden["case"].as_str().unwrap().to_string();
        let strings = |value: &Value| -> BTreeMap<String, String> {
            let items = value.as_object().into_iter().flatten();
            items.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_string())).collect()
        };
        let lists = strings(&golden["txt_before"]);
        let overrides = golden["overrides"].as_array().unwrap().iter().map(|pair| {
            let (key, value) = pair.as_str().unwrap().split_once('=').unwrap();
            (key.strip_prefix("CheckDataset.").unwrap().to_string(), value.to_string())
        });
        let compact = compact(text);
        let result = compact.split_once("\"result\":").unwrap().1.to_string();
        let out_files = golden["out_files"].as_array().unwrap();
        Case {
            folder: match name.as_str() {
                "ok_nested" => "ok_nested2".into(),
                "split_70_20_10_second_run" => "split_70_20_10".into(),
                other => other.into(),
            },
            files: files(&name, &lists, &golden),
            overrides: overrides.collect(),
            seed: golden["python_random_seed_before_run"].as_u64().unwrap_or(0),
            exit_code: golden["exit_code"].as_i64().unwrap(),
            result,
            lists_after: if golden["txt_after"].is_object() { strings(&golden["txt_after"]) } else { lists },
            out_files: out_files.iter().map(|file| file.as_str().unwrap().to_string()).collect(),
            name,
        }
    }

    /// PaddleX's `src_dataset_type`; `None` where it did not convert.
    pub fn convert(&self) -> Option<Option<&str>> {
        self.overrides.get("convert.enable")?;
        Some(self.overrides.get("convert.src_dataset_type").map(String::as_str))
    }

    /// The percentages; `None` where it did not divide.
    pub fn split(&self) -> Option<[Option<&str>; 3]> {
        self.overrides.get("split.enable")?;
        let percent = |tag: &str| self.overrides.get(&format!("split.{tag}_percent")).map(String::as_str);
        Some(["train", "gallery", "query"].map(percent))
    }

    /// Whether this is PaddleX's result: the same keys in the same order, the same values.
    pub fn has_result(&self, json: &str) -> bool {
        let rest = self.result.strip_prefix(&compact(json));
        rest.is_some_and(|rest| rest.starts_with(",\"out_files\""))
    }

    /// PaddleX's result, for messages.
    pub fn result(&self) -> &str {
        self.result.split(",\"out_files\"").next().unwrap()
    }
}

/// JSON without whitespace between its parts, and without the backslashes before slashes.
pub fn compact(json: &str) -> String {
    let mut compact = String::new();
    let mut characters = json.chars();
    let mut in_string = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                let escaped = characters.next().unwrap();
                if escaped != '/' {
                    compact.push('\\');
                }
                compact.push(escaped);
            }
            '"' => {
                in_string = !in_string;
                compact.push(c);
            }
            c if c.is_ascii_whitespace() && !in_string => {}
            c => compact.push(c),
        }
    }
    compact
}

fn files(name: &str, lists: &BTreeMap<String, String>, golden: &Value) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    if name == "bad_dataset_dir_missing" {
        return files;
    }
    let below = if name == "ok_nested" { "sub/data/" } else { "" };
    let folder = if name == "bad_no_images_dir" { "pics" } else { "images" };
    let (classes, each) = if name.starts_with("convert") { (3, 4) } else { (4, 6) };
    for class in 0..classes {
        for k in 0..each {
            files.insert(format!("{below}{folder}/c{class}_{k}.png"), image(class, k));
        }
    }
    for (list, text) in lists {
        files.insert(list.clone(), text.clone().into_bytes());
    }
    let broken = b"notanimage".to_vec();
    match name {
        "ok_nested" => {
            // the golden only has the lists of the upper folder, which has none
            let all = (0..classes).flat_map(|class| (0..each).map(move |k| (class, k)));
            for (list, parts) in [("train", &[0, 1][..]), ("gallery", &[0]), ("query", &[1])] {
                let rows = all.clone().filter(|(_, k)| parts.contains(&(k % 2)));
                let rows: String = rows.map(|(class, k)| format!("images/c{class}_{k}.png {class}\n")).collect();
                files.insert(format!("sub/data/{list}.txt"), rows.into_bytes());
            }
        }
        "ok_image_outside_images" => {
            for (class, k) in [(0, 0), (1, 0)] {
                files.insert(format!("other/c{class}_{k}.png"), image(class, k));
            }
        }
        // the fourth and the sixteenth of the shuffled rows
        "bad_corrupt_image_in_first10" => _ = files.insert("images/c2_4.png".into(), broken),
        "ok_corrupt_image_after_first10" => _ = files.insert("images/c1_4.png".into(), broken),
        "bad_two_images_dirs" => _ = files.insert("x/images/file".into(), Vec::new()),
        "bad_space_in_path" => _ = files.insert("images/a b.png".into(), image(0, 0)),
        _ => {}
    }
    // PaddleX reads annotations in the file system's order, this crate by their names
    let order = golden["os_listdir_annotations"].as_array();
    for (index, file) in order.into_iter().flatten().enumerate() {
        let file = file.as_str().unwrap();
        let annotation = golden["annotations"][file].to_string();
        files.insert(format!("annotations/{index:03}_{file}"), annotation.into_bytes());
    }
    files
}

/// The 64 x 48 pixels of the goldens' images.
pub fn image(class: u8, k: u8) -> Vec<u8> {
    let image = image::RgbImage::from_fn(64, 48, |x, y| {
        let is_square = (10..20).contains(&x) && (10..20).contains(&y);
        image::Rgb([class * 60, k * 40, if is_square { 255 } else { 0 }])
    });
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}
