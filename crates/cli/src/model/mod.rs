//! `image-feature model`: look at model files and convert them.

mod calibrate;
mod convert;
mod export;
mod info;
mod list;

use clap::Subcommand;

use super::Outcome;
use image_feature::Result;

/// Look at model files and convert them
#[derive(Subcommand)]
pub enum ModelCommand {
    Info(info::InfoArgs),
    Convert(convert::ConvertArgs),
    Export(export::ExportArgs),
    List(list::ListArgs),
}

pub fn run(command: ModelCommand) -> Result<Outcome> {
    match command {
        ModelCommand::Info(args) => info::run(args),
        ModelCommand::Convert(args) => convert::run(args),
        ModelCommand::Export(args) => export::run(args),
        ModelCommand::List(args) => list::run(args),
    }?;
    Ok(Outcome::Good)
}
