import { Batches } from "./batches.js";
import { compileAhead, firstCpuKind, takeGiven } from "./core.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { toImageInput } from "./image-source.js";
import { readModel } from "./model-source.js";
import { StagedProgress } from "./progress.js";
import { isNotStarted, newStamp, openHere, openWorker } from "./worker-bridge.js";

/**
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 * @typedef {import("./model-source.js").ModelRequest} ModelRequest
 * @typedef {Omit<import("./protocol.js").OpenRequest, "compiled" | "distress">} Opening
 * @typedef {Omit<import("./protocol.js").LoadRequest, "files">} Loading
 * @typedef {ModelRequest & Opening & Loading & { given?: Promise<WebAssembly.Module>, detects?: boolean }}
 *   ConnectionRequest `detects`: the model is a detector
 * @typedef {"worker" | "page" | "any"} Thread where to compute; `any` is a worker, or the page's thread if none starts
 * @typedef {{ source: import("./image-source.js").ImageSource, name?: string, roi?: import("./image-source.js").Roi }}
 *   Job
 * @typedef {import("./protocol.js").AnswerError} AnswerError
 * @typedef {import("./bridge.js").Bridge<import("./session.js").SessionMethods>} SessionBridge
 * @typedef {{ distress: string, bridge?: SessionBridge }} Opened
 */

/** How long an identification may take after the end. It reads all weights, which takes milliseconds. */
const FINISH_MS = 10_000;

