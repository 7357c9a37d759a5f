//! What is told at the end of a search for images.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::terminal::note;
use image_feature::file_tree::{PassedOver, tell_passed_over};

/// Maximum notes, and names of files, that are kept.
const MOST: usize = 20;

/// Files that were passed over, and notes, in a search for images. Clones share them.
#[derive(Clone, Default)]
pub struct Remarks(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    notes: Vec<String>,
    count: usize,
    passed_over: Vec<PassedOver>,
    /// An image that is hidden.
    hidden: Option<String>,
}

impl Remarks {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a note.
    pub fn note(&self, text: String) {
        let mut kept = self.kept();
        if kept.notes.len() < MOST {
            kept.notes.push(text);
        }
    }

    /// Adds a file that was passed over.
    pub fn pass_over(&self, path: String, what: String) {
        let mut kept = self.kept();
        kept.count += 1;
        if kept.passed_over.len() < MOST {
            kept.passed_over.push(PassedOver { path, what });
        }
    }

    /// Adds the remarks of another search.
    pub fn add(&self, other: &Remarks) {
        let other = std::mem::take(&mut *other.kept());
        let mut kept = self.kept();
        kept.count += other.count;
        kept.passed_over.extend(other.passed_over);
        kept.passed_over.truncate(MOST);
        kept.hidden = kept.hidden.take().or(other.hidden);
        kept.notes.extend(other.notes);
        kept.notes.truncate(MOST);
    }

    /// Adds an image that is hidden. It is told only where nothing else is found.
    pub fn hide(&self, path: &str) {
        self.kept().hidden.get_or_insert_with(|| path.into());
    }

    /// What is added to the reason why no image was found: what there is instead.
    pub fn instead(&self) -> String {
        let kept = self.kept();
        let passed_over = tell_passed_over(kept.count, &kept.passed_over);
        let hidden = kept
            .hidden
            .as_ref()
            .map(|path| format!("hidden images, such as {path}, are read where their own folder or file is given"));
        passed_over.into_iter().chain(hidden).map(|text| format!("; {text}")).collect()
    }

    /// Prints all on stderr.
    pub fn tell(&self) {
        let kept = self.kept();
        for text in kept.notes.iter().chain(&tell_passed_over(kept.count, &kept.passed_over)) {
            note(&format!("note: {text}"));
        }
    }
}
