//! `image-feature gallery push`: a gallery into a table.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;

use bytes::Bytes;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{Json, ToSql};

use super::connection::{Database, Explained};
use super::row::{Column, check_characters, digest};
use super::table::{Description, Table};
use super::{AT_ONCE, DatabaseArgs};
use crate::Outcome;
use crate::address::refuse_address;
use crate::terminal::{Progress, note};
use image_feature::error::Context;
use image_feature::gallery::{Entry, Gallery, Metric};
use image_feature::{Error, Result};

/// Maximum values of a vector in pgvector.
const MAX_DIMENSION: usize = 16_000;

/// Put a gallery into a table of PostgreSQL
///
/// Sends new and changed rows; a push that was interrupted goes on where it was. The database needs pgvector.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery push photos.safetensors --postgres postgresql://me@db.example.org/shop
  image-feature gallery search photos query.jpg --postgres postgresql://me@db.example.org/shop --model PP-ShiTuV2_rec")]
pub struct PushArgs {
    gallery: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table, or SCHEMA.TABLE [default: the file's name without its suffix]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Delete rows that are not in the gallery
    #[arg(long)]
    delete: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

pub fn push(args: &PushArgs) -> Result<Outcome> {
    refuse_address(&args.gallery)?;
    let gallery = Gallery::open(&args.gallery)?;
    let name = match &args.table {
        Some(name) => name.clone(),
        None => args.gallery.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let table = Table::new(&name).context(|| "--table".into())?;
    gallery.iter().try_for_each(|(entry, _)| check_characters(entry))?;
    if gallery.dimension() > MAX_DIMENSION && gallery.metric() != Metric::Hamming {
        let dimension = gallery.dimension();
        return Err(Error::limit(format!(
            "pgvector keeps vectors of up to {MAX_DIMENSION} values; these have {dimension}"
        )));
    }
    let mut database = connect(&args.database.postgres, gallery.metric())?;
    lock(&database, &table, args.quiet)?;
    let description = Description::of(&gallery);
    match database.describe(&table)? {
        Some(there) => there.check(&gallery, &table)?,
        None => create(&database, &table, &description)?,
    }
    let changes = changes(&database, &table, &gallery)?;
    let (sent, deleted) = send(&mut database, &table, &gallery, &changes, args)?;
    match description.index(&table, database.pgvector) {
        Ok(sql) => database.run(&sql)?,
        Err(why) if !args.quiet => note(&format!("note: no index: {why}; searches look at every row")),
        Err(_) => {}
    }
    if !args.quiet {
        note(&format!("{sent} rows sent, {} unchanged, {deleted} deleted in table {}", changes.unchanged, table.name));
    }
    Ok(Outcome::Good)
}

/// Connects to the database, and installs pgvector there if it is missing.
fn connect(url: &str, metric: Metric) -> Result<Database> {
    let mut database = Database::connect(url)?;
    if database.pgvector.is_none() {
        let made = database.run("CREATE EXTENSION IF NOT EXISTS vector");
        made.context(|| "the database has no pgvector yet, and it could not be made".into())?;
        database.find_pgvector()?;
    }
    if metric == Metric::Hamming && !database.has_pgvector((0, 7)) {
        return Err(Error::unsupported("metric hamming needs pgvector 0.7 or later in the database"));
    }
    Ok(database)
}

/// Waits for the end of another push to the same table. The lock ends with the connection.
fn lock(database: &Database, table: &Table, quiet: bool) -> Result<()> {
    let lock = format!("image-feature gallery {}", table.quoted);
    let free = database.rows("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &[&lock])?;
    if !free.first().is_some_and(|row| row.get(0)) {
        if !quiet {
            note("another push to this table is going on; waiting for its end");
        }
        database.rows("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&lock])?;
    }
    Ok(())
}

fn create(database: &Database, table: &Table, description: &Description) -> Result<()> {
    let comment = description.to_json().to_string();
    let literal = database.rows("SELECT quote_literal($1)", &[&comment])?;
    let literal: String = literal.first().map_or(String::new(), |row| row.get(0));
    // `place` keeps the order in which vectors were added, which is the order of hits with equal scores
    database.run(&format!(
        "BEGIN; CREATE TABLE {table} (id text PRIMARY KEY, place bigint NOT NULL, label text, \
         metadata jsonb NOT NULL DEFAULT '{{}}', feature {column} NOT NULL, digest bytea NOT NULL); \
         COMMENT ON TABLE {table} IS {literal}; COMMIT",
        table = table.quoted,
        column = description.column(),
    ))
}

/// The differences between a gallery and its table.
struct Changes {
    /// For each entry of the gallery, in its order, whether it is new or differs from the table's.
    send: Vec<bool>,
    unchanged: usize,
    /// Ids that only the table has.
    surplus: Vec<String>,
    /// The place of the next new row.
    place: i64,
}

fn changes(database: &Database, table: &Table, gallery: &Gallery) -> Result<Changes> {
    let mut digests: HashMap<String, Vec<u8>> = HashMap::new();
    database.each_some(&format!("SELECT id, digest FROM {}", table.quoted), &mut |rows| {
        for row in rows {
            digests.insert(row.try_get(0).explained()?, row.try_get(1).explained()?);
        }
        Ok(())
    })?;
    let place = database.rows(&format!("SELECT coalesce(max(place) + 1, 0) FROM {}", table.quoted), &[])?;
    let send: Vec<bool> = gallery
        .iter()
        .map(|(entry, vector)| digests.get(&entry.id).is_none_or(|there| *there != digest(entry, &vector)))
        .collect();
    let ours: HashSet<&str> = gallery.iter().map(|(entry, _)| entry.id.as_str()).collect();
    digests.retain(|id, _| !ours.contains(id.as_str()));
    Ok(Changes {
        unchanged: send.iter().filter(|&&send| !send).count(),
        send,
        surplus: digests.into_keys().collect(),
        place: place.first().map_or(0, |row| row.get(0)),
    })
}

const COLUMNS: &str = "id, place, label, metadata, feature, digest";
const STAGING: &str = "pg_temp.image_feature_push";

/// A row to send: its place, entry and vector.
type NewRow<'g> = (i64, &'g Entry, Vec<f32>);

/// Sends the changes and gives the numbers of rows sent and deleted. Each transaction has some of the rows, so that an
/// interrupted push keeps those that are sent.
fn send(
    database: &mut Database,
    table: &Table,
    gallery: &Gallery,
    changes: &Changes,
    args: &PushArgs,
) -> Result<(u64, u64)> {
    database.run(&format!("CREATE TEMP TABLE image_feature_push (LIKE {}) ON COMMIT DELETE ROWS", table.quoted))?;
    let upsert = format!(
        "INSERT INTO {} ({COLUMNS}) SELECT {COLUMNS} FROM {STAGING} ON CONFLICT (id) DO UPDATE SET \
         label = excluded.label, metadata = excluded.metadata, feature = excluded.feature, digest = excluded.digest",
        table.quoted
    );
    let mut progress = Progress::new(Some(changes.send.iter().filter(|&&send| send).count() as u64), args.quiet);
    let Database { runtime, client, .. } = database;
    let mut sent = 0;
    let changed = gallery.iter().zip(&changes.send).filter(|(_, send)| **send);
    let mut rows =
        (changes.place..).zip(changed).map(|(place, ((entry, vector), _))| (place, entry, vector.into_owned()));
    loop {
        let some: Vec<NewRow> = rows.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        sent += runtime.block_on(send_some(client, &upsert, gallery.metric(), some, &mut progress))?;
    }
    progress.finish();
    let mut deleted = 0;
    if args.delete {
        for ids in changes.surplus.chunks(AT_ONCE) {
            let sql = format!("DELETE FROM {} WHERE id = ANY($1)", table.quoted);
            deleted += runtime.block_on(client.execute(&sql, &[&ids])).explained()?;
        }
    }
    Ok((sent, deleted))
}

/// Copies rows to the staging table and from there to the table, in one transaction.
async fn send_some(
    client: &mut Client,
    upsert: &str,
    metric: Metric,
    rows: Vec<NewRow<'_>>,
    progress: &mut Progress,
) -> Result<u64> {
    let transaction = client.transaction().await.explained()?;
    let columns = transaction.prepare(&format!("SELECT {COLUMNS} FROM {STAGING}")).await.explained()?;
    let types: Vec<_> = columns.columns().iter().map(|column| column.type_().clone()).collect();
    let copy = format!("COPY {STAGING} ({COLUMNS}) FROM STDIN BINARY");
    let sink = transaction.copy_in::<_, Bytes>(&copy).await.explained()?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for (place, entry, vector) in rows {
        let digest = digest(entry, &vector);
        let feature = Column::new(metric, vector);
        let metadata = Json(&entry.metadata);
        let row: [&(dyn ToSql + Sync); 6] = [&entry.id, &place, &entry.label, &metadata, feature.as_sql(), &digest];
        writer.as_mut().write(&row).await.explained()?;
        progress.advance();
    }
    writer.as_mut().finish().await.explained()?;
    let sent = transaction.execute(upsert, &[]).await.explained()?;
    transaction.commit().await.explained()?;
    Ok(sent)
}
