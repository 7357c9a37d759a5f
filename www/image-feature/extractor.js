/// <reference lib="esnext.disposable" preserve="true" />

import { Bridge, serve } from "./bridge.js";
import { inBatches } from "./embed-stream.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { nameOf, toImageInput } from "./image-source.js";
import { toModelParts } from "./model-source.js";

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
 * @property {"auto" | "webgpu" | "cpu"} [device] `auto`, the default, takes a hardware GPU that passes a self-test, else
 *   the CPU; `info.reasons` says why. `webgpu` takes any adapter, also one in software, or fails.
 * @property {"f32"} [dtype] how the weights are held
 * @property {boolean} [worker] `false` computes on the page's own thread, where workers cannot be had
 * @property {AbortSignal} [signal] stops loading
 * @property {(event: ProgressEvent) => void} [onProgress]
 * @property {"default" | "none"} [cache] `none` downloads the model past the browser's HTTP cache
 * @property {string} [sha256] of the model file, in hex; another file is refused
 * @property {string | URL} [wasm] the folder that holds `cpu/` and `gpu/`, where they are not beside the package
 */

/**
 * @typedef {object} EmbedOptions
 * @property {Roi} [roi] the part of the image to look at
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} EmbedManyOptions
 * @property {number} [batchSize] images in one run of the network
 * @property {AbortSignal} [signal]
 * @property {(event: ProgressEvent) => void} [onProgress]
 */

/** @typedef {ImageSource | { source: ImageSource, name?: string, roi?: Roi }} EmbedManyItem */

/**
 * An image's name with either its embedding or the error that kept it from having one.
 *
 * @typedef {{ name: string, error?: undefined } & Embedding
 *   | { name: string, error: ImageFeatureError, feature?: undefined }} NamedEmbedding
 */

/** @typedef {{ source: ImageSource, name?: string, roi?: Roi }} Job */

const DEVICES = new Set(["auto", "webgpu", "cpu"]);
const CACHES = new Set(["default", "none"]);
const DEFAULT_BATCH_SIZE = 8;
const MAX_BATCH_SIZE = 64;

/** Turns images into feature vectors: a model, loaded, on a device. */
export class FeatureExtractor {
  #request;
  #inWorker;
  /** @type {Bridge | undefined} */
  #bridge;
  /** @type {ExtractorInfo | undefined} */
  #info;
  /** @type {Promise<void> | undefined} */
  #restarting;
  #disposed = false;

  /**
   * Use `FeatureExtractor.load`.
   *
   * @private
   * @param {import("./protocol.js").LoadRequest} request
   * @param {boolean} inWorker
   */
  constructor(request, inWorker) {
    this.#request = request;
    this.#inWorker = inWorker;
  }

  /**
   * Loads a model and opens a device for it.
   *
   * Rejects with an `ImageFeatureError` of kind `model` for a file that is no model, `io` where it cannot be read,
   * `device` where a device asked for by name cannot be used, `cancelled` after an abort, `unsupported` where the
   * browser cannot run it, `usage` for a wrong argument.
   *
   * @param {ModelSource} source
   * @param {LoadOptions} [options]
   * @returns {Promise<FeatureExtractor>}
   */
  static async load(source, options = {}) {
    const { signal, onProgress, worker = true } = options;
    const extractor = new FeatureExtractor(toLoadRequest(source, options), worker);
    await extractor.#start({ signal, onProgress });
    return extractor;
  }

  /** The model, the device, and why others were not chosen. */
  get info() {
    return /** @type {ExtractorInfo} */ (this.#info);
  }

  /**
   * The feature of one image.
   *
   * Rejects with an `ImageFeatureError` of kind `decode` for a damaged image, `unsupported` for a format that neither
   * this package nor the browser reads, `limit` for one that is too large.
   *
   * @param {ImageSource} source
   * @param {EmbedOptions} [options]
   * @returns {Promise<Embedding>}
   */
  async embed(source, { roi, signal } = {}) {
    const [result] = await this.#embedAll([{ source, roi }], signal);
    if (result instanceof ImageFeatureError) throw result;
    return result;
  }

  /**
   * The features of many images, in order, while the rest are on their way. An image that fails is yielded with its
   * `error` and does not stop the others; an abort, or an error of `items` itself, ends the loop by throwing.
   *
   * @param {Iterable<EmbedManyItem> | AsyncIterable<EmbedManyItem>} items
   * @param {EmbedManyOptions} [options]
   * @returns {AsyncGenerator<NamedEmbedding, void, undefined>}
   */
  async *embedMany(items, { batchSize = DEFAULT_BATCH_SIZE, signal, onProgress } = {}) {
    if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > MAX_BATCH_SIZE) {
      throw new ImageFeatureError("usage", `batchSize must be a whole number from 1 to ${MAX_BATCH_SIZE}, got ${batchSize}`);
    }
    if (!items || !(Symbol.asyncIterator in items || Symbol.iterator in items) || typeof items === "string") {
      throw new ImageFeatureError("usage", "embedMany takes an array or another iterable of images; for one image there is embed");
    }
    const total = "length" in items ? Number(items.length) : "size" in items ? Number(items.size) : undefined;
    let loaded = 0;
    const report = () => onProgress?.({ stage: "embed", loaded, total, fraction: total ? Math.min(loaded / total, 1) : 0 });
    const run = (/** @type {EmbedManyItem[]} */ batch, /** @type {AbortSignal} */ stop) => this.#embedEach(batch.map(toJob), stop);
    report();
    for await (const result of inBatches(items, run, { batchSize, signal })) {
      loaded++;
      report();
      yield nameResult(result, loaded - 1);
    }
    onProgress?.({ stage: "embed", loaded, total: loaded, fraction: 1 });
  }

