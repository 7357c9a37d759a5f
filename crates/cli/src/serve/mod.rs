//! `image-feature serve`: a web server for the page, with the headers that WebAssembly threads need, and for PaddleX's
//! retrieval service.

mod api;
mod connections;
mod host;
mod paced;
mod page;

use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionAborted, ConnectionReset, PermissionDenied};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use self::api::{Api, ApiArgs};
use self::connections::{Connections, Room};
use self::host::{Hosts, host_name};
use self::paced::{Awaited, Paced};
use super::Outcome;
use super::terminal::note;
use image_feature::{Error, ErrorKind, Result};

/// Time limit for open answers after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);
/// Time after Ctrl-C at which the server ends, whatever is still to be done.
const END: Duration = Duration::from_secs(8);
/// Bytes of an answer that the system keeps for a client. Small, so that a client that does not read is noticed early.
const SEND_BUFFER: u32 = 256 << 10;
/// Clients that wait until they are accepted.
const BACKLOG: u32 = 1024;
/// The answer to a client whose address has too many connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

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
    /// Host name under which the server may be asked, beside localhost and addresses; may be given several times
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    allow_host: Vec<String>,
    #[command(flatten)]
    limits: Limits,
    /// Answer PaddleX's requests, too: /shitu-index-build, /shitu-index-add, /shitu-index-remove, /shitu-infer, /health
    #[arg(long)]
    api: bool,
    #[command(flatten)]
    options: ApiArgs,
}

/// Limits for clients.
#[derive(Clone, Copy, clap::Args)]
struct Limits {
    /// Connections at a time. For one more, the one that moves the fewest bytes is closed, if it can be done without
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// Connections of one address at a time; no limit for this computer, where a reverse proxy may be
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections_by_address: u16,
    /// Time limit in seconds for a request's head, and for the pause between two requests
    #[arg(long, hide = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    head_time: u16,
    /// Time limit in seconds for a client that takes nothing of an answer
    #[arg(long, hide = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    write_time: u16,
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
    let hosts = Hosts::new(&args.allow_host);
    let mut router = Router::new();
    match &folder {
        Some(folder) => router = router.merge(page::router(folder, &hosts)?),
        None if args.api => {}
        None => {
            let message = "the page (www/index.html) is neither here nor beside the program; \
                           give the folder to serve: image-feature serve DIR";
            return Err(Error::new(ErrorKind::Io, message));
        }
    }
    let api = if args.api {
        Some(Arc::new(Api::open(&args.options, args.host.is_loopback().then_some(hosts))?))
    } else {
        None
    };
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
    let router = router.layer(from_fn(page::add_headers));
    runtime.block_on(serve(router, address, args.limits, &served.join(" and "), api))?;
    runtime.shutdown_background(); // does not wait for a file that is being read
    image_feature::output_file::delete_unfinished(|| Ok(Outcome::Good)) // nor for an index that is being written
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

async fn serve(router: Router, address: SocketAddr, limits: Limits, served: &str, api: Option<Arc<Api>>) -> Result<()> {
    let listener = listen(address).map_err(|error| cannot_listen(address, error))?;
    let address = listener.local_addr()?;
    let mut interrupts = Interrupts::listen()?; // before the address is printed: its reader may send a signal at once
    note(&format!("serving {served} at http://{address}/ (Ctrl-C stops)"));
    if !address.ip().is_loopback() {
        note(
            "other computers can open this too, by address or by a name that --allow-host gives; their browsers give WebGPU and \
             threads only to https:// or localhost",
        );
    }
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &router, limits, &graceful) => {}
        () = interrupts.next() => {}
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
        () = tokio::time::sleep(END) => {}
        () = interrupts.next() => {} // a second signal
    }
    Ok(())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if cfg!(unix) {
        socket.set_reuseaddr(true)?; // the port can be used again at once after the server has ended
    }
    socket.set_send_buffer_size(SEND_BUFFER)?; // of each connection, too
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts clients, and answers each on a task of its own.
async fn accept(listener: &TcpListener, router: &Router, limits: Limits, graceful: &GracefulShutdown) {
    let by_address = limits.max_connections_by_address.into();
    let connections = Connections::new(limits.max_connections.into(), by_address);
    loop {
        match listener.accept().await {
            Ok((stream, client)) => match connections.admit(client.ip()).await {
                Some(room) => {
                    tokio::spawn(serve_connection(stream, room, limits, router.clone(), graceful.watcher()));
                }
                None => {
                    let _ = stream.try_write(TOO_MANY); // is sent at once, or not at all
                }
            },
            // the client has closed the connection
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset) => {}
            // too many open files
            Err(_) => {
                connections.make_room();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Answers the requests of one client, until the connection has to make room for another.
async fn serve_connection(stream: TcpStream, room: Room, limits: Limits, router: Router, watcher: Watcher) {
    let service = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let working = room.pulse.work();
        let answer = service.call(request.map(|body| Awaited::body(body, Arc::clone(&room.pulse))));
        async move {
            let answer = answer.await;
            drop(working);
            answer
        }
    });
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    let stream = Paced::new(stream, Arc::clone(&room.pulse), seconds(limits.write_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(limits.head_time))
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = watcher.watch(connection) => {} // errors of a connection concern its client only
        () = room.pulse.closed() => {}
    }
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

/// Ctrl-C and SIGTERM since its creation.
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

    /// Waits for the next signal.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C since its creation.
#[cfg(windows)]
struct Interrupts(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Interrupts {
    fn listen() -> Result<Self> {
        Ok(Interrupts(tokio::signal::windows::ctrl_c()?))
    }

    /// Waits for the next signal.
    async fn next(&mut self) {
        self.0.recv().await;
    }
}
