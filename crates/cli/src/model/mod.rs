//! `image-feature model`: look at model files, convert and download them.

mod calibrate;
mod convert;
mod download;
mod export;
mod info;
mod list;

use clap::Subcommand;

use super::Outcome;
use image_feature::Result;

/// Look at model files, convert and download them
#[derive(Subcommand)]
pub enum ModelCommand {
    Info(info::InfoArgs),
    Convert(convert::ConvertArgs),
    Export(export::ExportArgs),
    List(list::ListArgs),
    Download(download::DownloadArgs),
}

pub fn run(command: ModelCommand) -> Result<Outcome> {
    match command {
        ModelCommand::Info(args) => info::run(args),
        ModelCommand::Convert(args) => convert::run(args),
        ModelCommand::Export(args) => export::run(args),
        ModelCommand::List(args) => list::run(args),
        ModelCommand::Download(args) => download::run(&args),
    }?;
    Ok(Outcome::Good)
}
