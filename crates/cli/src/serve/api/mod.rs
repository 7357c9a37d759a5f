//! PaddleX's retrieval service: its paths, requests, answers and errors. `docs/gallery.md` describes them.

mod indexes;
mod infer;
mod network;
mod request;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use uuid::Uuid;

use self::indexes::Indexes;
use self::network::Network;
use self::request::{AddRequest, BuildRequest, Pair, RemoveRequest, image_bytes};
use crate::recognize::Compat;
use crate::serve::host::{Hosts, host_of, is_local};
use crate::terminal::note;
use crate::{default_threads, open_model, thread_count};
use image_feature::detector::Detector;
use image_feature::gallery::{Entry, Gallery, Metric, ModelId, Storage};
use image_feature::model::ModelDescription;
use image_feature::{
    DecodeBudget, DecodeLimits, DecodeOptions, DecodeShare, DeviceRequest, Error, ErrorKind, Orient, RgbImage,
    decode_with, probe,
};

/// Images that go through the network together.
const BATCH: usize = 8;
/// Maximum pixels of an image: less than for a command, because any client may send a request.
const MAX_PIXELS: u64 = 1 << 26;
/// Maximum bytes that decoding takes, for all requests together.
const DECODE_BYTES: u64 = 1 << 30;
/// More requests than there can be at a time.
const BEGUN: u32 = 1 << 20;
/// Bytes at the start of a body that need no room. There may be as many such bodies as connections.
const WITHOUT_ROOM: usize = 64 << 10;
/// The unit in which room is taken, in bytes.
const BLOCK: usize = 1 << 10;
/// Bytes by which the memory of a body grows.
const GROWTH: usize = 1 << 20;
/// Bytes a second that a body must have,
const LEAST_RATE: f64 = 1024.0;
/// over this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time limit for reading the rest of a refused request.
const DISCARD_TIME: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct ApiArgs {
    /// Model archive, folder, .pdparams or .safetensors, or a name: an official one that PaddleX has downloaded, or `default`,
    /// the small model that comes with the program and is taken where none is given
    #[arg(long, short, value_name = "PATH|NAME", requires = "api")]
    model: Option<PathBuf>,
    /// A detector, such as PP-ShiTuV2_det: /shitu-infer then answers with the box of each thing, and with a picture of the boxes
    /// unless `visualize` is false. Named as a model is
    #[arg(long, value_name = "PATH|NAME", requires = "api")]
    detector: Option<PathBuf>,
    /// Keep errors of PaddleX: `topk` is ignored, and with metric l2 hits nearer than `recThreshold` are unknown
    #[arg(long, value_enum, value_name = "RELEASE", requires = "api")]
    compat: Option<Compat>,
    /// Device that computes: auto, cpu, webgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", requires = "api")]
    device: DeviceRequest,
    /// Threads for decoding and for the network on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count(), requires = "api")]
    threads: Option<u16>,
    /// Folder of the indexes: gallery files, named by their keys
    #[arg(long, value_name = "DIR", default_value = ".index", requires = "api")]
    indexes: PathBuf,
    /// Metadata that turns photos upright: opencv, exif or none, as for `image-feature predict`
    #[arg(long, value_name = "RULE", default_value_t = Orient::OpenCv, requires = "api")]
    orientation: Orient,
    /// Requests that are worked on or wait for it; others are refused at once, with 503
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..), requires = "api")]
    max_requests: u16,
    /// Size of a request, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..), requires = "api")]
    max_body: u16,
    /// Time limit of a request in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..), requires = "api")]
    time_limit: u32,
}

/// The service.
pub struct Api {
    network: Network,
    detector: Option<Detector>,
    as_paddlex: bool,
    description: ModelDescription,
    indexes: Indexes,
    decoding: DecodeOptions,
    memory: DecodeBudget,
    max_requests: u32,
    max_body: usize,
    time_limit: Duration,
    /// Names under which the service may be asked, if it listens on this computer's own address only.
    local: Option<Hosts>,
    /// A permit for each request that has come and has no answer yet.
    begun: Arc<Semaphore>,
    /// A permit for each block of a body in memory.
    room: Arc<Semaphore>,
    /// A permit for each request that runs or waits to run.
    admitted: Arc<Semaphore>,
    /// A permit for each request that runs.
    running: Arc<Semaphore>,
}

