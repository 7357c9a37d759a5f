//! The connection to a database.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::AT_ONCE;
use image_feature::error::Context;
use image_feature::{Error, ErrorKind, Result};

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Turns errors of the driver into errors of the program.
pub(super) trait Explained<T> {
    /// The same result, with the database's message in the error.
    fn explained(self) -> Result<T>;
}

impl<T> Explained<T> for std::result::Result<T, tokio_postgres::Error> {
    fn explained(self) -> Result<T> {
        self.map_err(explain)
    }
}

fn explain(error: tokio_postgres::Error) -> Error {
    let message = match error.as_db_error() {
        Some(said) => {
            let more = [said.detail(), said.hint()].into_iter().flatten().map(|more| format!("; {more}"));
            format!("PostgreSQL: {}{}", said.message(), more.collect::<String>())
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

/// Version of pgvector: its first two numbers.
pub(super) type Version = (u32, u32);

/// A connection with the runtime that drives it. Its methods block.
pub struct Database {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) client: Client,
    /// `None` where the database does not have pgvector.
    pub(super) pgvector: Option<Version>,
}

impl Database {
    /// Connects. Uses TLS with verified certificates where the server has it, unless the URL says `sslmode=disable`.
    pub fn connect(url: &str) -> Result<Self> {
        let config = configuration(url)?;
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

    /// Asks the database for the version of pgvector.
    pub(super) fn find_pgvector(&mut self) -> Result<()> {
        let asked = self.client.query_opt("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[]);
        let version: Option<String> = self.runtime.block_on(asked).explained()?.map(|row| row.get(0));
        self.pgvector = version.map(|version| {
            let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
        });
        Ok(())
    }

    /// Runs statements without results.
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(self.client.batch_execute(sql)).explained()
    }

    /// The rows of a query.
    pub(super) fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.runtime.block_on(self.client.query(sql, values)).explained()
    }

    /// Calls `take` with all rows of a query, some at a time, from one snapshot of the database.
    pub(super) fn each_some(&self, sql: &str, take: &mut dyn FnMut(Vec<Row>) -> Result<()>) -> Result<()> {
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

    /// Whether the database has at least this version of pgvector.
    pub(super) fn has_pgvector(&self, least: Version) -> bool {
        self.pgvector.is_some_and(|version| version >= least)
    }
}

/// The driver's settings of a URL, completed by `PGPASSWORD` and a time limit.
fn configuration(url: &str) -> Result<Config> {
    // Certificates are always verified. The driver knows only `require` of the modes that ask for TLS.
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
    Ok(config)
}

/// TLS with the system root certificates, or those of `SSL_CERT_FILE`.
fn tls() -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(error.to_string()).with_source(error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
