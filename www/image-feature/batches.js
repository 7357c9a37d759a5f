import { ImageFeatureError, toError } from "./errors.js";

/**
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./connection.js").Job} Job
 */

/** An image whose worker was ended by another batch is tried again, but not for ever. */
const MOST_TRIES = 3;

/**
 * Batches of images for one worker. Where the worker fails over a batch, its images are tried one by one, so that only
 * the one at fault has no result.
 */
export class Batches {
  #embedAll;
  #isClosed;
  /** The batches under way. @type {Set<{ shared: boolean }>} */
  #running = new Set();
  /** The last image that is tried alone. @type {Promise<unknown>} */
  #lastAlone = Promise.resolve();

  /**
   * @param {(jobs: Job[], signal: AbortSignal) => Promise<(Embedding | ImageFeatureError)[]>} embedAll
   * @param {() => boolean} isClosed whether the caller has ended all
   */
  constructor(embedAll, isClosed) {
    this.#embedAll = embedAll;
    this.#isClosed = isClosed;
  }

  /** Number of batches under way. */
  get count() {
    return this.#running.size;
  }

  /**
   * Runs a batch.
   *
   * @param {Job[]} jobs
   * @param {AbortSignal} signal
   * @returns {Promise<{ job: Job, result: Embedding | ImageFeatureError }[]>}
   */
  async run(jobs, signal) {
    const { results, error, shared } = await this.#attempt(jobs, signal);
    if (results) return jobs.map((job, index) => ({ job, result: results[index] }));
    if (jobs.length === 1 && !shared) return [{ job: jobs[0], result: error }];
    const alone = [];
    for (const job of jobs) {
      const turn = this.#lastAlone.then(() => this.#embedAlone(job, signal));
      this.#lastAlone = turn.catch(() => {});
      alone.push({ job, result: await turn });
    }
    return alone;
  }

  /**
   * @param {Job} job
   * @param {AbortSignal} signal
   * @returns {Promise<Embedding | ImageFeatureError>}
   */
  async #embedAlone(job, signal) {
    for (let tries = 1; ; tries++) {
      const { results, error, shared } = await this.#attempt([job], signal);
      if (results) return results[0];
      if (!shared || tries === MOST_TRIES) return error;
    }
  }

  /**
   * The results of a batch, or the error of its worker; and whether another batch was under way at the same time, which
   * may be at fault.
   *
   * @param {Job[]} jobs
   * @param {AbortSignal} signal
   * @returns {Promise<{ results: (Embedding | ImageFeatureError)[], error?: undefined, shared: boolean } | { results?:
   *   undefined, error: ImageFeatureError, shared: boolean }>}
   */
  async #attempt(jobs, signal) {
    const batch = this.#begin();
    try {
      return { results: await this.#embedAll(jobs, signal), shared: batch.shared };
    } catch (error) {
      if (signal.aborted || this.#isClosed()) throw error;
      return { error: toError(error), shared: batch.shared };
    } finally {
      this.#running.delete(batch);
    }
  }

  /** Notes that a batch is under way, and which others are at the same time: one that ends the worker ends them all. */
  #begin() {
    const batch = { shared: this.#running.size > 0 };
    for (const other of this.#running) other.shared = true;
    this.#running.add(batch);
    return batch;
  }
}