/** One worker with a loaded model. It is started on request, and started again after a crash. */
export class Connection {
  #request;
  #thread;
  /** Whether a worker computes. */
  inWorker;
  /** Why none does, although one was asked for. @type {string | undefined} */
  #whyHere;
  /** Set when the model is loaded. @type {SessionBridge | undefined} */
  #bridge;
  /** Set while the model is being loaded: ends that. @type {(() => void) | undefined} */
  #giveUp;
  /** @type {Promise<ExtractorInfo> | undefined} */
  #restarting;
  #closed = false;
  #batches = new Batches(
    (jobs, signal) => this.embedAll(jobs, signal),
    () => this.#closed,
  );
  /** Called when the network went to another device. @type {((info: ExtractorInfo) => void) | undefined} */
  onMoved;

  /**
   * @param {ConnectionRequest} request
   * @param {Thread} thread
   */
  constructor(request, thread) {
    this.#request = request;
    this.#thread = thread;
    this.inWorker = thread !== "page";
  }

  /** Number of batches under way. */
  get waiting() {
    return this.#batches.count;
  }

  /** Whether the model is loaded. */
  get ready() {
    return this.#bridge !== undefined;
  }

  /**
   * Starts the worker and loads the model there. Where that fails, the worker is ended.
   *
   * @param {{ signal?: AbortSignal, onProgress?: (event: ProgressEvent) => void }} [options]
   * @returns {Promise<ExtractorInfo>}
   */
  async start({ signal, onProgress = () => {} } = {}) {
    throwIfAborted(signal);
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    /** @type {Opened} */
    const opened = { distress: `image-feature distress ${newStamp()}` };
    this.#giveUp = () => {
      opened.bridge?.close(this.#disposed());
      stop.abort();
    };
    try {
      const info = await this.#load(opened, stop.signal, onProgress);
      if (this.#closed) throw this.#disposed();
      this.#bridge = opened.bridge;
      return info;
    } catch (error) {
      opened.bridge?.close(toError(error));
      stop.abort();
      throw this.#closed ? this.#disposed() : error;
    } finally {
      this.#giveUp = undefined;
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Loads the model: its files and the WebAssembly are fetched at the same time.
   *
   * Every promise here is awaited from the moment it is made, so that none can fail without a handler.
   *
   * @param {Opened} opened
   * @param {AbortSignal} signal
   * @param {(event: ProgressEvent) => void} onProgress
   * @returns {Promise<ExtractorInfo>}
   */
  async #load(opened, signal, onProgress) {
    const { parts, cache, sha256, dtype, orientation, given, detects, ...opening } = this.#request;
    /** Bytes of the model that are on their way, as far as they are known; 0 when all have come. */
    let coming = 1;
    const progress = new StagedProgress({ download: 50, verify: 2, compile: 20, upload: 8, warmup: 20 }, (event) => {
      if (event.stage === "download") coming = event.total ?? event.loaded;
      onProgress(event);
    });
    const relayed = (/** @type {import("./progress.js").RelayedMessage} */ message) => progress.receive(message);
    const read = async () => {
      try {
        return await readModel({ parts, cache, sha256 }, signal, progress);
      } finally {
        coming = 0;
      }
    };
    const open = async () => {
      // a worker needs time to start; meanwhile the page compiles the WebAssembly
      const kind = firstCpuKind(opening, this.inWorker);
      const [compiled, bridge] = await Promise.all([
        given ? takeGiven(given) : compileAhead(kind, { signal, progress, folder: opening.wasm }),
        this.#open(opened, given ? "cpu" : kind, signal),
      ]);
      const request = { ...opening, compiled, distress: opened.distress };
      await bridge.request("open", request, { signal, onProgress: relayed });
      // on the page's own thread there is no other work to do while it waits
      if (coming > 0 && this.inWorker) await bridge.request("warmUp", coming, { signal });
      return bridge;
    };
    const [files, bridge] = await Promise.all([read(), open()]);
    const transfer = files.map(({ bytes }) => bytes.buffer);
    const request = { files, dtype, orientation };
    const method = detects ? "loadDetector" : "load";
    // the caller knows which of the two infos it asked for
    const info = /** @type {ExtractorInfo} */ (
      await bridge.request(method, request, { signal, transfer, onProgress: relayed })
    );
    if (this.#whyHere) info.reasons.unshift(`Worker: ${this.#whyHere}`);
    return Object.freeze(info);
  }

  /**
   * Opens a bridge to a worker that has the core's JavaScript, or to this thread if no worker starts and none is needed.
   *
   * @param {Opened} opened
   * @param {import("./protocol.js").CpuKind} kind
   * @param {AbortSignal} signal
   * @returns {Promise<SessionBridge>}
   */
  async #open(opened, kind, signal) {
    const ask = async (/** @type {SessionBridge} */ bridge) => {
      opened.bridge = bridge;
      await bridge.request("fetchGlue", kind, { signal });
      return bridge;
    };
    if (!this.inWorker) return ask(await openHere());
    try {
      return await ask(openWorker(opened.distress));
    } catch (error) {
      if (this.#thread === "worker" || !isNotStarted(error) || this.#closed) throw error;
      this.inWorker = false;
      this.#whyHere = toError(error).message;
      return ask(await openHere());
    }
  }

  /** The error of calls after the end. */
  #disposed() {
    const name = this.#request.detects ? "Recognizer" : "FeatureExtractor";
    return new ImageFeatureError("usage", `this ${name} was disposed of; load a new one`);
  }

  /** Ends the worker and what it has under way. Only an identification of the model is still answered. */
  close() {
    this.#closed = true;
    this.#bridge?.close(this.#disposed(), { finish: FINISH_MS });
    this.#giveUp?.();
  }

  /**
   * The name and the hash of the model.
   *
   * @returns {Promise<import("./makers.js").ModelId>}
   */
  async identify() {
    // without a pause before the question, so that it is asked before a `close` that follows
    const bridge = this.#bridge && !this.#bridge.closed && !this.#closed ? this.#bridge : await this.#connect();
    return bridge.request("identify", undefined, { last: true });
  }

  /** The bridge to the model; after a crash, one to a new worker. */
  async #connect() {
    if (this.#closed) throw this.#disposed();
    // WebAssembly on the page's own thread cannot be started again; the closed bridge gives the reason with each call
    if (this.#bridge?.closed && this.inWorker) {
      this.#restarting ??= this.start().finally(() => (this.#restarting = undefined));
      await this.#restarting;
    }
    return /** @type {SessionBridge} */ (this.#bridge);
  }

  /**
   * @param {Job[]} jobs
   * @param {AbortSignal} [signal]
   * @returns {Promise<(Embedding | ImageFeatureError)[]>}
   */
  embedAll(jobs, signal) {
    return this.#ask(jobs, signal, (bridge, requests, transfer) =>
      bridge.request("embed", requests, { signal, transfer }),
    );
  }

  /**
   * The features of several parts of one image.
   *
   * @param {import("./image-source.js").ImageSource} source
   * @param {import("./image-source.js").Roi[]} rois
   * @param {AbortSignal} [signal]
   * @returns {Promise<Embedding[]>}
   */
  async embedParts(source, rois, signal) {
    /** @type {import("./protocol.js").EmbedAnswer[]} */
    let answers = [];
    const [failed] = await this.#ask([{ source }], signal, async (bridge, requests, transfer) => {
      answers = await bridge.request("embedParts", { requests, rois }, { signal, transfer });
      return answers.slice(0, 1);
    });
    if (failed instanceof ImageFeatureError) throw failed;
    return /** @type {Embedding[]} */ (answers);
  }

  /**
   * What a detector finds in each image.
   *
   * @param {Job[]} jobs
   * @param {{ threshold?: number, signal?: AbortSignal }} options
   * @returns {Promise<(import("./protocol.js").Found | ImageFeatureError)[]>}
   */
  detectAll(jobs, { threshold, signal }) {
    return this.#ask(jobs, signal, (bridge, requests, transfer) =>
      bridge.request("detect", { requests, threshold }, { signal, transfer }),
    );
  }

  /**
   * The input of the model's last layers, for `views` views of each image.
   *
   * @param {Job[]} jobs
   * @param {number} views
   * @param {AbortSignal} [signal]
   * @returns {Promise<({ pooled: Float32Array<ArrayBuffer> } | ImageFeatureError)[]>}
   */
  poolAll(jobs, views, signal) {
    return this.#ask(jobs, signal, (bridge, requests, transfer) =>
      bridge.request("pool", { requests, views }, { signal, transfer }),
    );
  }

  /**
   * @param {import("./protocol.js").TuneRequest} request
   * @param {{ signal?: AbortSignal, onProgress: (progress: import("./protocol.js").TuneProgress) => void }} options
   * @returns {Promise<import("./protocol.js").TuneAnswer>}
   */
  async tune(request, options) {
    const bridge = await this.#connect();
    return bridge.request("tune", request, { ...options, transfer: [request.pooled.buffer] });
  }

  /**
   * @param {import("./protocol.js").Dtype} dtype
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async exportModel(dtype) {
    return (await this.#connect()).request("exportModel", dtype);
  }

  /**
   * The worker's answer for each image, or the reason why there is none.
   *
   * @template Answer
   * @param {Job[]} jobs
   * @param {AbortSignal | undefined} signal
   * @param {(bridge: SessionBridge, requests: import("./protocol.js").EmbedRequest[], transfer: Transferable[]) =>
   *   Promise<((Answer | { error: AnswerError }) & import("./protocol.js").Moved)[]>} send
   * @returns {Promise<(Answer | ImageFeatureError)[]>}
   */
  async #ask(jobs, signal, send) {
    throwIfAborted(signal);
    const bridge = await this.#connect();
    const inputs = await Promise.all(
      jobs.map(({ source }) => toImageInput(source, signal).catch((error) => toError(error))),
    );
    throwIfAborted(signal);
    /** @type {import("./protocol.js").EmbedRequest[]} */
    const requests = [];
    /** @type {Transferable[]} */
    const transfer = [];
    inputs.forEach((input, index) => {
      if (input instanceof ImageFeatureError) return;
      requests.push({ input, roi: jobs[index].roi });
      if ("bitmap" in input) transfer.push(input.bitmap);
      else if ("pixels" in input) transfer.push(input.pixels.buffer);
    });
    const answers = requests.length > 0 ? await send(bridge, requests, transfer) : [];
    const moved = answers[0]?.moved;
    if (moved) {
      delete answers[0].moved;
      this.onMoved?.(Object.freeze(moved));
    }
    return inputs.map((input) => {
      if (input instanceof ImageFeatureError) return input;
      const answer = /** @type {Answer | { error: AnswerError }} */ (answers.shift());
      const { error } = /** @type {{ error?: AnswerError }} */ (answer);
      return error ? new ImageFeatureError(error.kind, error.message) : /** @type {Answer} */ (answer);
    });
  }

  /**
   * Does the same as `embedAll`. Where the worker fails over a batch, only the image at fault has no result.
   *
   * @param {Job[]} jobs
   * @param {AbortSignal} signal
   */
  embedEach(jobs, signal) {
    return this.#batches.run(jobs, signal);
  }
}
