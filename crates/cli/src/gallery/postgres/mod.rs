//! Galleries in PostgreSQL with pgvector: a table for each gallery, with an HNSW index where pgvector can make one.
//!
//! The comment of a table describes the gallery as JSON, so that the description moves with the table. `docs/gallery.md` has the
//! columns.

mod connection;
mod pull;
mod push;
mod row;
mod search;
mod table;

pub use self::connection::Database;
pub use self::pull::{PullArgs, pull};
pub use self::push::{PushArgs, push};
pub use self::search::{Conditions, Remote};

/// Rows of a transaction, and rows that are read at once.
const AT_ONCE: usize = 5000;

/// The address of the database.
#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// postgresql://USER@HOST/DATABASE; the password may be in PGPASSWORD instead
    #[arg(long, value_name = "URL")]
    postgres: String,
}
