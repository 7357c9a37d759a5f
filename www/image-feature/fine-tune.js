/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Fine-tuning: what is checked and gathered before it, and what comes of it.
 */

import { inBatches } from "./embed-stream.js";
import { ImageFeatureError, toError } from "./errors.js";
import { nameOf } from "./image-source.js";

/**
 * A labelled image. `roi` is the part of it to look at; `name` is what errors call it, by default the file's name or address.
 *
 * @typedef {{ source: import("./image-source.js").ImageSource, label: string, name?: string,
 *   roi?: import("./image-source.js").Roi }} FineTuneSample
 */

/**
 * @typedef {object} FineTuneOptions
 * @property {number} [epochs] how often each image is learnt from: 1 to 10000, by default 60
 * @property {number} [learningRate] the highest: above 0 and at most 10, by default 0.05; the same suits all models
 * @property {number} [views] in how many ways each image is looked at: 1 to 16, by default 4. Beside the image itself there are it
 *   mirrored, and parts of it. Each takes as long as embedding an image.
 * @property {number} [folds] into how many parts the images are divided for `evaluation`: 2 to 10, or 0, the default, for none. It
 *   takes as many times longer to learn.
 * @property {number} [seed] a whole number, by default 0: the same images, options and seed give the same model on the same machine
 * @property {string} [name] of the model that comes out
 * @property {AbortSignal} [signal]
 * @property {(event: FineTuneProgress) => void} [onProgress]
 */

/**
 * As other progress. In the stages `learn` and `evaluate` it counts epochs, and `loss` is the mean of the last one.
 *
 * @typedef {import("./progress.js").ProgressEvent & { loss?: number }} FineTuneProgress
 */

/** More than a few images: in the time it takes to look at these, a network is better trained as a whole. */
const MAX_SAMPLES = 20_000;
const MAX_LABEL_LENGTH = 1000;
const MAX_NAME_LENGTH = 100;
const DEFAULT_VIEWS = 4;
/** Inputs in one run of the network. */
const INPUTS_PER_RUN = 8;
/** Shares of the whole that are done when every image was looked at, and when all is learnt. */
const LOOKED_AT = 0.6;
const LEARNT = 0.9;

/** What fine-tuning gives: a model on the device of the one it began with, and how it came about. */
export class FineTuned {
  /**
   * `FeatureExtractor.fineTune` makes these.
   *
   * @param {import("./extractor.js").FeatureExtractor} extractor
   * @param {import("./protocol.js").TuneOutcome} outcome
   */
  constructor(extractor, { losses, classes, evaluation }) {
    /** The tuned model, ready to use. The one it began with stays as it is. */
    this.extractor = extractor;
    /** The mean loss of each epoch. */
    this.losses = losses;
    /** The labels, in the order of their coming, and how many images each had. */
    this.classes = classes;
    /**
     * How well images are found that were not learnt from, with `folds`: the share of `queries` whose nearest other image has their
     * label (recall@1), `before` and `after`. `null` without it, or where no label has two images.
     */
    this.evaluation = evaluation;
  }

  /**
   * The tuned model as a file: `extractor.exportModel`.
   *
   * @param {{ dtype?: import("./protocol.js").Dtype }} [options]
   */
  exportModel(options) {
    return this.extractor.exportModel(options);
  }

  /** Disposes of the tuned extractor. */
  dispose() {
    this.extractor.dispose();
  }

  // without Symbol.dispose in the browser this is a method that nobody calls
  [Symbol.dispose]() {
    this.dispose();
  }
}

/**
 * Options as the worker takes them.
 *
 * @param {FineTuneOptions} options
 * @param {string} model its name
 */
