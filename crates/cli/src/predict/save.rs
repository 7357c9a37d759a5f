//! Results in files: PaddleX's JSON for each image, or numpy's `.npy` with a list of its rows.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::objects::Objects;
use crate::embed::Origin;
use crate::format::python::float_json;
use crate::format::value::Layout;
use crate::output_file::OutputFile;
use image_feature::error::Context;
use image_feature::gallery::{Turn, npy};
use image_feature::{Error, Result};

/// The form of saved results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SaveFormat {
    /// One file for each image, NAME_res.json, as PaddleX 3.x writes it
    Json,
    /// All features in features.npy (N x dimension, float32); features.csv says which row is which image
    Npy,
}

/// What was computed of an image.
pub enum Prediction {
    Feature(Vec<f32>),
    Objects(Objects),
}

/// A folder of results.
pub struct Saver {
    folder: PathBuf,
    files: Files,
    /// Files of earlier runs that were replaced.
    pub replaced: u64,
}

enum Files {
    Json { taken: HashSet<String> },
    Npy { matrix: Box<npy::Writer<OutputFile>>, list: Box<OutputFile>, rows: u64 },
}

impl Saver {
    /// Creates the folder if it does not exist.
    pub fn create(folder: &Path, format: SaveFormat, dimension: usize) -> Result<Self> {
        create_folder(folder)?;
        let files = match format {
            SaveFormat::Json => Files::Json { taken: HashSet::new() },
            SaveFormat::Npy => {
                let file = OutputFile::create(folder.join("features.npy"))?;
                let matrix = npy::Writer::of_any_length(file, dimension)?;
                let mut list = OutputFile::create(folder.join("features.csv"))?;
                list.write_all(b"row,input_path\n")?;
                Files::Npy { matrix: Box::new(matrix), list: Box::new(list), rows: 0 }
            }
        };
        Ok(Saver { folder: folder.to_path_buf(), files, replaced: 0 })
    }

    /// Saves one result; boxes with their picture.
    pub fn save(&mut self, origin: &Origin, prediction: &Prediction) -> Result<()> {
        match &mut self.files {
            Files::Json { taken } => {
                let target = self.folder.join(free_name(&origin.relative, taken));
                if let Some(parent) = target.parent() {
                    create_folder(parent)?;
                }
                self.replaced += u64::from(target.exists());
                OutputFile::write(&target, json(&origin.input_path, prediction, Layout::Indented).as_bytes())?;
                match prediction {
                    Prediction::Feature(_) => Ok(()),
                    Prediction::Objects(objects) => {
                        OutputFile::write(target.with_extension("png"), &objects.picture()?)
                    }
                }
            }
            Files::Npy { matrix, list, rows } => {
                let Prediction::Feature(feature) = prediction else {
                    return Err(Error::internal("boxes are no rows of a matrix"));
                };
                matrix.row(feature)?;
                writeln!(list, "{rows},{}", csv_field(&origin.input_path))?;
                *rows += 1;
                Ok(())
            }
        }
        .map_err(|error| cannot_write(&self.folder, error))
    }

    /// Completes files that hold all results.
    pub fn finish(&mut self) -> Result<()> {
        let Files::Npy { matrix, list, rows } =
            std::mem::replace(&mut self.files, Files::Json { taken: HashSet::new() })
        else {
            return Ok(());
        };
        if rows == 0 {
            return Ok(()); // without results, files of an earlier run stay
        }
        // of two runs at a time, both files are from one
        let _turn = Turn::take(self.folder.join("features.npy")).map_err(|error| cannot_write(&self.folder, error))?;
        self.replaced +=
            ["features.npy", "features.csv"].iter().filter(|name| self.folder.join(name).exists()).count() as u64;
        matrix
            .finish()
            .and_then(OutputFile::commit)
            .and_then(|()| list.commit())
            .map_err(|error| cannot_write(&self.folder, error))
    }
}

fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).context(|| format!("{}: the folder cannot be made", folder.display()))
}

fn cannot_write(folder: &Path, error: Error) -> Error {
    error.context(format!("cannot save to {}", folder.display()))
}

/// The name of an image's result file: PaddleX's `<stem>_res.json`, in the image's folder. Where another image of this run
/// has that name already (`x.png`, `x.jpg`), `<stem>.<suffix>_res.json`, then `<stem>.<suffix>_2_res.json`.
fn free_name(relative: &Path, taken: &mut HashSet<String>) -> PathBuf {
    let file = relative.file_name().unwrap_or_default().to_string_lossy();
    let stem = relative.file_stem().unwrap_or_default().to_string_lossy();
    let names = [format!("{stem}_res.json"), format!("{file}_res.json")];
    let numbered = (2..).map(|number| format!("{file}_{number}_res.json"));
    names
        .into_iter()
        .chain(numbered)
        .map(|name| relative.with_file_name(name))
        // on some file systems `X.json` and `x.json` are one file
        .find(|name| taken.insert(name.to_string_lossy().to_lowercase()))
        .expect("numbers do not end")
}

fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

