//! Compares the size of a run's checkpoints with the free space on the disk.

use std::path::Path;

use super::earlier::{epoch_of, parse};
use super::recipe::Recipe;
use crate::model::lcnet_v2::Form;
use crate::{Error, ErrorKind, Result};

/// The space that a run needs on the disk, and the free space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes of the checkpoints to come, less those that they replace.
    pub needed: u64,
    /// Free bytes; `None` if the system does not say.
    pub free: Option<u64>,
    /// Bytes of one checkpoint.
    checkpoint: u64,
    /// Checkpoints `epoch_N` to come.
    numbered: u64,
}

impl Room {
    /// Looks at the disk with the run's folder, which need not exist yet. If the run in it is overwritten, all of its
    /// checkpoints make room.
    pub fn of(recipe: &Recipe, epochs_done: usize, output: &Path, overwrite: bool) -> Self {
        let parameters = recipe.model.network.parameters(Form::Training, Some(recipe.classes));
        let weights = 4 * parameters.iter().map(|parameter| parameter.len() as u64).sum::<u64>();
        // .pdparams, .safetensors, .pdiparams, and the velocities in .pdopt
        let checkpoint = 4 * weights;
        let numbered = (recipe.epochs / recipe.save_interval - epochs_done / recipe.save_interval) as u64;
        // best_model, latest, and a new checkpoint beside the old one that it replaces; best_model has its weights twice
        let all = checkpoint.saturating_mul(numbered.saturating_add(3)).saturating_add(weights);
        let replaced = replaced_bytes(recipe, epochs_done, output, overwrite);
        Room { needed: all.saturating_sub(replaced), free: free(output), checkpoint, numbered }
    }

    /// Refuses a run that would fill the disk hours later.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io): the disk is too small. The message has the needed and the free space.
    pub fn check(&self, recipe: &Recipe, output: &Path) -> Result<()> {
        let Some(free) = self.free.filter(|free| *free < self.needed) else { return Ok(()) };
        let others = self.needed.saturating_sub(self.checkpoint.saturating_mul(self.numbered));
        let fewer = match free.checked_sub(others) {
            None => String::new(),
            Some(left) => {
                let interval = recipe.epochs as u64 / (left / self.checkpoint.max(1) + 1) + 1;
                format!("save only every {interval} epochs (--save-interval, Train.save_interval), ")
            }
        };
        Err(Error::new(
            ErrorKind::Io,
            format!(
                "{}: the checkpoints of this run take up to {} more, but {} are free there: free some space, {fewer}choose another \
                 folder, or start anyway (--ignore-disk)",
                output.display(),
                megabytes(self.needed),
                megabytes(free),
            ),
        ))
    }
}

/// Bytes of an earlier run's checkpoints that this run replaces.
fn replaced_bytes(recipe: &Recipe, epochs_done: usize, output: &Path, overwrite: bool) -> u64 {
    let Ok(entries) = std::fs::read_dir(output) else { return 0 };
    let is_replaced = |name: &str| {
        if overwrite {
            return parse(name).is_some();
        }
        let again = epoch_of(name).is_some_and(|epoch| {
            (epochs_done + 1..=recipe.epochs).contains(&epoch) && epoch.is_multiple_of(recipe.save_interval)
        });
        again || name == "best_model" || name == "latest"
    };
    let replaced = entries.flatten().filter(|entry| is_replaced(&entry.file_name().to_string_lossy()));
    replaced.map(|entry| bytes_below(&entry.path())).sum()
}

/// `1234 MB`
fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// Bytes that this user can still write at `path`, which need not exist yet.
fn free(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    fs4::available_space(path.ancestors().find(|ancestor| ancestor.exists())?).ok()
}

fn bytes_below(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(epochs: usize, save_interval: usize) -> Recipe {
        Recipe { epochs, save_interval, ..Recipe::published("PP-ShiTuV2_rec", 1000).unwrap() }
    }

    #[test]
    fn a_full_disk_is_told_with_a_way_round() {
        let folder = temp_dir::TempDir::new().unwrap();
        let recipe = recipe(20, 1);
        let room = Room { free: Some(1_000_000_000), ..Room::of(&recipe, 0, folder.path(), false) };
        // 4.8 million parameters and a head of half a million
        assert_eq!(room.checkpoint, 16 * (4_778_880 + 512_000));
        let error = room.check(&recipe, folder.path()).unwrap_err().to_string();
        for part in ["up to 1968 MB more", "1000 MB are free", "only every 3 epochs", "--ignore-disk"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let rarely = Recipe { save_interval: 3, ..recipe.clone() };
        let fits = Room { free: Some(1_000_000_000), ..Room::of(&rarely, 0, folder.path(), false) };
        fits.check(&rarely, folder.path()).unwrap();
        let none = Room { free: Some(1_000_000), ..room };
        assert!(!none.check(&recipe, folder.path()).unwrap_err().to_string().contains("save only"));
        Room { free: None, ..room }.check(&recipe, folder.path()).unwrap();
    }

    #[test]
    fn what_is_replaced_needs_no_room() {
        let folder = temp_dir::TempDir::new().unwrap();
        let recipe = recipe(6, 2);
        let fresh = Room::of(&recipe, 0, &folder.path().join("not/yet/there"), false);
        assert!(fresh.free.is_some_and(|free| free > 0), "{fresh:?}");
        assert_eq!(fresh.numbered, 3);
        for name in ["epoch_2", "epoch_3", "epoch_6", "epoch_8", "latest", "other"] {
            let inner = folder.path().join(name).join("inference");
            std::fs::create_dir_all(&inner).unwrap();
            std::fs::write(inner.join("a"), [0; 1000]).unwrap();
        }
        assert_eq!(Room::of(&recipe, 0, folder.path(), false).needed, fresh.needed - 3000);
        assert_eq!(Room::of(&recipe, 0, folder.path(), true).needed, fresh.needed - 5000);
        // epoch_2 is older
        let resumed = Room::of(&recipe, 2, folder.path(), false);
        assert_eq!((resumed.numbered, resumed.needed), (2, fresh.needed - fresh.checkpoint - 2000));
    }
}
