/**
 * How far a call has come.
 *
 * - `stage`: what is being done: `download` the model, `verify` its sha256, `compile` the WebAssembly, `upload` the
 *   weights to the GPU, `warmup` it with a first run, `embed` images
 * - `loaded`, `total`: of this stage, in bytes or images; `total` is absent where it is not known
 * - `fraction`: of the whole call, from 0 to 1; it never falls
 *
 * @typedef {"download" | "verify" | "compile" | "upload" | "warmup" | "embed"} Stage
 * @typedef {{ stage: Stage, loaded: number, total?: number, fraction: number }} ProgressEvent
 */

/** Bytes after which a bar without a known end stands in the middle. */
const TYPICAL_BYTES = 12e6;

/** Turns the progress of stages that may run at the same time into one fraction that never falls. */
export class StagedProgress {
  #weights;
  #listener;
  /** @type {Map<Stage, Map<string, { loaded: number, total?: number }>>} */
  #parts = new Map();
  /** @type {Map<string, number>} */
  #shares = new Map();

  /**
   * @param {Partial<Record<Stage, number>>} weights how long each stage takes, relative to the others
   * @param {(event: ProgressEvent) => void} listener
   */
  constructor(weights, listener) {
    this.#weights = weights;
    this.#listener = listener;
  }

  /**
   * One part (a file) of a stage has come this far; the stage is the sum of its parts.
   *
   * @param {Stage} stage
   * @param {string} part
   * @param {number} loaded
   * @param {number} [total]
   */
  report(stage, part, loaded, total) {
    const parts = this.#parts.get(stage) ?? new Map();
    this.#parts.set(stage, parts.set(part, { loaded, total }));
    const sum = { loaded: 0, total: /** @type {number | undefined} */ (0) };
    for (const part of parts.values()) {
      sum.loaded += part.loaded;
      sum.total = part.total === undefined || sum.total === undefined ? undefined : sum.total + part.total;
    }
    const share = sum.total === undefined ? sum.loaded / (sum.loaded + TYPICAL_BYTES) : sum.loaded / (sum.total || 1);
    this.#advance(stage, share, sum.loaded, sum.total);
  }

  /**
   * A stage is over, whether it ran or was not needed.
   *
   * @param {Stage} stage
   */
  finish(stage) {
    this.#advance(stage, 1, 1, 1);
  }

  /**
   * @param {Stage} stage
   * @param {number} share
   * @param {number} loaded
   * @param {number} [total]
   */
  #advance(stage, share, loaded, total) {
    this.#shares.set(stage, Math.max(Math.min(share, 1), this.#shares.get(stage) ?? 0));
    let done = 0;
    let whole = 0;
    for (const [name, weight] of Object.entries(this.#weights)) {
      done += weight * (this.#shares.get(name) ?? 0);
      whole += weight;
    }
    this.#listener({ stage, loaded, total, fraction: done / whole });
  }
}
