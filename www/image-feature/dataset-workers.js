/** The workers of a data set. */

import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { openWorker } from "./worker-bridge.js";

/**
 * @typedef {import("./bridge.js").Bridge<import("./dataset-session.js").DatasetMethods>} DatasetBridge
 * @typedef {import("./dataset-session.js").OpenDatasetRequest} OpenDatasetRequest
 */

/**
 * Images that a worker is given together: few, so that progress is smooth and all workers end at about the same time.
 */
const BATCH = 6;

/** Workers that look at images during one check. */
export class Lookers {
  #request;
  #most;
  /** @type {DatasetWorker[]} */
  #workers = [];

  /**
   * @param {OpenDatasetRequest} request
   * @param {number} most
   * @param {boolean} isStream whether files are unpacked from the beginning only: more workers would all unpack
   *   everything
   */
  constructor(request, most, isStream) {
    this.#request = request;
    this.#most = isStream ? 1 : most;
  }

  close() {
    for (const worker of this.#workers) worker.close(new ImageFeatureError("cancelled", "cancelled"));
  }

  /**
   * @param {Uint32Array} pairs of place and file
   * @param {DatasetWorker} main takes the facts
   * @param {AbortSignal} signal
   * @param {(count: number) => void} onSeen
   */
  async lookAt(pairs, main, signal, onSeen) {
    let next = 0;
    const work = async (/** @type {DatasetWorker} */ worker) => {
      await worker.start(signal);
      while (next < pairs.length) {
        const some = pairs.slice(next, (next += 2 * BATCH));
        await this.#lookAtSome(some, worker, main, signal);
        onSeen(some.length / 2);
      }
      await main.request("takeProblems", await worker.request("problems", undefined, { signal }), { signal });
    };
    await this.#withWorkers(pairs.length / 2, work);
  }

  /**
   * @param {import("./dataset-session.js").ShownImage[]} shown
   * @param {AbortSignal} signal
   * @returns {Promise<Record<string, string>>}
   */
  async thumbnails(shown, signal) {
    /** @type {[path: string, uri: string][]} */
    const all = [];
    let next = 0;
    await this.#withWorkers(shown.length, async (worker) => {
      await worker.start(signal);
      while (next < shown.length) {
        const some = shown.slice(next, (next += BATCH));
        // where the worker fails over them, these pictures are left out of the report
        try {
          all.push(...(await worker.request("thumbnails", some, { signal })));
        } catch (error) {
          throwIfAborted(signal);
          if (!worker.closed) throw error;
        }
        if (worker.closed) await worker.start(signal);
      }
    });
    return Object.fromEntries(all);
  }

  /**
   * @param {number} images
   * @param {(worker: DatasetWorker) => Promise<void>} work
   */
  async #withWorkers(images, work) {
    const count = Math.min(this.#most, Math.ceil(images / BATCH));
    while (this.#workers.length < count) this.#workers.push(new DatasetWorker(this.#request));
    await Promise.all(this.#workers.slice(0, count).map(work));
  }

  /**
   * Looks at images. Where the worker fails over them, they are tried one by one, to find the one at fault.
   *
   * @param {Uint32Array} pairs
   * @param {DatasetWorker} worker
   * @param {DatasetWorker} main
   * @param {AbortSignal} signal
   */
  async #lookAtSome(pairs, worker, main, signal) {
    try {
      const facts = await worker.request("lookAt", pairs, { signal });
      await main.request("takeFacts", facts, { signal });
    } catch (error) {
      if (signal.aborted || !worker.closed || main.closed) throw error;
      await worker.start(signal);
      if (pairs.length === 2)
        return main.request("takeBroken", { place: pairs[0], message: toError(error).message }, { signal });
      for (let at = 0; at < pairs.length; at += 2)
        await this.#lookAtSome(pairs.slice(at, at + 2), worker, main, signal);
    }
  }
}

/** A worker that has opened the files. After a crash it can be started again, and then knows nothing. */
export class DatasetWorker {
  #request;
  /** @type {DatasetBridge | undefined} */
  #bridge;
  /** Whether files are unpacked from the beginning of the archive only. */
  isStream = false;

  /** @param {OpenDatasetRequest} request */
  constructor(request) {
    this.#request = request;
  }

  /** Whether it must be started before it can answer. */
  get closed() {
    return this.#bridge?.closed ?? true;
  }

  /**
   * Starts it, if it is not running.
   *
   * @param {AbortSignal} [signal]
   */
  async start(signal) {
    throwIfAborted(signal);
    if (!this.closed) return;
    /** @type {DatasetBridge} */
    const bridge = openWorker();
    this.#bridge = bridge;
    try {
      const { isStream } = await bridge.request("openDataset", this.#request, { signal });
      this.isStream = isStream;
    } catch (error) {
      bridge.close(toError(error));
      throw error;
    }
  }

  /** @type {DatasetBridge["request"]} */
  request(method, argument, options) {
    return /** @type {DatasetBridge} */ (this.#bridge).request(method, argument, options);
  }

  /** @param {ImageFeatureError} error */
  close(error) {
    this.#bridge?.close(error);
  }
}
