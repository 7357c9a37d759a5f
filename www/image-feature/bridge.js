/**
 * Requests and answers over a port: a worker, or one end of a `MessageChannel`.
 *
 * One promise per request; each settles exactly once, also when the request is aborted, the other side dies, or the
 * bridge is closed. Messages out: `{ id, method, argument }`, `{ id, abort: true }`. Messages in: `{ id, progress }`,
 * `{ id, value }`, `{ id, error }`.
 */

import { ImageFeatureError, cancelled, isTrap, toError } from "./errors.js";

/**
 * @typedef {object} Port
 * @property {(message: any, transfer: Transferable[]) => void} postMessage
 * @property {((event: MessageEvent) => any) | null} onmessage
 *
 * @typedef {{ signal: AbortSignal, onProgress: (progress: any) => void }} Call
 * @typedef {{ value?: unknown, transfer?: Transferable[] }} Answer
 * @typedef {Record<string, (argument: any, call: Call) => Promise<Answer>>} Handlers
 * @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void, onProgress?: (progress: any) => void }} Pending
 */

export class Bridge {
  #port;
  #nextId = 0;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** @type {Error | undefined} */
  #closedBy;
  #onClose;

  /**
   * @param {Port} port
   * @param {() => void} onClose called once, when the bridge is closed by either side: free the port there
   */
  constructor(port, onClose) {
    this.#port = port;
    this.#onClose = onClose;
    port.onmessage = ({ data }) => this.#receive(data);
  }

  /** Whether no request can succeed any more. */
  get closed() {
    return this.#closedBy !== undefined;
  }

  /**
   * Calls a handler on the other side. Buffers in `transfer` move there; an abort rejects at once and tells the other
   * side to drop the work.
   *
   * @param {string} method
   * @param {unknown} argument
   * @param {{ signal?: AbortSignal, transfer?: Transferable[], onProgress?: (progress: any) => void }} [options]
   * @returns {Promise<any>}
   */
  request(method, argument, { signal, transfer = [], onProgress } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#closedBy) return reject(this.#closedBy);
      if (signal?.aborted) return reject(cancelled(signal));
      const id = this.#nextId++;
      const abort = () => {
        this.#port.postMessage({ id, abort: true }, []);
        this.#take(id)?.reject(cancelled(/** @type {AbortSignal} */ (signal)));
      };
      const forget = () => signal?.removeEventListener("abort", abort);
      this.#pending.set(id, {
        resolve: (value) => {
          forget();
          resolve(value);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
        onProgress,
      });
      signal?.addEventListener("abort", abort);
      try {
        this.#port.postMessage({ id, method, argument }, transfer);
      } catch (error) {
        this.#take(id)?.reject(toError(error, "usage", "this value cannot be sent to the worker"));
      }
    });
  }

  /**
   * Rejects everything that waits, and every later request, with `error`.
   *
   * @param {Error} error
   */
  close(error) {
    if (this.#closedBy) return;
    this.#closedBy = error;
    this.#port.onmessage = null;
    this.#onClose();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** @param {number} id */
  #take(id) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  /** @param {{ id: number, progress?: unknown, value?: unknown, error?: import("./errors.js").ErrorMessage }} message */
  #receive({ id, progress, value, error }) {
    if (progress !== undefined) {
      this.#pending.get(id)?.onProgress?.(progress);
    } else if (error) {
      const cause = error.cause === undefined ? undefined : new Error(error.cause);
      const rebuilt = new ImageFeatureError(error.kind, error.message, { cause });
      this.#take(id)?.reject(rebuilt);
      if (error.fatal) this.close(rebuilt);
    } else {
      this.#take(id)?.resolve(value);
    }
  }
}

/**
 * Answers the requests of the `Bridge` on the other side.
 *
 * An error after which the handlers' state cannot be trusted (a trap, a lost device) is marked fatal: the other side
 * closes its bridge and starts afresh.
 *
 * @param {Port} port
 * @param {Handlers} handlers
 * @returns {() => void} stops all that is under way
 */
export function serve(port, handlers) {
  /** @type {Map<number, AbortController>} */
  const running = new Map();
  port.onmessage = async ({ data: { id, method, argument, abort } }) => {
    if (abort) return running.get(id)?.abort();
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const call = {
        signal: controller.signal,
        onProgress: (/** @type {unknown} */ progress) => port.postMessage({ id, progress }, []),
      };
      const { value, transfer = [] } = await handlers[method](argument, call);
      port.postMessage({ id, value }, transfer);
    } catch (thrown) {
      const { kind, message, cause } = toError(thrown);
      const fatal = isTrap(thrown) || kind === "device";
      port.postMessage({ id, error: { kind, message, cause: cause && String(cause), fatal } }, []);
    } finally {
      running.delete(id);
    }
  };
  return () => running.forEach((controller) => controller.abort());
}
