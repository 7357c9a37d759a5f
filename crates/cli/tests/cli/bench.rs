//! A folder with a small model, in which the program runs. Modules add what their command needs.

use std::path::PathBuf;

use super::photos::model_file;

pub struct Bench {
    pub folder: temp_dir::TempDir,
    pub model: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let folder = temp_dir::TempDir::new().unwrap();
        let model = model_file(folder.path(), 24);
        Bench { folder, model }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
