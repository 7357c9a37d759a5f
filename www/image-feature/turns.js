import { throwIfAborted, toError } from "./errors.js";

/** Runs calls one after the other. A caller can stop each call, and `end` stops them all. */
export class Turns {
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  #end = new AbortController();
  #ended;

  /** @param {() => Error} ended makes the error of calls after the end */
  constructor(ended) {
    this.#ended = ended;
  }

  /**
   * Runs a call after the calls before it.
   *
   * @template T
   * @param {AbortSignal | undefined} signal
   * @param {(signal: AbortSignal) => Promise<T>} run
   * @returns {Promise<T>}
   */
  run(signal, run) {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    const end = () => stop.abort();
    const result = this.#last.then(async () => {
      throwIfAborted(signal);
      if (this.#end.signal.aborted) throw this.#ended();
      signal?.addEventListener("abort", abort);
      this.#end.signal.addEventListener("abort", end);
      try {
        return await run(stop.signal);
      } catch (error) {
        throw this.#end.signal.aborted ? this.#ended() : toError(error);
      } finally {
        signal?.removeEventListener("abort", abort);
        this.#end.signal.removeEventListener("abort", end);
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  /** Stops the call under way, and refuses all later calls. */
  end() {
    this.#end.abort();
  }
}
