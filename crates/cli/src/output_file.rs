//! Output files, and their removal on Ctrl-C.

use std::io::Write;
use std::path::Path;

pub use image_feature::output_file::OutputFile;
use image_feature::{Error, Result};

/// Refuses a file that cannot be written, or that exists and must not be replaced. Called before the work begins.
pub fn check_output(path: &Path, force: bool) -> Result<()> {
    match OutputFile::replaces(path)? && !force {
        true => Err(Error::usage(format!("{}: is there already; --force replaces it", path.display()))),
        false => Ok(()),
    }
}

/// On Ctrl-C (and SIGTERM) deletes unfinished files and folders and ends the program with code 130.
pub fn delete_unfinished_on_interrupt() {
    delete_unfinished_unless(|| false);
}

/// The same, unless `stops` gives true: the program then ends by itself.
pub fn delete_unfinished_unless(stops: impl Fn() -> bool + Send + 'static) {
    let installed = ctrlc::set_handler(move || {
        if stops() {
            return;
        }
        image_feature::dataset::delete_unfinished_folders(|| {
            image_feature::output_file::delete_unfinished(|| {
                let _ = writeln!(std::io::stderr(), "interrupted");
                std::process::exit(super::INTERRUPTED.into())
            })
        })
    });
    if let Err(error) = installed {
        let _ = writeln!(std::io::stderr(), "note: Ctrl-C may leave half a file behind: {error}");
    }
}
