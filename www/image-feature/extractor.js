/// <reference lib="esnext.disposable" preserve="true" />

import { checkIterable, checkOneOf, checkWhole } from "./checks.js";
import { Connection } from "./connection.js";
import { inBatches } from "./embed-stream.js";
import { ImageFeatureError } from "./errors.js";
import { FineTuned, gather, toTuning, whileLearning, whileLoading } from "./fine-tune.js";
import { nameOf } from "./image-source.js";
import { DTYPES, toLoadRequest, toThread } from "./load-request.js";
import { Maker, setMaker } from "./makers.js";
import { toModelParts } from "./model-source.js";
import { coreCount } from "./platform.js";

/**
 * @typedef {import("./model-source.js").ModelSource} ModelSource
 * @typedef {import("./image-source.js").ImageSource} ImageSource
 * @typedef {import("./image-source.js").Roi} Roi
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 */

/**
 * @typedef {object} LoadOptions
 * @property {"auto" | "webgpu" | "cpu"} [device] `auto`, the default, uses a hardware GPU that passes a self-test and is
 *   quicker than the CPU, else the CPU; `info.reasons` says why. `webgpu` uses any adapter, also one in software, or fails.
 * @property {import("./protocol.js").Backend} [backend] what computes on a GPU: `plan`, the default, this package's own
 *   shaders; `burn`, the network on Burn, which is a download of 2 MB
 * @property {(info: ExtractorInfo) => void} [onDeviceChange] called when the GPU was lost and another device computes;
 *   no image is lost by that
 * @property {import("./protocol.js").Dtype} [dtype] the data type in which the CPU computes. By default the one that
 *   the file is made for: `i8` if it is calibrated, else `f32`
 * @property {import("./protocol.js").Orientation} [orientation] the metadata that turns image files upright: `opencv`,
 *   the default, what OpenCV 4.10 and so PaddleX follows (not EXIF in WebP); `exif`, all that there is; `none`
 * @property {number} [threads] number of threads on the CPU, if the page is cross-origin isolated. By default 4, or the
 *   number of the machine's cores if that is less. `1` uses the WebAssembly without shared memory. If threads cannot be
 *   used, one thread computes, and `info.reasons` says why.
 * @property {boolean} [worker] `true`: in a worker, or an error; `false`: on the page's own thread. By default in a
 *   worker, or on the page's thread if none can be started; `info.reasons` then says why.
 * @property {AbortSignal} [signal] stops loading
 * @property {(event: ProgressEvent) => void} [onProgress]
 * @property {"default" | "none"} [cache] `none` downloads the model without the browser's HTTP cache
 * @property {string} [sha256] of the model file, in hexadecimal digits; another file is refused
 * @property {import("./compile.js").WasmSource} [wasm] the folder that holds `cpu/`, `gpu/` and the others, if they are
 *   not beside the package; or the core for one thread itself (`cpu` or `cpu-relaxed`), as an address that ends with
 *   `.wasm`, a `Response`, bytes or a `WebAssembly.Module`
 */

/**
 * @typedef {object} EmbedOptions
 * @property {Roi} [roi] the part of the image to use
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} EmbedManyOptions
 * @property {number} [batchSize] number of images in one run of the network: 1 to 64, by default 8
 * @property {number} [workers] the largest number of workers: 1 to 16. Each holds a copy of the model. More than one
 *   are used only if one thread computes on the CPU. They start when a full batch has to wait, and stay until the
 *   extractor is disposed of. By default 4, or the number of the machine's cores if that is less.
 * @property {AbortSignal} [signal]
 * @property {(event: ProgressEvent) => void} [onProgress]
 */

/** @typedef {ImageSource | { source: ImageSource, name?: string, roi?: Roi }} EmbedManyItem */

/**
 * An image's name, with its embedding or with the error that prevented it.
 *
 * @typedef {{ name: string, error?: undefined } & Embedding
 *   | { name: string, error: ImageFeatureError, feature?: undefined }} NamedEmbedding
 */

const DEFAULT_BATCH_SIZE = 8;
const MAX_BATCH_SIZE = 64;
/** Each worker holds a copy of the model: about 60 MB. */
const MAX_DEFAULT_WORKERS = 4;
const MAX_WORKERS = 16;
/** Two batches keep a worker busy: one runs while the next is prepared. */
const BATCHES_PER_WORKER = 2;

/** Turns images into feature vectors, with one loaded model on one device. */
export class FeatureExtractor {
  #request;
  #thread;
  #main;
  /** The workers that `embedMany` opened in addition to the first. @type {Connection[]} */
  #others = [];
  /** @type {ExtractorInfo | undefined} */
  #info;
  #maker = new Maker(() => this.#main.identify());
  /** Whether there are features whose model may be asked for. */
  #gaveFeatures = false;

