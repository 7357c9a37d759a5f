import { throwIfAborted, toError } from "./errors.js";

/** Calls that wait for each other, each of which its caller can stop, and all of which end together. */
export class Turns {
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  #end = new AbortController();
  #ended;

  /** @param {() => Error} ended what calls fail with after the end */
  constructor(ended) {
    this.#ended = ended;
  }

  /**
   * Runs one call after those before it.
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

  /** Ends the call under way and all later ones. */
  end() {
    this.#end.abort();
  }
}