/// A body in memory, and what it takes of the service until it is dropped.
struct Read {
    bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

/// The reason why a request is refused: the status and a message.
pub struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Decode | ErrorKind::Unsupported | ErrorKind::Usage => StatusCode::BAD_REQUEST,
            ErrorKind::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            _ => {
                // The message may have paths: it is for the operator, not for clients.
                note(&format!("error: {error}"));
                return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
            }
        };
        Refusal::new(status, error.to_string())
    }
}

/// The work of a path, from the body to the result.
type Work = fn(&Api, &[u8], Instant) -> Result<Value, Refusal>;

/// The paths of the service.
pub fn router(api: &Arc<Api>) -> Router {
    let path = |work: Work| any(move |State(api): State<Arc<Api>>, request: Request| answer(api, work, request));
    Router::new()
        .route("/health", get(async || envelope(StatusCode::OK, json!({ "errorCode": 0, "errorMsg": "Healthy" }))))
        .route("/shitu-index-build", path(build))
        .route("/shitu-index-add", path(add))
        .route("/shitu-index-remove", path(remove))
        .route("/shitu-infer", path(infer::infer))
        .with_state(Arc::clone(api))
}

fn envelope(status: StatusCode, mut content: Value) -> Response {
    content["logId"] = Uuid::new_v4().to_string().into();
    (status, [(header::CONTENT_TYPE, "application/json")], content.to_string()).into_response()
}

