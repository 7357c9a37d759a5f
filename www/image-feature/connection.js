import { Bridge, serve } from "./bridge.js";
import { compileAhead, firstCpuKind } from "./core.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { toImageInput } from "./image-source.js";
import { readModel } from "./model-source.js";
import { StagedProgress } from "./progress.js";

/**
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 * @typedef {import("./model-source.js").ModelRequest & Omit<import("./protocol.js").OpenRequest, "compiled" | "distress">
 *   & Omit<import("./protocol.js").LoadRequest, "files">} ConnectionRequest
 * @typedef {{ source: import("./image-source.js").ImageSource, name?: string, roi?: import("./image-source.js").Roi }} Job
 */

/** One worker with a loaded model: started on request, and afresh after a crash. */
export class Connection {
  #request;
  #inWorker;
  /** With a model loaded. @type {Bridge | undefined} */
  #bridge;
  /** Loading: ends it. @type {(() => void) | undefined} */
  #giveUp;
  /** @type {Promise<ExtractorInfo> | undefined} */
  #restarting;
  #closed = false;
  /** Batches that are under way. */
  waiting = 0;

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
   * @param {{ signal?: AbortSignal, onProgress?: (event: ProgressEvent) => void }} [options]
   * @returns {Promise<ExtractorInfo>}
   */
  async start({ signal, onProgress = () => {} } = {}) {
    throwIfAborted(signal);
    const { parts, cache, sha256, dtype, ...opening } = this.#request;
    /** Bytes of the model, as far as they are known; 0 when it is here. */
    let coming = 1;
    const progress = new StagedProgress({ download: 50, verify: 2, compile: 20, upload: 8, warmup: 20 }, (event) => {
      if (event.stage === "download") coming = event.total ?? event.loaded;
      onProgress(event);
    });
    const relay = { onProgress: (/** @type {import("./progress.js").RelayedMessage} */ message) => progress.receive(message) };
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    const distress = `image-feature ${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    const bridge = this.#inWorker ? openWorker(distress) : await openHere();
    this.#giveUp = () => {
      bridge.close(disposed());
      stop.abort();
    };
    try {
      const reading = readModel({ parts, cache, sha256 }, stop.signal, progress).finally(() => (coming = 0));
      const open = async () => {
        // a worker needs time to start; meanwhile the page compiles the WebAssembly
        const kind = firstCpuKind(opening, this.#inWorker);
        const [compiled] = await Promise.all([
          compileAhead(kind, { signal: stop.signal, progress, folder: opening.wasm }),
          bridge.request("fetchGlue", kind, { signal: stop.signal }),
        ]);
        await bridge.request("open", { ...opening, compiled, distress }, { signal: stop.signal, ...relay });
        // on the page's own thread, waiting is all that may be done
        if (coming > 0 && this.#inWorker) await bridge.request("warmUp", coming, { signal: stop.signal });
      };
      const [files] = await Promise.all([reading, open()]);
      const transfer = files.map(({ bytes }) => bytes.buffer);
      const info = Object.freeze(await bridge.request("load", { files, dtype }, { signal: stop.signal, transfer, ...relay }));
      if (this.#closed) throw disposed();
      this.#bridge = bridge;
      return info;
    } catch (error) {
      // also what the load has under way ends with the worker
      bridge.close(toError(error));
      stop.abort();
      throw this.#closed ? disposed() : error;
    } finally {
      this.#giveUp = undefined;
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends the worker and what it has under way. */
  close() {
    this.#closed = true;
    this.#bridge?.close(disposed());
    this.#giveUp?.();
  }

  /** The connection, after a crash a new one. */
  async #connect() {
    if (this.#closed) throw disposed();
    // on the page's own thread there is no way to start WebAssembly afresh; the closed bridge says what happened
    if (this.#bridge?.closed && this.#inWorker) {
      this.#restarting ??= this.start().finally(() => (this.#restarting = undefined));
      await this.#restarting;
    }
    return /** @type {Bridge} */ (this.#bridge);
  }

  /**
   * @param {Job[]} jobs
   * @param {AbortSignal} [signal]
   * @returns {Promise<(Embedding | ImageFeatureError)[]>}
   */
  embedAll(jobs, signal) {
    return this.#ask(jobs, signal, (bridge, requests, transfer) => bridge.request("embed", requests, { signal, transfer }));
  }

  /**
   * What the model's last layers are given for `views` views of each image.
   *
   * @param {Job[]} jobs
   * @param {number} views
   * @param {AbortSignal} [signal]
   * @returns {Promise<({ pooled: Float32Array<ArrayBuffer> } | ImageFeatureError)[]>}
   */
  poolAll(jobs, views, signal) {
    return this.#ask(jobs, signal, (bridge, requests, transfer) => bridge.request("pool", { requests, views }, { signal, transfer }));
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
   * What the worker answers for each image, or why it has no answer.
   *
   * @template Answer
   * @param {Job[]} jobs
   * @param {AbortSignal | undefined} signal
   * @param {(bridge: Bridge, requests: import("./protocol.js").EmbedRequest[], transfer: Transferable[]) =>
   *   Promise<(Answer | { error: import("./protocol.js").AnswerError })[]>} send
   * @returns {Promise<(Answer | ImageFeatureError)[]>}
   */
  async #ask(jobs, signal, send) {
    throwIfAborted(signal);
    const bridge = await this.#connect();
    const inputs = await Promise.all(jobs.map(({ source }) => toImageInput(source, signal).catch((error) => toError(error))));
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
    return inputs.map((input) => {
      if (input instanceof ImageFeatureError) return input;
      const answer = /** @type {Answer | { error: import("./protocol.js").AnswerError }} */ (answers.shift());
      const { error } = /** @type {{ error?: import("./protocol.js").AnswerError }} */ (answer);
      return error ? new ImageFeatureError(error.kind, error.message) : /** @type {Answer} */ (answer);
    });
  }

  /**
   * As `embedAll`, but where the worker fails over a batch, its images are tried one by one to find the one at fault.
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

/**
 * @param {string} [distress] name of the channel on which the worker's threads, where it has any, say that they failed
 * @returns {Bridge}
 */
export function openWorker(distress) {
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "image-feature" });
  } catch (error) {
    throw toError(error, "unsupported", "the worker could not be started; its files must come from the page's own site (or pass worker: false)");
  }
  const threads = distress === undefined ? undefined : new BroadcastChannel(distress);
  const bridge = new Bridge(worker, () => (threads?.close(), worker.terminate()));
  if (threads) threads.onmessage = ({ data }) => bridge.close(new ImageFeatureError("internal", `a thread of the WebAssembly core stopped: ${data}`));
  worker.onerror = ({ message }) => {
    // a script that could not be fetched or parsed gives no message
    const error = message
      ? new ImageFeatureError("internal", `the worker stopped: ${message}`)
      : new ImageFeatureError("io", "the worker's files could not be loaded; are all files of the package served, and does the page's policy allow them?");
    bridge.close(error);
  };
  worker.onmessageerror = () => bridge.close(new ImageFeatureError("internal", "a message from the worker could not be read"));
  return bridge;
}

/** The same as in the worker, on this thread. */
async function openHere() {
  const { createSession } = await import("./session.js");
  const { handlers, dispose } = createSession();
  const { port1, port2 } = new MessageChannel();
  const stop = serve(port1, handlers);
  return new Bridge(port2, () => {
    stop();
    port1.close();
    port2.close();
    dispose();
  });
}
