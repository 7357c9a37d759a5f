//! Galleries in PostgreSQL with pgvector: a table for each, an HNSW index where one can be.
//!
//! What a table is compared by is in its comment, as JSON: it stays with the table wherever that goes. `docs/gallery.md`
//! has the columns.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pgvector::{Bit, Vector};
use serde_json::{Map, Value, json};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::save;
use crate::Outcome;
use crate::terminal::{Progress, note};
use image_feature::error::Context;
use image_feature::gallery::{Entry, Gallery, Metric, ModelId, Search, Storage};
use image_feature::{Error, ErrorKind, Result};

/// Key of a table's comment, and what it is worth.
const KEY: &str = "image_feature_gallery";
const VERSION: u64 = 1;
/// Rows of a transaction, and rows that are read at once.
const AT_ONCE: usize = 5000;
/// Characters of a table's name: PostgreSQL takes 63, and the index has a longer one.
const MAX_NAME: usize = 50;
/// Values of a vector, by what pgvector can keep, and what it can index as floats and as half floats.
const MAX_DIMENSION: usize = 16_000;
const MAX_INDEXED: usize = 2_000;
const MAX_INDEXED_HALF: usize = 4_000;
/// How many vectors pgvector's HNSW index looks at, at least and at most.
const EF_SEARCH: [usize; 2] = [200, 1000];
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Where the database is.
#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// postgresql://USER@HOST/DATABASE; the password may be in PGPASSWORD instead
    #[arg(long, value_name = "URL")]
    postgres: String,
}

/// Put a gallery into a table of PostgreSQL
///
/// Sends what the table has not, or has otherwise; a push that was interrupted goes on where it was. The database needs pgvector.
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
    /// Delete rows that the gallery has not
    #[arg(long)]
    delete: bool,
    /// Tell nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

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
    /// Tell nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// The driver's errors as the program's.
trait Explained<T> {
    /// The same, with what the database says as the error's message.
    fn explained(self) -> Result<T>;
}

impl<T> Explained<T> for std::result::Result<T, tokio_postgres::Error> {
    fn explained(self) -> Result<T> {
        self.map_err(explain)
    }
}

fn explain(error: tokio_postgres::Error) -> Error {
    let message = match error.as_db_error() {
        Some(told) => {
            let more = [told.detail(), told.hint()].into_iter().flatten().map(|more| format!("; {more}"));
            format!("PostgreSQL: {}{}", told.message(), more.collect::<String>())
        }
        None => {
            let mut message = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                message += &format!(": {cause}");
                source = cause.source();
            }
            message
        }
    };
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// A connection, and what drives it.
pub struct Database {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// Version of pgvector, its first two numbers; `None` where the database has it not.
    pgvector: Option<(u32, u32)>,
}