async fn answer(api: Arc<Api>, work: Work, request: Request) -> Response {
    let (status, content) = match api.result(work, request).await {
        Ok(result) => (StatusCode::OK, json!({ "errorCode": 0, "errorMsg": "Success", "result": result })),
        Err(Refusal { status, message }) => (status, json!({ "errorCode": status.as_u16(), "errorMsg": message })),
    };
    let mut response = envelope(status, content);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

impl Api {
    /// Loads the model on its device.
    ///
    /// # Errors
    /// Errors of the model, the device and the folder of the indexes.
    pub fn open(args: &ApiArgs, local: Option<Hosts>) -> image_feature::Result<Self> {
        let model = open_model(args.model.as_deref())?;
        let threads = args.threads.map_or_else(default_threads, usize::from);
        let (id, description) = (ModelId::of(&model), model.description.clone());
        let detector = match &args.detector {
            Some(path) => Some(Detector::open(&open_model(Some(path))?, Some(threads))?),
            None => None,
        };
        let network = Network::start(model, args.device, threads)?;
        Ok(Api {
            indexes: Indexes::open(&args.indexes, id, description.dimension())?,
            network,
            detector,
            as_paddlex: args.compat.is_some(),
            description,
            decoding: DecodeOptions {
                limits: DecodeLimits { max_pixels: MAX_PIXELS, max_bytes: DECODE_BYTES },
                orient: args.orientation,
            },
            memory: DecodeBudget::new(DECODE_BYTES),
            max_requests: args.max_requests.into(),
            max_body: usize::from(args.max_body) << 20,
            time_limit: Duration::from_secs(args.time_limit.into()),
            local,
            begun: Arc::new(Semaphore::new(BEGUN as usize)),
            room: Arc::new(Semaphore::new(usize::from(args.max_requests) * (usize::from(args.max_body) << 20) / BLOCK)),
            admitted: Arc::new(Semaphore::new(args.max_requests.into())),
            running: Arc::new(Semaphore::new(threads.max(2))),
        })
    }

    /// A line about the service.
    pub fn summary(&self) -> String {
        let boxes = self.detector.as_ref().map_or(String::new(), |detector| {
            let threads = detector.threads();
            format!("boxes by {} on cpu ({threads} threads), ", detector.description().name)
        });
        format!("{boxes}retrieval by {}, indexes in {},", self.network.summary, self.indexes.folder().display())
    }

    /// Waits until every request that has come has its answer.
    pub async fn finish(&self) {
        let _ = self.begun.acquire_many(BEGUN).await;
    }

    async fn result(self: Arc<Self>, work: Work, request: Request) -> Result<Value, Refusal> {
        let deadline = Instant::now() + self.time_limit;
        let _begun = Arc::clone(&self.begun).acquire_owned().await;
        let (head, mut body) = request.into_parts();
        let refused = match self.admit(&head.method, &head.headers) {
            Err(refused) => refused,
            Ok(()) => match self.read(&mut body, deadline).await {
                Ok(read) => return Arc::clone(&self).run(work, read, deadline).await,
                Err(refused) => refused,
            },
        };
        // A client that still sends when the connection is closed does not see the answer. A client that waits for
        // `100 Continue` need not send the body.
        if !head.headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(DISCARD_TIME, self.discard(body)).await;
        }
        Err(refused)
    }

    /// Refuses requests by their heads.
    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        if method != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
        }
        // Pages of other sites can make a browser on this computer send requests here, but neither with this content type nor
        // with a local host name.
        let host = host_of(headers);
        if self.local.as_ref().is_some_and(|names| !is_local(host) && !names.has(host)) {
            let message =
                "this service is for this computer alone: ask localhost, or start it with --host or --allow-host";
            return Err(Refusal::new(StatusCode::FORBIDDEN, message));
        }
        let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let message = "the body is to be JSON, with the header Content-Type: application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let announced = text(header::CONTENT_LENGTH).parse().unwrap_or(0);
        if announced > self.max_body { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Refusal {
        let message = format!("the request is larger than {} MiB; send fewer images at a time", self.max_body >> 20);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Reads a body. Takes room for it as it comes, and a place for its request at the end: a client that is slow to send
    /// would keep others out.
    async fn read(&self, body: &mut Body, deadline: Instant) -> Result<Read, Refusal> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
        let mut patience = Instant::now() + PATIENCE;
        let (mut bytes, mut room) = (Vec::new(), None);
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let frame = match timeout_at(deadline.min(patience).into(), frame).await {
                Ok(None) => break,
                Ok(Some(frame)) => frame.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?,
                Err(_) => return Err(too_slow()),
            };
            let data = frame.into_data().unwrap_or_default();
            if data.len() > self.max_body - bytes.len() {
                return Err(self.too_large());
            }
            self.take_room(&mut room, bytes.len() + data.len())?;
            if bytes.capacity() - bytes.len() < data.len() {
                bytes.reserve_exact(data.len().max(announced.saturating_sub(bytes.len()).min(GROWTH)));
            }
            bytes.extend_from_slice(&data);
            let earned = Duration::from_secs_f64(data.len() as f64 / LEAST_RATE);
            patience = (patience + earned).min(Instant::now() + PATIENCE);
        }
        Ok(Read { bytes, _room: room, _place: self.place()? })
    }

    /// Takes room for a body of `len` bytes.
    fn take_room(&self, taken: &mut Option<OwnedSemaphorePermit>, len: usize) -> Result<(), Refusal> {
        let blocks = len.saturating_sub(WITHOUT_ROOM).div_ceil(BLOCK);
        let more = blocks.saturating_sub(taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| self.too_large())?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| {
            let message = "other requests take all the memory for images; send fewer at a time, or try again later";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })?;
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }

    /// Takes a place among the requests that are worked on.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| {
            let many = self.max_requests;
            let message = format!("{many} requests are being worked on, which is the limit; try again later");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }

    /// Reads and drops a body, up to four times the largest allowed one.
    async fn discard(&self, mut body: Body) {
        let mut left = 4 * self.max_body;
        while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let len = frame.data_ref().map_or(0, |data| data.len());
            match left.checked_sub(len) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    /// Works on a request when a permit is free. Work that has begun is completed, even if the client is gone.
    async fn run(self: Arc<Self>, work: Work, read: Read, deadline: Instant) -> Result<Value, Refusal> {
        let Ok(Ok(running)) = timeout_at(deadline.into(), Arc::clone(&self.running).acquire_owned()).await else {
            return Err(self.too_late());
        };
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&self, &read.bytes, deadline);
            drop((running, read));
            result
        });
        task.await.unwrap_or_else(|_| Err(Error::internal("a request failed on a bug in image-feature").into()))
    }

    fn too_late(&self) -> Refusal {
        let seconds = self.time_limit.as_secs();
        let message = format!("the request would take longer than {seconds} s; send fewer images, or try again later");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The pixels of an image, and the share of the memory for images that they take.
    fn decoded(&self, image: &str) -> Result<(RgbImage, DecodeShare<'_>), Error> {
        let bytes = image_bytes(image)?;
        let share = self.memory.reserve_for(&probe(&bytes)?);
        Ok((decode_with(&bytes, &self.decoding)?.image, share))
    }

    /// The network's input of an image.
    fn input_of(&self, image: &str) -> Result<Vec<f32>, Error> {
        let (image, _share) = self.decoded(image)?;
        self.description.network_input(&image)
    }

    /// The features of all images, or of none.
    fn features(&self, pairs: &[Pair], deadline: Instant) -> Result<Vec<Vec<f32>>, Refusal> {
        let mut features = Vec::new();
        for (number, batch) in pairs.chunks(BATCH).enumerate() {
            if Instant::now() > deadline {
                return Err(self.too_late());
            }
            let place = |error: Error, at: usize| {
                Refusal::from(error.context(format!("imageLabelPairs[{}].image", number * BATCH + at)))
            };
            let inputs =
                batch.iter().enumerate().map(|(at, pair)| self.input_of(&pair.image).map_err(|error| place(error, at)));
            let found = self.network.features(inputs.collect::<Result<_, _>>()?)?;
            for (at, feature) in found.into_iter().enumerate() {
                features.push(feature.map_err(|error| place(error, at))?);
            }
        }
        Ok(features)
    }
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request did not come in time")
}

