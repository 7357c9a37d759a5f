//! `image-feature model download`: official models into PaddleX's cache.

use std::io::IsTerminal;
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

use crate::official::{OFFICIAL_MODELS, OfficialModel};
use crate::output_file::delete_unfinished_on_interrupt;
use crate::terminal::{Stdout, note};
use image_feature::official::{DownloadOptions, Received};
use image_feature::{Error, Result};

/// Download one of PaddleX's official models into PaddleX's cache, which both programs share
///
/// Prints the model's folder. A download that was broken off goes on the next time. The archive's SHA-256 is written down the
/// first time, and compared with each later download.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature model download PP-ShiTuV2_rec
  image-feature predict photo.jpg --model PP-ShiTuV2_rec

IMAGE_FEATURE_MIRROR is the address of another server with the same archives. IMAGE_FEATURE_OFFLINE=1 forbids downloads. \
HTTPS_PROXY is respected. PADDLE_PDX_CACHE_HOME moves PaddleX's cache, which is ~/.paddlex otherwise.")]
pub struct DownloadArgs {
    /// The model's name, see `image-feature model list`
    #[arg(value_name = "NAME")]
    name: String,
    /// The address of a folder with the same archives [default: IMAGE_FEATURE_MIRROR, else PaddleX's server]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Print nothing but the folder and errors
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &DownloadArgs) -> Result<()> {
    let Some(model) = OfficialModel::find(&args.name) else {
        let names: Vec<&str> = OFFICIAL_MODELS.iter().map(|model| model.name).collect();
        return Err(Error::usage(format!("{}: no official model; there are {}", args.name, names.join(", "))));
    };
    delete_unfinished_on_interrupt();
    let environment = DownloadOptions::from_environment();
    let options = DownloadOptions { mirror: args.mirror.clone().or(environment.mirror.clone()), ..environment };
    let mut bar = (!args.quiet).then(Bar::default);
    let folder = model.download(&options, &mut |received| {
        if let Some(bar) = &mut bar {
            bar.show(received);
        }
        ControlFlow::Continue(())
    })?;
    drop(bar);
    Stdout::default().line(&folder.display().to_string())
}

/// The address and the size in one line, then a bar where stderr is a terminal.
#[derive(Default)]
struct Bar {
    /// `None` until the first answer.
    bar: Option<ProgressBar>,
}

impl Bar {
    fn show(&mut self, Received { url, bytes, total, .. }: Received) {
        let bar = self.bar.get_or_insert_with(|| {
            let size = total.map_or("of unknown size".into(), |total| format!("{:.1} MB", total as f64 / 1e6));
            let gone_on = if bytes > 0 { format!(", from {:.1} MB on", bytes as f64 / 1e6) } else { String::new() };
            note(&format!("downloading {url} ({size}{gone_on})"));
            if !std::io::stderr().is_terminal() {
                return ProgressBar::hidden();
            }
            let template = "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
            let style = ProgressStyle::with_template(template).expect("the template is a constant");
            ProgressBar::new(total.unwrap_or(0)).with_style(style).with_position(bytes)
        });
        bar.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
