/**
 * @typedef {"download" | "verify" | "compile" | "upload" | "warmup"} LoadStage
 * @typedef {LoadStage | "embed" | "learn" | "evaluate" | "check" | "pack"} Stage
 */

/**
 * The progress of a call.
 *
 * - `stage`: the current work: `download` the model, `verify` its sha256, `compile` the WebAssembly, `upload` the
 *   weights to the GPU, `warmup`: a first run of the network; `embed` images; `learn` from images and `evaluate` the
 *   result; `check` the images of a data set, `pack` its files into a zip
 * - `loaded`, `total`: progress of this stage, in bytes, images or files; `total` is absent if it is not known
 * - `fraction`: progress of the whole call, from 0 to 1; it never falls
 *
 * @typedef {{ stage: Stage, loaded: number, total?: number, fraction: number }} ProgressEvent
 */

/**
 * Takes reports of progress. `report` is for one part of a stage, such as a file; a stage is the sum of its parts.
 * `finish` is for a stage that has ended or is not needed.
 *
 * @typedef {object} Progress
 * @property {(stage: Stage, part: string, loaded: number, total?: number) => void} report
 * @property {(stage: Stage) => void} finish
 */

/** If the total is not known, this number of bytes counts as half of the stage. */
const TYPICAL_BYTES = 12e6;

/**
 * Listeners for works of the same weight that run at the same time, which tell `listener` the progress of all together.
 *
 * @param {number} count
 * @param {(event: ProgressEvent) => void} listener
 */
export function inParts(count, listener) {
  const fractions = new Array(count).fill(0);
  return fractions.map((_, index) => (/** @type {ProgressEvent} */ event) => {
    fractions[index] = event.fraction;
    listener({ ...event, fraction: fractions.reduce((sum, fraction) => sum + fraction, 0) / count });
  });
}

/**
 * Sends progress from the worker to the page, as the message `[stage, part, loaded, total]` or `[stage]`.
 *
 * @typedef {[stage: Stage, part?: string, loaded?: number, total?: number]} RelayedMessage
 * @implements {Progress}
 */
export class RelayedProgress {
  #tell;

  /** @param {(message: RelayedMessage) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @type {Progress["report"]} */
  report(stage, part, loaded, total) {
    this.#tell([stage, part, loaded, total]);
  }

  /** @type {Progress["finish"]} */
  finish(stage) {
    this.#tell([stage]);
  }
}

/**
 * Joins the progress of several stages, which may run at the same time, into one fraction that never falls.
 *
 * @implements {Progress}
 */
export class StagedProgress {
  #weights;
  #listener;
  /** @type {Map<Stage, Map<string, { loaded: number, total?: number }>>} */
  #parts = new Map();
  /** @type {Map<string, number>} */
  #shares = new Map();

  /**
   * @param {Partial<Record<Stage, number>>} weights the time that each stage takes, relative to the others
   * @param {(event: ProgressEvent) => void} listener
   */
  constructor(weights, listener) {
    this.#weights = weights;
    this.#listener = listener;
  }

  /** @type {Progress["report"]} */
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

  /** @type {Progress["finish"]} */
  finish(stage) {
    this.#advance(stage, 1, 1, 1);
  }

  /**
   * Takes a message of a `RelayedProgress`.
   *
   * @param {RelayedMessage} message
   */
  receive([stage, part, loaded = 0, total]) {
    if (part === undefined) this.finish(stage);
    else this.report(stage, part, loaded, total);
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
