import { compileAhead, firstCpuKind } from "./core.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { toImageInput } from "./image-source.js";
import { readModel } from "./model-source.js";
import { StagedProgress } from "./progress.js";
import { openHere, openWorker } from "./worker-bridge.js";

/**
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 * @typedef {import("./model-source.js").ModelRequest} ModelRequest
 * @typedef {Omit<import("./protocol.js").OpenRequest, "compiled" | "distress">} Opening
 * @typedef {Omit<import("./protocol.js").LoadRequest, "files">} Loading
 * @typedef {ModelRequest & Opening & Loading} ConnectionRequest
 * @typedef {{ source: import("./image-source.js").ImageSource, name?: string, roi?: import("./image-source.js").Roi }}
 *   Job
 * @typedef {import("./protocol.js").AnswerError} AnswerError
 * @typedef {import("./bridge.js").Bridge<import("./session.js").SessionMethods>} SessionBridge
 */

/** How long an identification may take after the end. It reads all weights, which takes milliseconds. */
const FINISH_MS = 10_000;

/** One worker with a loaded model. It is started on request, and started again after a crash. */
export class Connection {
  #request;
  #inWorker;
  /** Set when the model is loaded. @type {SessionBridge | undefined} */
  #bridge;
  /** Set while the model is being loaded: ends that. @type {(() => void) | undefined} */
  #giveUp;
  /** @type {Promise<ExtractorInfo> | undefined} */
  #restarting;
  #closed = false;
  /** Number of batches under way. */
  waiting = 0;
  /** Called when the network went to another device. @type {((info: ExtractorInfo) => void) | undefined} */
  onMoved;

  /**
   * @param {ConnectionRequest} request
   * @param {boolean} inWorker
   */
  constructor(request, inWorker) {
    this.#request = request;
    this.#inWorker = inWorker;
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
    const distress = `image-feature ${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    /** @type {SessionBridge | undefined} */
    let bridge;
    this.#giveUp = () => {
      bridge?.close(disposed());
      stop.abort();
    };
    try {
      bridge = this.#inWorker ? openWorker(distress) : await openHere();
      const info = await this.#load(bridge, distress, stop.signal, onProgress);
      if (this.#closed) throw disposed();
      this.#bridge = bridge;
      return info;
    } catch (error) {
      bridge?.close(toError(error));
      stop.abort();
      throw this.#closed ? disposed() : error;
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
   * @param {SessionBridge} bridge
   * @param {string} distress
   * @param {AbortSignal} signal
   * @param {(event: ProgressEvent) => void} onProgress
   * @returns {Promise<ExtractorInfo>}
   */
  async #load(bridge, distress, signal, onProgress) {
    const { parts, cache, sha256, dtype, orientation, ...opening } = this.#request;
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
      const kind = firstCpuKind(opening, this.#inWorker);
      const [compiled] = await Promise.all([
        compileAhead(kind, { signal, progress, folder: opening.wasm }),
        bridge.request("fetchGlue", kind, { signal }),
      ]);
      await bridge.request("open", { ...opening, compiled, distress }, { signal, onProgress: relayed });
      // on the page's own thread there is no other work to do while it waits
      if (coming > 0 && this.#inWorker) await bridge.request("warmUp", coming, { signal });
    };
    const [files] = await Promise.all([read(), open()]);
    const transfer = files.map(({ bytes }) => bytes.buffer);
    return Object.freeze(
      await bridge.request("load", { files, dtype, orientation }, { signal, transfer, onProgress: relayed }),
    );
  }

  /** Ends the worker and what it has under way. Only an identification of the model is still answered. */
  close() {
    this.#closed = true;
    this.#bridge?.close(disposed(), { finish: FINISH_MS });
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
    if (this.#closed) throw disposed();
    // WebAssembly on the page's own thread cannot be started again; the closed bridge gives the reason with each call
    if (this.#bridge?.closed && this.#inWorker) {
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
   * Does the same as `embedAll`. Where the worker fails over a batch, its images are tried one by one, so that only the
   * one at fault has no result.
   *
   * @param {Job[]} jobs
   * @param {AbortSignal} signal
   * @returns {Promise<{ job: Job, result: Embedding | ImageFeatureError }[]>}
   */
  async embedEach(jobs, signal) {
    this.waiting++;
    try {
      const results = await this.embedAll(jobs, signal);
      return jobs.map((job, index) => ({ job, result: results[index] }));
    } catch (error) {
      if (signal.aborted || this.#closed) throw error;
      if (jobs.length === 1) return [{ job: jobs[0], result: toError(error) }];
    } finally {
      this.waiting--;
    }
    const alone = [];
    for (const job of jobs) alone.push(...(await this.embedEach([job], signal)));
    return alone;
  }
}

function disposed() {
  return new ImageFeatureError("usage", "this FeatureExtractor was disposed of; load a new one");
}