impl Database {
    /// Connects. Where the URL does not say `sslmode=disable` and the server has TLS, it is used, and the server's certificate
    /// must be one that this computer trusts.
    pub fn connect(url: &str) -> Result<Self> {
        // certificates are always verified, which only these modes of libpq's say
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let message = format!("--postgres: {}; postgresql://USER@HOST/DATABASE is expected", explain(error));
            Error::usage(message)
        })?;
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME);
        }
        config.application_name("image-feature");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let remote = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        let client = runtime.block_on(async {
            if remote && config.get_ssl_mode() != SslMode::Disable {
                let (client, connection) = config.connect(MakeRustlsConnect::new(tls()?)).await.explained()?;
                tokio::spawn(connection);
                Ok::<_, Error>(client)
            } else {
                let (client, connection) = config.connect(NoTls).await.explained()?;
                tokio::spawn(connection);
                Ok(client)
            }
        });
        let client = client.map_err(|error| match error.message() {
            untrusted if untrusted.contains("invalid peer certificate") => {
                let advice = "SSL_CERT_FILE names certificates to trust, sslmode=disable in the URL goes without";
                Error::new(error.kind(), format!("{error}; {advice}")).with_source(error)
            }
            _ => error,
        });
        let client = client.context(|| "--postgres".into())?;
        let mut database = Database { runtime, client, pgvector: None };
        database.find_pgvector()?;
        Ok(database)
    }

    fn find_pgvector(&mut self) -> Result<()> {
        let asked = self.client.query_opt("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[]);
        let version: Option<String> = self.runtime.block_on(asked).explained()?.map(|row| row.get(0));
        self.pgvector = version.map(|version| {
            let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
        });
        Ok(())
    }

    fn run(&self, sql: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql)).explained()?)
    }

    fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        Ok(self.runtime.block_on(self.client.query(sql, values)).explained()?)
    }

    /// Calls `take` with all rows of a query, some at a time, as they are at one moment.
    fn each_some(&self, sql: &str, take: &mut dyn FnMut(Vec<Row>) -> Result<()>) -> Result<()> {
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let mut all = || {
            self.run(&format!("DECLARE walk NO SCROLL CURSOR FOR {sql}"))?;
            loop {
                let rows = self.rows(&format!("FETCH {AT_ONCE} FROM walk"), &[])?;
                if rows.is_empty() {
                    return Ok(());
                }
                take(rows)?;
            }
        };
        let taken = all();
        taken.and(self.run("ROLLBACK"))
    }

    /// What a table's comment says of it; `None` where there is no such table.
    fn describe(&self, table: &Table) -> Result<Option<Description>> {
        let sql = "SELECT to_regclass($1) IS NOT NULL, obj_description(to_regclass($1)::oid, 'pg_class')";
        let rows = self.rows(sql, &[&table.quoted])?;
        let row = rows.first().ok_or_else(|| Error::internal("a query without rows"))?;
        if !row.get::<_, bool>(0) {
            return Ok(None);
        }
        let comment: Option<String> = row.get(1);
        Description::parse(comment.as_deref().unwrap_or(""))
            .map(Some)
            .map_err(|error| error.context(table.name.clone()))
    }

    fn described(&self, table: &Table) -> Result<Description> {
        self.describe(table)?.ok_or_else(|| {
            Error::usage(format!("the database has no table `{}`; `gallery push` makes one", table.name))
        })
    }

    fn has_pgvector(&self, least: (u32, u32)) -> bool {
        self.pgvector.is_some_and(|version| version >= least)
    }
}

