//! What is told at the end of a search for images.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::terminal::note;
use image_feature::file_tree::{Images, PassedOver, tell_passed_over};

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
        kept.notes.extend(other.notes);
        kept.notes.truncate(MOST);
    }

    /// A sentence about the files that were passed over so far; `None` where there are none.
    pub fn passed_over(&self) -> Option<String> {
        let kept = self.kept();
        tell_passed_over(kept.count, &kept.passed_over)
    }

    /// Prints all on stderr.
    pub fn tell(&self) {
        let sentence = self.passed_over();
        for text in self.kept().notes.iter().chain(&sentence) {
            note(&format!("note: {text}"));
        }
    }
}

/// What is added to the reason why nothing was found: the files that were passed over.
pub fn instead(found: &Images) -> String {
    tell_passed_over(found.passed_over.len(), &found.passed_over).map_or(String::new(), |text| format!("; {text}"))
}