fn build(api: &Api, body: &[u8], deadline: Instant) -> Result<Value, Refusal> {
    let request: BuildRequest = request::parse(body)?;
    let features = api.features(&request.image_label_pairs, deadline)?;
    // PaddleX's metric IP, which is the cosine for features of length 1
    let mut gallery = Gallery::new(api.description.dimension(), Metric::InnerProduct, Storage::F32)?;
    extend(&mut gallery, &request.image_label_pairs, &features)?;
    let count = gallery.len();
    let key = api.indexes.create(gallery)?;
    Ok(json!({ "indexKey": key, "imageCount": count }))
}

fn add(api: &Api, body: &[u8], deadline: Instant) -> Result<Value, Refusal> {
    let request: AddRequest = request::parse(body)?;
    api.indexes.get(&request.index_key)?; // refuses unknown keys before the work
    let features = api.features(&request.image_label_pairs, deadline)?;
    let count = api.indexes.change(&request.index_key, |gallery| {
        extend(gallery, &request.image_label_pairs, &features)?;
        Ok(gallery.len())
    })?;
    Ok(json!({ "imageCount": count }))
}

/// Adds images. Their ids are the numbers after the largest one in the gallery.
fn extend(gallery: &mut Gallery, pairs: &[Pair], features: &[Vec<f32>]) -> image_feature::Result<()> {
    let first = gallery.iter().filter_map(|(entry, _)| entry.id.parse::<u64>().ok()).max().map_or(0, |last| last + 1);
    let entries = (first..).zip(pairs).map(|(id, pair)| Entry::new(id.to_string()).label(&*pair.label)).collect();
    gallery.extend(entries, &features.concat())
}

fn remove(api: &Api, body: &[u8], _: Instant) -> Result<Value, Refusal> {
    let request: RemoveRequest = request::parse(body)?;
    let count = api.indexes.change(&request.index_key, |gallery| {
        request.ids.iter().try_for_each(|id| gallery.remove(&id.to_string()).map(|_| ()))?;
        Ok(gallery.len())
    })?;
    Ok(json!({ "imageCount": count }))
}