export function toTuning(options, model) {
  const { epochs, learningRate, views = DEFAULT_VIEWS, folds = 0, seed = 0, name = `${model}-tuned` } = options;
  const check = (/** @type {boolean} */ right, /** @type {string} */ what, /** @type {unknown} */ value) => {
    if (!right) throw new ImageFeatureError("usage", `${what}, got ${String(value)}`);
  };
  const whole = (/** @type {number} */ value, /** @type {number} */ least, /** @type {number} */ most) =>
    Number.isSafeInteger(value) && value >= least && value <= most;
  check(epochs === undefined || whole(epochs, 1, 10_000), "epochs must be a whole number from 1 to 10000", epochs);
  check(
    learningRate === undefined || (learningRate > 0 && learningRate <= 10),
    "learningRate must be a number above 0 and at most 10",
    learningRate,
  );
  check(whole(views, 1, 16), "views must be a whole number from 1 to 16", views);
  check(folds === 0 || whole(folds, 2, 10), "folds must be 0 or a whole number from 2 to 10", folds);
  check(whole(seed, 0, Number.MAX_SAFE_INTEGER), "seed must be a whole number from 0", seed);
  check(
    typeof name === "string" && name.length > 0 && name.length <= MAX_NAME_LENGTH,
    `name must be a text of 1 to ${MAX_NAME_LENGTH} characters`,
    name,
  );
  return { views, name, options: { epochs, learningRate, folds, seed } };
}

/**
 * Sends every image through the backbone.
 *
 * @param {Iterable<FineTuneSample> | AsyncIterable<FineTuneSample>} samples
 * @param {number} views
 * @param {(jobs: FineTuneSample[], signal: AbortSignal) => Promise<({ pooled: Float32Array } | ImageFeatureError)[]>} pool
 * @param {{ signal?: AbortSignal, onProgress: (event: FineTuneProgress) => void }} options
 */
export async function gather(samples, views, pool, { signal, onProgress }) {
  if (!samples || typeof samples === "string" || !(Symbol.asyncIterator in samples || Symbol.iterator in samples)) {
    throw new ImageFeatureError("usage", "fineTune takes an array or another iterable of { source, label }");
  }
  const total = "length" in samples ? Number(samples.length) : undefined;
  /** @type {Float32Array[]} */
  const parts = [];
  /** @type {string[]} */
  const labels = [];
  let sent = 0;
  const run = async (/** @type {FineTuneSample[]} */ batch, /** @type {AbortSignal} */ stop) => {
    const named = batch.map((sample) => checkSample(sample, sent++));
    const answers = await pool(batch, stop);
    return answers.map((answer, index) => {
      if (answer instanceof ImageFeatureError) throw toError(answer, "internal", named[index]);
      return { pooled: answer.pooled, label: batch[index].label };
    });
  };
  const report = () =>
    onProgress({
      stage: "embed",
      loaded: labels.length,
      total,
      fraction: total ? LOOKED_AT * Math.min(labels.length / total, 1) : 0,
    });
  report();
  const batchSize = Math.max(1, Math.floor(INPUTS_PER_RUN / views));
  for await (const { pooled, label } of inBatches(samples, run, { batchSize, running: () => 2, signal })) {
    if (labels.length >= MAX_SAMPLES) {
      throw new ImageFeatureError(
        "limit",
        `fineTune learns from ${MAX_SAMPLES} images at most; train a model with the program instead`,
      );
    }
    parts.push(pooled);
    labels.push(label);
    report();
  }
  const pooled = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    pooled.set(part, offset);
    offset += part.length;
  }
  return { pooled, labels, views: new Uint32Array(labels.length).fill(views) };
}

/**
 * Says where a sample is none; gives what errors call it.
 *
 * @param {FineTuneSample} sample
 * @param {number} index
 */
function checkSample(sample, index) {
  if (sample === null || typeof sample !== "object" || !("source" in sample)) {
    throw new ImageFeatureError("usage", `sample ${index} is no { source, label }`);
  }
  const { source, label, name = nameOf(source) ?? `sample ${index}` } = sample;
  if (typeof label !== "string" || label.length === 0 || label.length > MAX_LABEL_LENGTH) {
    throw new ImageFeatureError("usage", `${name}: its label must be a text of 1 to ${MAX_LABEL_LENGTH} characters`);
  }
  return name;
}

/**
 * The progress of learning, as one of the whole.
 *
 * @param {import("./protocol.js").TuneProgress} progress
 * @returns {FineTuneProgress}
 */
export function whileLearning({ done, total, loss, evaluating }) {
  const fraction = LOOKED_AT + ((LEARNT - LOOKED_AT) * done) / total;
  return { stage: evaluating ? "evaluate" : "learn", loaded: done, total, loss, fraction };
}

/**
 * The progress of loading the tuned model, as one of the whole.
 *
 * @param {import("./progress.js").ProgressEvent} event
 * @returns {FineTuneProgress}
 */
export function whileLoading(event) {
  return { ...event, fraction: LEARNT + (1 - LEARNT) * event.fraction };
}
