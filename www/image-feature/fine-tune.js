/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Fine-tuning: its options, the images it learns from, and its result.
 */

import { check, checkIterable, checkShortText, checkWhole } from "./checks.js";
import { inBatches } from "./embed-stream.js";
import { ImageFeatureError, toError } from "./errors.js";
import { nameOf } from "./image-source.js";

/**
 * A labelled image. `roi` is the part of the image to use. `name` is its name in error messages, by default the file's
 * name or address.
 *
 * @typedef {{ source: import("./image-source.js").ImageSource, label: string, name?: string,
 *   roi?: import("./image-source.js").Roi }} FineTuneSample
 */

/**
 * @typedef {object} FineTuneOptions
 * @property {number} [epochs] how often the network learns from each image: 1 to 10000, by default 60
 * @property {number} [learningRate] the highest learning rate: above 0 and at most 10, by default 0.05, which suits all
 *   models
 * @property {number} [views] number of views of each image: 1 to 16, by default 4. The views are the image itself, its
 *   mirror image, and crops. Each takes as long as embedding an image.
 * @property {number} [folds] number of folds of the cross-validation for `evaluation`: 2 to 10, or 0, the default, for
 *   none. Learning then takes that many times longer.
 * @property {number} [seed] a whole number, by default 0. The same images, options and seed give the same model on the
 *   same machine.
 * @property {string} [name] of the new model
 * @property {AbortSignal} [signal]
 * @property {(event: FineTuneProgress) => void} [onProgress]
 */

/**
 * Progress of fine-tuning. The stages `learn` and `evaluate` count epochs; `loss` is the mean loss of the last epoch.
 *
 * @typedef {import("./progress.js").ProgressEvent & { loss?: number }} FineTuneProgress
 */

/** With more images than this, training the whole network gives a better model in the same time. */
const MAX_SAMPLES = 20_000;
const MAX_LABEL_LENGTH = 1000;
const MAX_NAME_LENGTH = 100;
const DEFAULT_VIEWS = 4;
/** Inputs in one run of the network. */
const INPUTS_PER_RUN = 8;
/** The fractions of the progress at which all images were embedded, and at which learning has ended. */
const LOOKED_AT = 0.6;
const LEARNT = 0.9;

/** The result of fine-tuning: the new model, on the device of the first one, and how learning went. */
export class FineTuned {
  /**
   * `FeatureExtractor.fineTune` makes these.
   *
   * @param {import("./extractor.js").FeatureExtractor} extractor
   * @param {import("./protocol.js").TuneOutcome} outcome
   */
  constructor(extractor, { losses, classes, evaluation, keptOld }) {
    /** The tuned model, ready to use. The first model stays as it is. */
    this.extractor = extractor;
    /** The mean loss of each epoch. */
    this.losses = losses;
    /** The labels in the order in which they first appeared, and the number of images of each. */
    this.classes = classes;
    /**
     * With `folds`: recall@1 of images that were left out of learning, `before` and `after` it; `queries` is their
     * number. An image counts as found if the nearest other image has its label. `null` without `folds`, or if no label
     * has two images.
     */
    this.evaluation = evaluation;
    /**
     * Whether the model is the one from before, because the cross-validation found no gain: recall@1 fell, or mAP did not rise.
     * @type {boolean} @readonly
     */
    this.keptOld = keptOld;
  }

  /**
   * Writes the tuned model as a file, as `extractor.exportModel` does.
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

  // in browsers without Symbol.dispose this is a method with the name "undefined", which does no harm
  [Symbol.dispose]() {
    this.dispose();
  }
}

/**
 * Checks the options, and gives them as the worker takes them.
 *
 * @param {FineTuneOptions} options
 * @param {string} model the model's name
 */
export function toTuning(options, model) {
  const { epochs, learningRate, views = DEFAULT_VIEWS, folds = 0, seed = 0, name = `${model}-tuned` } = options;
  if (epochs !== undefined) checkWhole("epochs", epochs, 1, 10_000);
  const rightRate = learningRate === undefined || (learningRate > 0 && learningRate <= 10);
  check(rightRate, "learningRate must be a number above 0 and at most 10", learningRate);
  checkWhole("views", views, 1, 16);
  checkWhole("folds", folds, 2, 10, { or: 0 });
  checkWhole("seed", seed, 0);
  checkShortText("name", name, MAX_NAME_LENGTH);
  return { views, name, options: { epochs, learningRate, folds, seed } };
}

/**
 * Runs the backbone on every image.
 *
 * @param {Iterable<FineTuneSample> | AsyncIterable<FineTuneSample>} samples
 * @param {number} views
 * @param {(jobs: FineTuneSample[], signal: AbortSignal) => Promise<({ pooled: Float32Array } | ImageFeatureError)[]>}
 *   pool
 * @param {{ signal?: AbortSignal, onProgress: (event: FineTuneProgress) => void }} options
 */
export async function gather(samples, views, pool, { signal, onProgress }) {
  checkIterable(samples, "fineTune takes an array or another iterable of { source, label }");
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
 * Checks a sample. Gives its name for error messages.
 *
 * @param {FineTuneSample} sample
 * @param {number} index
 */
function checkSample(sample, index) {
  if (sample === null || typeof sample !== "object" || !("source" in sample)) {
    throw new ImageFeatureError("usage", `sample ${index} is no { source, label }`);
  }
  const { source, label, name = nameOf(source) ?? `sample ${index}` } = sample;
  checkShortText(`${name}: its label`, label, MAX_LABEL_LENGTH);
  return name;
}

/**
 * The progress of learning, as progress of the whole call.
 *
 * @param {import("./protocol.js").TuneProgress} progress
 * @returns {FineTuneProgress}
 */
export function whileLearning({ done, total, loss, evaluating }) {
  const fraction = LOOKED_AT + ((LEARNT - LOOKED_AT) * done) / total;
  return { stage: evaluating ? "evaluate" : "learn", loaded: done, total, loss, fraction };
}

/**
 * The progress of loading the tuned model, as progress of the whole call.
 *
 * @param {import("./progress.js").ProgressEvent} event
 * @returns {FineTuneProgress}
 */
export function whileLoading(event) {
  return { ...event, fraction: LEARNT + (1 - LEARNT) * event.fraction };
}