  /**
   * Use `FeatureExtractor.load`.
   *
   * @private
   * @param {import("./connection.js").ConnectionRequest} request
   * @param {import("./connection.js").Thread} thread
   */
  constructor(request, thread) {
    this.#request = request;
    this.#thread = thread;
    this.#main = new Connection(request, thread);
  }

  /**
   * Loads a model and opens a device for it.
   *
   * Rejects with an `ImageFeatureError` of kind `model` for a file that is no model, `io` if it cannot be read,
   * `device` if the device that was asked for cannot be used, `cancelled` after an abort, `unsupported` if the browser
   * cannot run the package, `usage` for a wrong argument.
   *
   * @param {ModelSource} [source] by default the larger one of the models that come with the package
   * @param {LoadOptions} [options]
   * @returns {Promise<FeatureExtractor>}
   */
  static async load(source = "default", options = {}) {
    const { signal, onProgress, onDeviceChange, worker } = options;
    const extractor = new FeatureExtractor(toLoadRequest(source, options), toThread(worker));
    extractor.#main.onMoved = (info) => {
      extractor.#info = info;
      onDeviceChange?.(info);
    };
    extractor.#info = await extractor.#main.start({ signal, onProgress });
    return extractor;
  }

  /** The model, the device, and why no other device was chosen. */
  get info() {
    return /** @type {ExtractorInfo} */ (this.#info);
  }

  /**
   * Computes the feature of one image.
   *
   * Rejects with an `ImageFeatureError` of kind `decode` for a damaged image, `unsupported` for a format that neither
   * this package nor the browser reads, `limit` for one that is too large.
   *
   * @param {ImageSource} source
   * @param {EmbedOptions} [options]
   * @returns {Promise<Embedding>}
   */
  async embed(source, { roi, signal } = {}) {
    const [result] = await this.#main.embedAll([{ source, roi }], signal);
    if (result instanceof ImageFeatureError) throw result;
    return this.#marked(result);
  }

  /**
   * The features of several parts of one image, in the order of `rois`. The image is decoded once.
   *
   * Rejects as `embed` does, and with kind `usage` for a part that is not within the image.
   *
   * @param {ImageSource} source
   * @param {Roi[]} rois
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Embedding[]>}
   */
  async embedParts(source, rois, { signal } = {}) {
    checkIterable(rois, "embedParts takes an array of parts, { x, y, width, height }");
    const parts = [...rois];
    if (parts.length === 0) return [];
    return (await this.#main.embedParts(source, parts, signal)).map((made) => this.#marked(made));
  }

  /**
   * The features of many images, in order, while the rest are on their way. An image that fails is yielded with its
   * `error` and does not stop the others; an abort, or an error of `items` itself, ends the loop by throwing.
   *
   * @param {Iterable<EmbedManyItem> | AsyncIterable<EmbedManyItem>} items
   * @param {EmbedManyOptions} [options]
   * @returns {AsyncGenerator<NamedEmbedding, void, undefined>}
   */
  async *embedMany(items, { batchSize = DEFAULT_BATCH_SIZE, workers, signal, onProgress } = {}) {
    checkWhole("batchSize", batchSize, 1, MAX_BATCH_SIZE);
    if (workers !== undefined) checkWhole("workers", workers, 1, MAX_WORKERS);
    checkIterable(items, "embedMany takes an array or another iterable of images; for one image there is embed");
    const total = "length" in items ? Number(items.length) : "size" in items ? Number(items.size) : undefined;
    let loaded = 0;
    const report = () =>
      onProgress?.({ stage: "embed", loaded, total, fraction: total ? Math.min(loaded / total, 1) : 0 });
    const most = this.#mostWorkers(workers);
    const run = (/** @type {EmbedManyItem[]} */ batch, /** @type {AbortSignal} */ stop) =>
      this.#leastBusy().embedEach(batch.map(toJob), stop);
    const running = () => BATCHES_PER_WORKER * this.#ready().length;
    const makeRoom = () => this.#openAnother(most);
    report();
    for await (const result of inBatches(items, run, { batchSize, running, makeRoom, signal })) {
      loaded++;
      report();
      const named = nameResult(result, loaded - 1);
      yield named.feature ? this.#marked(named) : named;
    }
    onProgress?.({ stage: "embed", loaded, total: loaded, fraction: 1 });
  }

  /**
   * Fine-tunes the model's last layers on a few labelled images, in seconds: features of the same class come closer
   * together, those of other classes move apart. The other layers stay as they are, so each image runs through them
   * once, on this extractor's device. Resolves with the tuned model on the same device. This extractor stays as it is.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` for fewer than two classes, a sample without a label, or an
   * option out of its range. For an image that cannot be read it rejects as `embed` does, and the message names the
   * image.
   *
   * @param {Iterable<import("./fine-tune.js").FineTuneSample> | AsyncIterable<import("./fine-tune.js").FineTuneSample>}
   *   samples
   * @param {import("./fine-tune.js").FineTuneOptions} [options]
   * @returns {Promise<FineTuned>}
   */
  async fineTune(samples, options = {}) {
    const { signal, onProgress = () => {} } = options;
    const { views, name, options: tuning } = toTuning(options, this.info.model);
    const pool = (/** @type {import("./connection.js").Job[]} */ jobs, /** @type {AbortSignal} */ stop) =>
      this.#main.poolAll(jobs, views, stop);
    const gathered = await gather(samples, views, pool, { signal, onProgress });
    const learning = {
      signal,
      onProgress: (/** @type {import("./protocol.js").TuneProgress} */ progress) => onProgress(whileLearning(progress)),
    };
    const { model, ...outcome } = await this.#main.tune({ ...gathered, name, options: tuning }, learning);
    const parts = toModelParts(new File([model], `${name}.safetensors`));
    const tuned = new FeatureExtractor({ ...this.#request, parts, sha256: undefined }, this.#thread);
    tuned.#info = await tuned.#main.start({ signal, onProgress: (event) => onProgress(whileLoading(event)) });
    return new FineTuned(tuned, outcome);
  }

  /**
   * Writes the model as a `.safetensors` file, which `load`, the program and the Rust library read.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` for `i8`, if the model is not calibrated.
   *
   * @param {{ dtype?: import("./protocol.js").Dtype }} [options] `dtype`: the data type of the weights, by default
   *   `f32`. With `f16` the file is half as large. With `i8` it is a quarter as large; the model's own file must be
   *   `i8`, too.
   * @returns {Promise<Blob>}
   */
  async exportModel({ dtype = "f32" } = {}) {
    checkOneOf("dtype", dtype, DTYPES);
    return new Blob([await this.#main.exportModel(dtype)], { type: "application/octet-stream" });
  }

  /**
   * Identifies the model, by its name and a hash of its network, preprocessing and weights. A gallery asks for this to
   * know whether features can be compared.
   *
   * @returns {Promise<import("./makers.js").ModelId>}
   */
  modelId() {
    return this.#maker.identify();
  }

  /** Stops all calls and frees the memory. A second call does nothing. */
  dispose() {
    // later nobody could tell which model made the features
    if (this.#gaveFeatures) this.modelId().catch(() => {});
    for (const connection of [this.#main, ...this.#others]) connection.close();
  }

  // in browsers without Symbol.dispose this is a method with the name "undefined", which does no harm
  [Symbol.dispose]() {
    this.dispose();
  }

  /**
   * Notes that this model made the feature.
   *
   * @template {{ feature: Float32Array }} Made
   * @param {Made} made
   */
  #marked(made) {
    setMaker(made.feature, this.#maker);
    this.#gaveFeatures = true;
    return made;
  }

  /**
   * The number of workers that `embedMany` may use.
   *
   * @param {number} [wanted]
   */
  #mostWorkers(wanted) {
    if (!this.#main.inWorker || this.info.device !== "cpu" || this.info.threads > 1) return 1;
    return wanted ?? Math.min(coreCount(), MAX_DEFAULT_WORKERS);
  }

  /** The loaded worker with the fewest batches. */
  #leastBusy() {
    return this.#ready().reduce((least, other) => (other.waiting < least.waiting ? other : least), this.#main);
  }

  #ready() {
    return [this.#main, ...this.#others.filter(({ ready }) => ready)];
  }

  /**
   * Opens one more worker with its own copy of the model, unless there are `most` already. A worker that fails to start
   * counts, too: the reason is most likely a lack of memory, and another try would fail as well.
   *
   * @param {number} most
   * @returns {Promise<unknown> | undefined}
   */
  #openAnother(most) {
    if (1 + this.#others.length >= most) return undefined;
    const another = new Connection({ ...this.#request, device: "cpu", threads: 1, cache: "default" }, "worker");
    this.#others.push(another);
    return another.start().catch(() => {});
  }
}

/**
 * @param {EmbedManyItem} item
 * @returns {import("./connection.js").Job}
 */
function toJob(item) {
  const isJob = item !== null && typeof item === "object" && "source" in item;
  return isJob ? item : { source: /** @type {ImageSource} */ (item) };
}

/**
 * @param {{ job: import("./connection.js").Job, result: Embedding | ImageFeatureError }} result
 * @param {number} index
 * @returns {NamedEmbedding}
 */
function nameResult({ job, result }, index) {
  const name = job.name ?? nameOf(job.source) ?? `#${index}`;
  return result instanceof ImageFeatureError ? { name, error: result } : { name, ...result };
}
