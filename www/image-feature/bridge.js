/**
 * Calls over a port: to a worker, or over a `MessageChannel`.
 *
 * One side has a `Bridge` and asks. The other side has handlers, and `serve` answers with them. The handlers' types say
 * which methods there are, what each takes, and what it gives back.
 */

import { ImageFeatureError, cancelled, isTrap, toError } from "./errors.js";

/**
 * From the bridge: a call, or the wish to stop one.
 *
 * @typedef {{ id: number, method: string, argument: unknown, abort?: undefined } | { id: number, abort: true }} Request
 */

/**
 * To the bridge: the progress of a call, its value, or its error.
 *
 * @typedef {{ id: number, progress?: unknown, value?: unknown, error?: import("./errors.js").ErrorMessage }} Reply
 */

/**
 * A `Worker`, a `MessagePort`, or a worker's global scope. Where it has `ref` and `unref`, the process goes on while a
 * call is under way.
 *
 * @template Incoming
 * @typedef {object} Port
 * @property {() => void} [ref]
 * @property {() => void} [unref]
 * @property {(message: Request | Reply, transfer: Transferable[]) => void} postMessage
 * @property {((event: MessageEvent<Incoming>) => unknown) | null} onmessage
 */

/**
 * The second parameter of a handler.
 *
 * @template [Progress=never]
 * @typedef {{ signal: AbortSignal, onProgress: (progress: Progress) => void }} Call
 */

/**
 * @typedef {{ value?: unknown, transfer?: Transferable[] }} Answer
 * @typedef {(argument: never, call: never) => Promise<Answer>} Handler
 * @typedef {Record<string, Handler>} Handlers
 */

/**
 * The type of a handler's argument.
 *
 * @template {Handler} Method
 * @typedef {Parameters<Method>[0]} ArgumentOf
 */

/**
 * The type of a handler's value.
 *
 * @template {Handler} Method
 * @typedef {Awaited<ReturnType<Method>> extends { value: infer Value } ? Value : undefined} ValueOf
 */

/**
 * The type of a handler's progress.
 *
 * @template {Handler} Method
 * @typedef {Parameters<Method>[1] extends Call<infer Progress> ? Progress : never} ProgressOf
 */

/**
 * - `signal`: an abort rejects the call at once, and tells the other side to drop the work
 * - `transfer`: buffers that move to the other side
 * - `last`: the call is still answered after the bridge was closed with `finish`
 *
 * @template {Handler} Method
 * @typedef {{ signal?: AbortSignal, transfer?: Transferable[], last?: boolean, onProgress?: (progress: ProgressOf<Method>) => void }}
 *   CallOptions
 */

/**
 * @typedef {object} Pending
 * @property {(value: unknown) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {(progress: unknown) => void} [onProgress]
 * @property {boolean} last
 */

/**
 * The side that asks. Each call gives one promise, which settles exactly once: also after an abort, when the other side
 * dies, and when the bridge is closed.
 *
 * @template {Handlers} Methods
 */
export class Bridge {
  #port;
  #nextId = 0;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** @type {Error | undefined} */
  #closedBy;
  /** Whether the other side has answered a call. */
  answered = false;
  /** Frees the port, once. @type {() => void} */
  #end;

  /**
   * @param {Port<Reply>} port
   * @param {() => void} onClose called once, when either side closes the bridge: free the port there
   */
  constructor(port, onClose) {
    this.#port = port;
    this.#end = () => {
      this.#end = () => {};
      port.onmessage = null;
      onClose();
    };
    port.onmessage = ({ data }) => this.#receive(data);
    port.unref?.();
  }

  /** Whether no call can succeed any more. */
  get closed() {
    return this.#closedBy !== undefined;
  }

  /**
   * Calls a handler on the other side.
   *
   * @template {keyof Methods & string} Name
   * @param {Name} method
   * @param {ArgumentOf<Methods[Name]>} argument
   * @param {CallOptions<Methods[Name]>} [options]
   * @returns {Promise<ValueOf<Methods[Name]>>}
   */
  request(method, argument, { signal, transfer = [], last = false, onProgress } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#closedBy) return reject(this.#closedBy);
      if (signal?.aborted) return reject(cancelled(signal));
      const id = this.#nextId++;
      const abort = () => {
        this.#port.postMessage({ id, abort: true }, []);
        this.#take(id)?.reject(cancelled(/** @type {AbortSignal} */ (signal)));
      };
      const forget = () => signal?.removeEventListener("abort", abort);
      this.#port.ref?.();
      this.#pending.set(id, {
        last,
        resolve: (value) => {
          forget();
          resolve(/** @type {ValueOf<Methods[Name]>} */ (value));
        },
        reject: (error) => {
          forget();
          reject(error);
        },
        onProgress: onProgress && ((progress) => onProgress(/** @type {ProgressOf<Methods[Name]>} */ (progress))),
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
   * Rejects all calls under way, and all later ones, with `error`. With `finish`, calls that are the `last` have so many
   * milliseconds to be answered.
   *
   * @param {Error} error
   * @param {{ finish?: number }} [options]
   */
  close(error, { finish = 0 } = {}) {
    this.#closedBy ??= error;
    for (const [id, { reject, last }] of this.#pending) {
      if (last && finish > 0) continue;
      this.#pending.delete(id);
      reject(error);
    }
    if (this.#pending.size === 0) return this.#end();
    setTimeout(() => this.close(error), finish);
  }

  /** @param {number} id */
  #take(id) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) {
      this.#port.unref?.();
      if (this.#closedBy) this.#end();
    }
    return pending;
  }

  /** @param {Reply} reply */
  #receive({ id, progress, value, error }) {
    // not of a call
    if (id === undefined) return;
    this.answered = true;
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
 * Answers the calls of a `Bridge` on the other side.
 *
 * After some errors (a trap, a lost device) the state of the handlers cannot be trusted. Such an error is marked as
 * fatal: the other side closes its bridge and starts again.
 *
 * @param {Port<Request>} port
 * @param {Handlers} handlers
 * @returns {() => void} stops all calls under way
 */
export function serve(port, handlers) {
  /** @type {Map<number, AbortController>} */
  const running = new Map();
  port.onmessage = async ({ data }) => {
    const { id } = data;
    if (data.abort) return running.get(id)?.abort();
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler = /** @type {(argument: unknown, call: Call<unknown>) => Promise<Answer>} */ (
        handlers[data.method]
      );
      const onProgress = (/** @type {unknown} */ progress) => port.postMessage({ id, progress }, []);
      const { value, transfer = [] } = await handler(data.argument, { signal: controller.signal, onProgress });
      port.postMessage({ id, value }, transfer);
    } catch (thrown) {
      const { kind, message, cause } = toError(thrown);
      const fatal = isTrap(thrown) || kind === "device";
      port.postMessage({ id, error: { kind, message, cause: cause ? String(cause) : undefined, fatal } }, []);
    } finally {
      running.delete(id);
    }
  };
  return () => {
    for (const controller of running.values()) controller.abort();
  };
}