/// TLS with whom this computer trusts; `SSL_CERT_FILE` names others.
fn tls() -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(error.to_string()).with_source(error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A table's name, which is part of SQL.
struct Table {
    name: String,
    quoted: String,
    /// The name of its index; an index is where its table is.
    index: String,
}

impl Table {
    fn new(name: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let plain = |part: &&str| {
            let mut characters = part.chars();
            part.len() <= MAX_NAME
                && characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let (Some(last), 1..=2, true) = (parts.last(), parts.len(), parts.iter().all(plain)) else {
            return Err(Error::usage(format!(
                "`{name}` is no name for a table: up to {MAX_NAME} letters, digits and `_`, the first no digit, or SCHEMA.TABLE"
            )));
        };
        let quoted: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
        Ok(Table { name: name.into(), quoted: quoted.join("."), index: format!("\"{last}_hnsw\"") })
    }
}

/// What all rows of a table have in common.
#[derive(Debug, PartialEq)]
struct Description {
    dimension: usize,
    metric: Metric,
    storage: Storage,
    model: Option<ModelId>,
}

impl Description {
    fn of(gallery: &Gallery) -> Self {
        Description {
            dimension: gallery.dimension(),
            metric: gallery.metric(),
            storage: gallery.storage(),
            model: gallery.model().cloned(),
        }
    }

    fn to_json(&self) -> Value {
        let model = self.model.as_ref().map(|ModelId { name, hash }| json!({ "name": name, "hash": hash }));
        json!({ KEY: {
            "version": VERSION, "dimension": self.dimension, "metric": self.metric.to_string(),
            "storage": self.storage.to_string(), "model": model,
        } })
    }

    fn parse(comment: &str) -> Result<Self> {
        let told: Value = serde_json::from_str(comment).unwrap_or_default();
        let told = &told[KEY];
        match told["version"].as_u64() {
            None => {
                return Err(Error::gallery("the table is no gallery: its comment does not say so; name another table"));
            }
            Some(VERSION) => {}
            Some(version) => {
                let message = format!("a gallery of version {version}; this program knows version {VERSION}");
                return Err(Error::unsupported(message));
            }
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let wrong = |error: Error| Error::gallery(format!("the table's comment: {error}"));
        let dimension = told["dimension"].as_u64().and_then(|dimension| usize::try_from(dimension).ok());
        let model = &told["model"];
        Ok(Description {
            dimension: dimension.unwrap_or(0),
            metric: text(&told["metric"]).parse().map_err(wrong)?,
            storage: text(&told["storage"]).parse().map_err(wrong)?,
            model: model.is_object().then(|| ModelId { name: text(&model["name"]), hash: text(&model["hash"]) }),
        })
    }

    /// Refuses vectors that cannot stand beside those of the table.
    fn check(&self, gallery: &Gallery, table: &Table) -> Result<()> {
        let ours = Description::of(gallery);
        let other = |what: &str, theirs: String, ours: String| {
            Err(Error::usage(format!(
                "table `{}` holds a gallery with {what} {theirs}, this one has {ours}; name another with --table",
                table.name
            )))
        };
        match (&self.model, &ours.model) {
            _ if self.dimension != ours.dimension => {
                other("dimension", self.dimension.to_string(), ours.dimension.to_string())
            }
            _ if self.metric != ours.metric => other("metric", self.metric.to_string(), ours.metric.to_string()),
            (Some(theirs), Some(ours)) if !theirs.is_same(ours) => other("model", theirs.to_string(), ours.to_string()),
            _ => Ok(()),
        }
    }

    /// The type of the column.
    fn column(&self) -> String {
        let kind = if self.metric == Metric::Hamming { "bit" } else { "vector" };
        format!("{kind}({})", self.dimension)
    }

    /// The distance, and which of pgvector's ways to index it.
    fn operator(&self) -> [&'static str; 2] {
        match self.metric {
            Metric::Cosine => ["<=>", "cosine_ops"],
            Metric::InnerProduct => ["<#>", "ip_ops"],
            Metric::L2 => ["<->", "l2_ops"],
            Metric::Hamming => ["<~>", "hamming_ops"],
        }
    }

    /// What is compared, of an expression for vectors: where an index can only have half floats, these.
    fn compared(&self, vector: &str) -> String {
        let Description { dimension, .. } = self;
        if self.metric != Metric::Hamming && (MAX_INDEXED + 1..=MAX_INDEXED_HALF).contains(dimension) {
            format!("({vector}::halfvec({dimension}))")
        } else {
            vector.into()
        }
    }

    /// SQL that makes the index, or why there can be none.
    fn index(&self, table: &Table, pgvector: Option<(u32, u32)>) -> Result<String, String> {
        let Description { dimension, .. } = self;
        let half = self.compared("feature") != "feature";
        let kind = match self.metric {
            Metric::Hamming => "bit",
            _ if *dimension > MAX_INDEXED_HALF => {
                return Err(format!(
                    "pgvector indexes up to {MAX_INDEXED_HALF} values, and the vectors have {dimension}"
                ));
            }
            _ if half && pgvector < Some((0, 7)) => {
                return Err(format!(
                    "pgvector before 0.7 indexes up to {MAX_INDEXED} values, and the vectors have {dimension}"
                ));
            }
            _ if half => "halfvec",
            _ => "vector",
        };
        Ok(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw ({} {kind}_{})",
            table.index,
            table.quoted,
            self.compared("feature"),
            self.operator()[1]
        ))
    }
}

/// A vector as the column takes it.
enum Column {
    Vector(Vector),
    Bits(Bit),
}

impl Column {
    fn new(metric: Metric, vector: Vec<f32>) -> Self {
        match metric {
            Metric::Hamming => Column::Bits(Bit::new(&vector.iter().map(|&value| value > 0.0).collect::<Vec<bool>>())),
            _ => Column::Vector(Vector::from(vector)),
        }
    }

    fn of_row(metric: Metric, row: &Row, at: usize) -> Result<Vec<f32>> {
        if metric != Metric::Hamming {
            return Ok(row.try_get::<_, Vector>(at).explained()?.into());
        }
        let bits: Bit = row.try_get(at).explained()?;
        let bit = |at: usize| if bits.as_bytes()[at / 8] << (at % 8) & 0x80 != 0 { 1.0 } else { -1.0 };
        Ok((0..bits.len()).map(bit).collect())
    }

    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Column::Vector(vector) => vector,
            Column::Bits(bits) => bits,
        }
    }
}