/// A result as JSON with PaddleX's keys. Each value is written as Python writes it as a double.
fn json(input_path: &str, prediction: &Prediction, layout: Layout) -> String {
    let (start, key, end, open, value, close) = match layout {
        Layout::Indented => ("{\n    ", ",\n    ", "\n}", "[\n        ", ",\n        ", "\n    ]"),
        Layout::Line => ("{", ", ", "}", "[", ", ", "]"),
    };
    let feature = match prediction {
        Prediction::Feature(feature) => feature,
        Prediction::Objects(objects) => return objects.value(input_path).json(layout),
    };
    let mut json = String::with_capacity(feature.len() * 32);
    let path = json_string(input_path);
    let _ = write!(json, "{start}\"input_path\": {path}{key}\"page_index\": null{key}\"feature\": {open}");
    for (index, &element) in feature.iter().enumerate() {
        json.push_str(if index > 0 { value } else { "" });
        json.push_str(&float_json(f64::from(element)));
    }
    json.push_str(close);
    json.push_str(end);
    json
}

/// A result as JSON on one line, with `damaged` where only a part of the image could be decoded.
pub fn json_line(input_path: &str, prediction: &Prediction, damage: Option<&str>) -> String {
    let mut line = json(input_path, prediction, Layout::Line);
    if let Some(damage) = damage {
        line.pop();
        let _ = write!(line, ", \"damaged\": {}}}", json_string(damage));
    }
    line
}

/// A string as JSON; `json.dumps(ensure_ascii=False)` escapes the same characters in the same way.
pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(values: &[f32]) -> Prediction {
        Prediction::Feature(values.to_vec())
    }

    fn origin(relative: &str) -> Origin {
        Origin { input_path: format!("in/{relative}"), relative: relative.into() }
    }

    #[test]
    fn json_is_what_paddlex_writes() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/predict/v3312");
        if !golden.exists() {
            println!("skipped: {} is not there", golden.display());
            return;
        }
        for file in ["explicit_name.json", "all/chelsea_res.json", "dir/chelsea_res.json"] {
            let text = std::fs::read_to_string(golden.join(file)).unwrap();
            let result: serde_json::Value = serde_json::from_str(&text).unwrap();
            let feature: Vec<f32> =
                result["feature"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
            assert_eq!(feature.len(), 512);
            assert!(
                json(result["input_path"].as_str().unwrap(), &Prediction::Feature(feature), Layout::Indented) == text,
                "{file}"
            );
        }
    }

    #[test]
    fn json_of_odd_names_and_values() {
        let line = json("a\"b\\c\n\u{1}é.png", &feature(&[1e-5, -0.0, 1.0, f32::NAN]), Layout::Line);
        assert_eq!(
            line,
            r#"{"input_path": "a\"b\\c\n\u0001é.png", "page_index": null, "feature": [9.999999747378752e-06, -0.0, 1.0, NaN]}"#
        );
    }

    #[test]
    fn damage_is_the_last_field() {
        let line = json_line("a.jpg", &feature(&[1.0]), Some("\"x\""));
        assert_eq!(line, r#"{"input_path": "a.jpg", "page_index": null, "feature": [1.0], "damaged": "\"x\""}"#);
        assert_eq!(json_line("a.jpg", &feature(&[1.0]), None), json("a.jpg", &feature(&[1.0]), Layout::Line));
    }

    #[test]
    fn no_result_of_a_run_replaces_another() {
        let mut taken = HashSet::new();
        let names: Vec<String> = ["x.png", "x.jpg", "X.png", "x.jpg", "a/x.png", "b/x.png", "noext", "x_res.json"]
            .into_iter()
            .map(|relative| free_name(Path::new(relative), &mut taken).to_string_lossy().into_owned())
            .collect();
        let expected = [
            "x_res.json",
            "x.jpg_res.json",
            "X.png_res.json",
            "x.jpg_2_res.json",
            "a/x_res.json",
            "b/x_res.json",
            "noext_res.json",
            "x_res_res.json",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_matrix_and_its_list_appear_together_at_the_end() {
        let folder = temp_dir::TempDir::new().unwrap();
        let mut saver = Saver::create(folder.path(), SaveFormat::Npy, 2).unwrap();
        saver.save(&origin("a.png"), &feature(&[1.0, 2.0])).unwrap();
        saver.save(&origin("b, \"c\".png"), &feature(&[3.0, 4.0])).unwrap();
        assert!(!folder.path().join("features.npy").exists());
        saver.finish().unwrap();
        let matrix = std::fs::read(folder.path().join("features.npy")).unwrap();
        assert_eq!(matrix.len(), 128 + 16);
        let list = std::fs::read_to_string(folder.path().join("features.csv")).unwrap();
        assert_eq!(list, "row,input_path\n0,in/a.png\n1,\"in/b, \"\"c\"\".png\"\n");

        let mut empty = Saver::create(folder.path(), SaveFormat::Npy, 2).unwrap();
        empty.finish().unwrap();
        assert_eq!(empty.replaced, 0);
        drop(empty);
        assert_eq!(std::fs::read(folder.path().join("features.npy")).unwrap(), matrix);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_second_run_says_what_it_replaced() {
        let folder = temp_dir::TempDir::new().unwrap();
        for replaced in [0, 1] {
            let mut saver = Saver::create(folder.path(), SaveFormat::Json, 1).unwrap();
            saver.save(&origin("deep/a.png"), &feature(&[1.0])).unwrap();
            saver.finish().unwrap();
            assert_eq!(saver.replaced, replaced);
        }
        assert!(folder.path().join("deep/a_res.json").is_file());
    }
}