  /** Stops everything under way and gives the memory back. Calling it again does nothing. */
  dispose() {
    this.#disposed = true;
    this.#bridge?.close(disposed());
  }

  // without Symbol.dispose in the browser this is a method that nobody calls
  [Symbol.dispose]() {
    this.dispose();
  }

  /** @param {{ signal?: AbortSignal, onProgress?: (event: ProgressEvent) => void }} [options] */
  async #start({ signal, onProgress } = {}) {
    throwIfAborted(signal);
    const bridge = this.#inWorker ? openWorker() : await openHere();
    try {
      this.#info = Object.freeze(await bridge.request("load", this.#request, { signal, onProgress }));
      if (this.#disposed) throw disposed();
      this.#bridge = bridge;
    } catch (error) {
      // also what the load has under way ends with the worker
      bridge.close(toError(error));
      throw error;
    }
  }

  /** The connection, after a crash a new one. */
  async #connect() {
    if (this.#disposed) throw disposed();
    // on the page's own thread there is no way to start WebAssembly afresh; the closed bridge says what happened
    if (this.#bridge?.closed && this.#inWorker) {
      this.#restarting ??= this.#start().finally(() => (this.#restarting = undefined));
      await this.#restarting;
    }
    return /** @type {Bridge} */ (this.#bridge);
  }

  /**
   * @param {Job[]} jobs
   * @param {AbortSignal} [signal]
   * @returns {Promise<(Embedding | ImageFeatureError)[]>}
   */
  async #embedAll(jobs, signal) {
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
    /** @type {import("./protocol.js").EmbedAnswer[]} */
    const answers = requests.length > 0 ? await bridge.request("embed", requests, { signal, transfer }) : [];
    return inputs.map((input) => {
      if (input instanceof ImageFeatureError) return input;
      const answer = /** @type {import("./protocol.js").EmbedAnswer} */ (answers.shift());
      return "error" in answer ? new ImageFeatureError(answer.error.kind, answer.error.message) : answer;
    });
  }

  /**
   * As `#embedAll`, but where the worker fails over a batch, its images are tried one by one to find the one at fault.
   *
   * @param {Job[]} jobs
   * @param {AbortSignal} signal
   * @returns {Promise<{ job: Job, result: Embedding | ImageFeatureError }[]>}
   */
  async #embedEach(jobs, signal) {
    try {
      const results = await this.#embedAll(jobs, signal);
      return jobs.map((job, index) => ({ job, result: results[index] }));
    } catch (error) {
      if (signal.aborted || this.#disposed) throw error;
      if (jobs.length === 1) return [{ job: jobs[0], result: toError(error) }];
    }
    const alone = [];
    for (const job of jobs) alone.push(...(await this.#embedEach([job], signal)));
    return alone;
  }
}

function disposed() {
  return new ImageFeatureError("usage", "this FeatureExtractor was disposed of; load a new one");
}

/** @returns {Bridge} */
function openWorker() {
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "image-feature" });
  } catch (error) {
    throw toError(error, "unsupported", "the worker could not be started; its files must come from the page's own site (or pass worker: false)");
  }
  const bridge = new Bridge(worker, () => worker.terminate());
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

/**
 * @param {ModelSource} source
 * @param {LoadOptions} options
 * @returns {import("./protocol.js").LoadRequest}
 */
function toLoadRequest(source, { device = "auto", dtype = "f32", cache = "default", sha256, wasm }) {
  if (!DEVICES.has(device)) {
    throw new ImageFeatureError("usage", `unknown device "${device}"; known are ${[...DEVICES].join(", ")}`);
  }
  if (dtype !== "f32") {
    throw new ImageFeatureError("unsupported", `dtype "${dtype}" is still to come; today there is "f32"`);
  }
  if (!CACHES.has(cache)) {
    throw new ImageFeatureError("usage", `unknown cache "${cache}"; known are ${[...CACHES].join(", ")}`);
  }
  const parts = toModelParts(source);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new ImageFeatureError("usage", "sha256 must be 64 hexadecimal digits");
  }
  if (sha256 !== undefined && parts.length > 1) {
    throw new ImageFeatureError("usage", "sha256 is of one file; put the loose files into an archive to check them");
  }
  const folder = wasm === undefined ? undefined : new URL(`${wasm}`.replace(/\/*$/, "/"), globalThis.document?.baseURI ?? location.href);
  return { parts, device, cache, sha256, wasm: folder?.href };
}

/**
 * @param {EmbedManyItem} item
 * @returns {Job}
 */
function toJob(item) {
  const isJob = item !== null && typeof item === "object" && "source" in item;
  return isJob ? item : { source: /** @type {ImageSource} */ (item) };
}

/**
 * @param {{ job: Job, result: Embedding | ImageFeatureError }} result
 * @param {number} index
 * @returns {NamedEmbedding}
 */
function nameResult({ job, result }, index) {
  const name = job.name ?? nameOf(job.source) ?? `#${index}`;
  return result instanceof ImageFeatureError ? { name, error: result } : { name, ...result };
}