/// What tells whether a row is as it should be.
fn digest(entry: &Entry, vector: &[f32]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(json!(entry).to_string().as_bytes());
    hasher.update(bytemuck::cast_slice(vector));
    hasher.finalize().as_bytes()[..16].to_vec()
}

/// PostgreSQL's texts have every character but this.
fn check_characters(entry: &Entry) -> Result<()> {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    let label = entry.label.as_deref().unwrap_or("");
    let metadata = entry.metadata.iter().any(|(key, value)| key.contains('\0') || has_nul(value));
    if entry.id.contains('\0') || label.contains('\0') || metadata {
        let id = entry.id.escape_debug();
        return Err(Error::unsupported(format!("id `{id}`: PostgreSQL has no place for the character NUL")));
    }
    Ok(())
}

pub fn push(args: &PushArgs) -> Result<Outcome> {
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
    let mut database = Database::connect(&args.database.postgres)?;
    if database.pgvector.is_none() {
        let made = database.run("CREATE EXTENSION IF NOT EXISTS vector");
        made.context(|| "the database has no pgvector yet, and it could not be made".into())?;
        database.find_pgvector()?;
    }
    if gallery.metric() == Metric::Hamming && !database.has_pgvector((0, 7)) {
        return Err(Error::unsupported("metric hamming needs pgvector 0.7 or later in the database"));
    }
    let lock = format!("image-feature gallery {}", table.quoted);
    let free = database.rows("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &[&lock])?;
    if !free.first().is_some_and(|row| row.get(0)) {
        if !args.quiet {
            note("another push to this table is going on; waiting for its end");
        }
        database.rows("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&lock])?;
    }
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

fn create(database: &Database, table: &Table, description: &Description) -> Result<()> {
    let comment = description.to_json().to_string();
    let literal = database.rows("SELECT quote_literal($1)", &[&comment])?;
    let literal: String = literal.first().map_or(String::new(), |row| row.get(0));
    // `place` keeps the order in which vectors were added: of equally near ones the first is found first
    database.run(&format!(
        "BEGIN; CREATE TABLE {table} (id text PRIMARY KEY, place bigint NOT NULL, label text, \
         metadata jsonb NOT NULL DEFAULT '{{}}', feature {column} NOT NULL, digest bytea NOT NULL); \
         COMMENT ON TABLE {table} IS {literal}; COMMIT",
        table = table.quoted,
        column = description.column(),
    ))
}

/// What a push has to do.
struct Changes {
    /// Which entries of the gallery, in its order, are new or other than in the table.
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

/// Sends what has changed, some rows in each transaction: what has been sent stays, whatever happens then.
fn send(
    database: &mut Database,
    table: &Table,
    gallery: &Gallery,
    changes: &Changes,
    args: &PushArgs,
) -> Result<(u64, u64)> {
    const COLUMNS: &str = "id, place, label, metadata, feature, digest";
    let staging = "pg_temp.image_feature_push";
    database.run(&format!("CREATE TEMP TABLE image_feature_push (LIKE {}) ON COMMIT DELETE ROWS", table.quoted))?;
    let upsert = format!(
        "INSERT INTO {} ({COLUMNS}) SELECT {COLUMNS} FROM {staging} ON CONFLICT (id) DO UPDATE SET \
         label = excluded.label, metadata = excluded.metadata, feature = excluded.feature, digest = excluded.digest",
        table.quoted
    );
    let mut rows = Vec::with_capacity(AT_ONCE);
    let mut progress = Progress::new(Some(changes.send.iter().filter(|&&send| send).count() as u64), args.quiet);
    let Database { runtime, client, .. } = database;
    let mut sent = 0;
    let mut flush = |rows: &mut Vec<(i64, &Entry, Vec<f32>)>| -> Result<()> {
        sent += runtime.block_on(async {
            let transaction = client.transaction().await.explained()?;
            let columns = transaction.prepare(&format!("SELECT {COLUMNS} FROM {staging}")).await.explained()?;
            let types: Vec<_> = columns.columns().iter().map(|column| column.type_().clone()).collect();
            let copy = format!("COPY {staging} ({COLUMNS}) FROM STDIN BINARY");
            let mut writer =
                pin!(BinaryCopyInWriter::new(transaction.copy_in::<_, Bytes>(&copy).await.explained()?, &types));
            for (place, entry, vector) in rows.drain(..) {
                let digest = digest(entry, &vector);
                let feature = Column::new(gallery.metric(), vector);
                let metadata = Json(&entry.metadata);
                writer
                    .as_mut()
                    .write(&[&entry.id, &place, &entry.label, &metadata, feature.as_sql(), &digest])
                    .await
                    .explained()?;
                progress.advance();
            }
            writer.as_mut().finish().await.explained()?;
            let sent = transaction.execute(&upsert, &[]).await.explained()?;
            transaction.commit().await.explained()?;
            Ok::<u64, Error>(sent)
        })?;
        Ok(())
    };
    for (place, ((entry, vector), _)) in
        (changes.place..).zip(gallery.iter().zip(&changes.send).filter(|(_, send)| **send))
    {
        rows.push((place, entry, vector.into_owned()));
        if rows.len() == AT_ONCE {
            flush(&mut rows)?;
        }
    }
    if !rows.is_empty() {
        flush(&mut rows)?;
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

/// The entry and the vector of a row `id, label, metadata, feature`.
fn entry_of(row: &Row, metric: Metric) -> Result<(Entry, Vec<f32>)> {
    let Json(metadata): Json<Map<String, Value>> = row.try_get(2).explained()?;
    Ok((
        Entry { id: row.try_get(0).explained()?, label: row.try_get(1).explained()?, metadata },
        Column::of_row(metric, row, 3)?,
    ))
}

/// Adds rows `id, label, metadata, feature` to a gallery.
fn extend(gallery: &mut Gallery, rows: &[Row]) -> Result<()> {
    let (mut entries, mut vectors) = (Vec::new(), Vec::new());
    for row in rows {
        let (entry, vector) = entry_of(row, gallery.metric())?;
        entries.push(entry);
        vectors.extend(vector);
    }
    gallery.extend(entries, &vectors).map_err(|error| Error::gallery(error.to_string()))
}

pub fn pull(args: &PullArgs) -> Result<Outcome> {
    let table = Table::new(&args.table)?;
    super::check_output(&args.output, args.force)?;
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

/// A table that is searched.
pub struct Remote {
    database: Database,
    description: Description,
    /// An empty gallery with what the table's vectors have in common.
    pub gallery: Gallery,
    sql: String,
    labels: Vec<String>,
    fields: Vec<(String, Value)>,
}

impl Remote {
    /// Prepares to search for `k` rows with one of `labels`, where there are any, and all of `fields`.
    pub fn open(
        database: Database,
        table: &str,
        k: usize,
        labels: &[String],
        fields: &[(String, Value)],
        exact: bool,
    ) -> Result<Self> {
        let table = Table::new(table)?;
        let description = database.described(&table)?;
        // scores are computed anew here, in 64 bits: some more rows than are wanted, as the database's own are rounded
        let candidates = k.saturating_mul(2).saturating_add(10);
        let filtered = !labels.is_empty() || !fields.is_empty();
        if exact || candidates > EF_SEARCH[1] || filtered && !database.has_pgvector((0, 8)) {
            // an index gives no more than so many, before the filter
            database.run("SET enable_indexscan = off")?;
        } else {
            database.run(&format!("SET hnsw.ef_search = {}", candidates.clamp(EF_SEARCH[0], EF_SEARCH[1])))?;
        }
        if filtered && database.has_pgvector((0, 8)) {
            database.run("SET hnsw.iterative_scan = strict_order")?;
        }
        let mut conditions = vec!["true".to_string()];
        if !labels.is_empty() {
            conditions.push("label = ANY($2)".into());
        }
        let first = if labels.is_empty() { 2 } else { 3 };
        conditions.extend(
            (0..fields.len())
                .map(|at| format!("metadata -> ${}::text = ${}::jsonb", first + 2 * at, first + 2 * at + 1)),
        );
        let query = match description.metric {
            Metric::Hamming => "$1".into(),
            _ => description.compared("$1::vector"),
        };
        // the nearest first, whose rows are then put in the order in which they were added
        let sql = format!(
            "SELECT id, label, metadata, feature FROM (SELECT * FROM {} WHERE {} ORDER BY {} {} {query} LIMIT {}) \
             AS nearest ORDER BY place, id",
            table.quoted,
            conditions.join(" AND "),
            description.compared("feature"),
            description.operator()[0],
            i64::try_from(candidates).unwrap_or(i64::MAX),
        );
        let Description { dimension, metric, ref model, .. } = description;
        let storage = if metric == Metric::Hamming { Storage::Bit } else { Storage::F32 };
        let mut gallery = Gallery::new(dimension, metric, storage)?;
        gallery.set_model(model.clone());
        Ok(Remote { database, description, gallery, sql, labels: labels.to_vec(), fields: fields.to_vec() })
    }

    /// The nearest rows, with the scores that a gallery gives.
    pub fn search(&self, feature: &[f32], search: Search) -> Result<Vec<(Entry, f32)>> {
        let metric = self.description.metric;
        let query = Column::new(metric, feature.to_vec());
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![query.as_sql()];
        if !self.labels.is_empty() {
            values.push(&self.labels);
        }
        for (key, value) in &self.fields {
            values.extend([key as &(dyn ToSql + Sync), value]);
        }
        let rows = self.database.rows(&self.sql, &values)?;
        let mut nearest = Gallery::new(self.description.dimension, metric, self.gallery.storage())?;
        extend(&mut nearest, &rows)?;
        let hits = nearest.search(feature, search)?;
        Ok(hits.iter().map(|hit| (hit.entry.clone(), hit.score)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_plain() {
        assert_eq!(Table::new("Photos_2").unwrap().quoted, "\"Photos_2\"");
        assert_eq!(Table::new("shop.photos").unwrap().quoted, "\"shop\".\"photos\"");
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", ".", "a.", "a.b.c", "2a", "a b", "a\"b", "a;drop table b", "é", "a-b", &long] {
            assert!(Table::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_a_table_is_survives_its_comment() {
        for (metric, storage) in [(Metric::Cosine, Storage::I8), (Metric::Hamming, Storage::Bit)] {
            for model in [None, Some(ModelId { name: "a'\"\\b".into(), hash: "0af".into() })] {
                let description = Description { dimension: 7, metric, storage, model };
                assert_eq!(Description::parse(&description.to_json().to_string()).unwrap(), description);
            }
        }
        for comment in ["", "a table of mine", "{}", "[1]", "{\"image_feature_gallery\": 1}"] {
            let error = Description::parse(comment).unwrap_err();
            assert!(error.to_string().contains("is no gallery"), "{comment}: {error}");
        }
        let later = "{\"image_feature_gallery\": {\"version\": 2}}";
        assert_eq!(Description::parse(later).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn nul_is_found_wherever_it_is() {
        let deep = Entry::new("a").metadata("k", json!([{ "x": "b\0" }]));
        for entry in [Entry::new("a\0"), Entry::new("a").label("\0"), Entry::new("a").metadata("\0", 1), deep] {
            assert!(check_characters(&entry).is_err(), "{entry:?}");
        }
        check_characters(&Entry::new("a").label("\\u0000").metadata("k", "\\u0000")).unwrap();
    }
}
