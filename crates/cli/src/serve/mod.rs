//! `image-feature serve`: the page, with the headers that WebAssembly with threads needs, and PaddleX's retrieval service.

mod api;
mod page;

use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionAborted, ConnectionReset, PermissionDenied};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::api::{Api, ApiArgs};
use super::Outcome;
use super::terminal::note;
use image_feature::{Error, ErrorKind, Result};

/// How long requests for files may take to finish after Ctrl-C, and answers to be sent.
const GRACE: Duration = Duration::from_secs(2);
/// Connections at a time; others wait until one ends.
const CONNECTIONS: usize = 256;
/// How long a client may take to send a request's head, or to think of its next request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Serve the page on this computer, or PaddleX's retrieval service
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature serve
  image-feature serve --api --model PP-ShiTuV2_rec --indexes indexes/
  curl -s http://localhost:8080/shitu-infer -H 'Content-Type: application/json' \\
    -d '{\"image\": \"'$(base64 -w0 photo.jpg)'\", \"indexKey\": \"…\"}'")]
pub struct ServeArgs {
    /// Folder to serve [default: the folder www of the checkout, or the one beside the program]
    dir: Option<PathBuf>,
    /// Port; 0 takes any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other computers in
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Answer PaddleX's requests, too: /shitu-index-build, /shitu-index-add, /shitu-index-remove, /shitu-infer, /health
    #[arg(long)]
    api: bool,
    #[command(flatten)]
    options: ApiArgs,
}

pub fn run(args: ServeArgs) -> Result<Outcome> {
    let folder = match args.dir {
        Some(folder) if folder.is_dir() => Some(folder),
        Some(folder) => {
            let message = format!("{}: no such folder; give the one to serve", folder.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
        None => find_page(),
    };
    let mut router = Router::new();
    match &folder {
        Some(folder) => router = router.merge(page::router(folder)),
        None if args.api => {}
        None => {
            let message = "the page (www/index.html) is neither here nor beside the program; \
                           give the folder to serve: image-feature serve DIR";
            return Err(Error::new(ErrorKind::Io, message));
        }
    }
    let api = if args.api { Some(Arc::new(Api::open(&args.options, args.host.is_loopback())?)) } else { None };
    if let Some(api) = &api {
        router = api::router(api).merge(router);
    }
    let served: Vec<String> =
        [folder.map(|folder| folder.display().to_string()), api.as_ref().map(|api| api.summary())]
            .into_iter()
            .flatten()
            .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let address = SocketAddr::new(args.host, args.port);
    runtime.block_on(serve(router.layer(from_fn(page::add_headers)), address, &served.join(" and "), api))?;
    runtime.shutdown_background(); // a file being read must not hold the program up
    Ok(Outcome::Good)
}

/// The folder `www` with the page: in the current folder, or beside the program or above it (`target/release`).
fn find_page() -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let current = std::env::current_dir().unwrap_or_default();
    std::iter::once(current.as_path())
        .chain(program.ancestors().skip(1).take(4))
        .map(|folder| folder.join("www"))
        .find(|folder| folder.join("index.html").is_file())
}

async fn serve(router: Router, address: SocketAddr, served: &str, api: Option<Arc<Api>>) -> Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, error))?;
    let address = listener.local_addr()?;
    let mut interrupts = Interrupts::listen()?; // before the address is told: whoever reads it may stop us at once
    note(&format!("serving {served} at http://{address}/ (Ctrl-C stops)"));
    if !address.ip().is_loopback() {
        note("other computers can open this too; their browsers give WebGPU and threads only to https:// or localhost");
    }
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accept = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            (permit, accepted) = accept => match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, router.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                // the client's own end
                Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset) => {}
                // no files to be had: some will be closed
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            },
            () = interrupts.next() => break,
        }
    }
    drop(listener);
    let answered = async {
        if let Some(api) = &api {
            api.finish().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = graceful.shutdown() => {}
        () = answered => {}
        () = interrupts.next() => {} // asked twice
    }
    Ok(())
}

/// Answers the requests of one client.
async fn serve_connection(stream: TcpStream, router: Router, watcher: Watcher) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = watcher.watch(connection).await; // how a connection ends is its client's affair
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> Error {
    let what_to_do = match error.kind() {
        AddrInUse => "another program listens there; stop it, or choose with --port N (0 takes a free port)",
        PermissionDenied => "ports below 1024 need an administrator; choose another with --port N",
        AddrNotAvailable => "this computer has no such address; leave --host out for this computer only",
        _ => "choose another with --host and --port",
    };
    Error::new(ErrorKind::Io, format!("cannot listen on {address}: {what_to_do}")).with_source(error)
}

/// Ctrl-C and SIGTERM, from when it is made.
#[cfg(unix)]
struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupts {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Interrupts { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C, from when it is made.
#[cfg(windows)]
struct Interrupts(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Interrupts {
    fn listen() -> Result<Self> {
        Ok(Interrupts(tokio::signal::windows::ctrl_c()?))
    }

    /// Waits for the next.
    async fn next(&mut self) {
        self.0.recv().await;
    }
}
