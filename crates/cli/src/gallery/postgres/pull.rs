//! `image-feature gallery pull`: a table into a gallery's file.

use std::path::PathBuf;

use super::DatabaseArgs;
use super::connection::Database;
use super::row::extend;
use super::table::{Description, Table};
use crate::Outcome;
use crate::gallery::save;
use crate::output_file::check_output;
use crate::terminal::note;
use image_feature::Result;
use image_feature::error::Context;
use image_feature::gallery::Gallery;

/// Make a gallery of a table of PostgreSQL
#[derive(clap::Args)]
pub struct PullArgs {
    /// The table, or SCHEMA.TABLE
    table: String,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The gallery's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

pub fn pull(args: &PullArgs) -> Result<Outcome> {
    let table = Table::new(&args.table)?;
    check_output(&args.output, args.force)?;
    let database = Database::connect(&args.database.postgres)?;
    let Description { dimension, metric, storage, model } = database.described(&table)?;
    let mut gallery = Gallery::new(dimension, metric, storage)?;
    gallery.set_model(model);
    let sql = format!("SELECT id, label, metadata, feature FROM {} ORDER BY place, id", table.quoted);
    database.each_some(&sql, &mut |rows| extend(&mut gallery, &rows)).context(|| table.name.clone())?;
    save(&gallery, &args.output)?;
    if !args.quiet {
        note(&format!("{} vectors in {}", gallery.len(), args.output.display()));
    }
    Ok(Outcome::Good)
}
