/// <reference lib="esnext.disposable" preserve="true" />

import { checkNumber, checkOneOf, checkWhole } from "./checks.js";
import { Connection } from "./connection.js";
import { FeatureExtractor } from "./extractor.js";
import { Gallery } from "./gallery.js";
import { ImageFeatureError } from "./errors.js";
import { toImageInput } from "./image-source.js";
import { toLoadRequest, toThread } from "./load-request.js";
import { inParts } from "./progress.js";

/**
 * @typedef {import("./image-source.js").ImageSource} ImageSource
 * @typedef {import("./image-source.js").Roi} Roi
 * @typedef {import("./model-source.js").ModelSource} ModelSource
 * @typedef {import("./protocol.js").DetectorInfo} DetectorInfo
 * @typedef {import("./protocol.js").Found} Found
 * @typedef {import("./gallery-types.js").GalleryHit} GalleryHit
 */

/**
 * @typedef {object} RecognizeOptions
 * @property {number} [detThreshold] the score above which a box counts; by default the detector's own, 0.5 for
 *   PP-ShiTuV2_det
 * @property {number} [recThreshold] the score that the nearest hit of a box must reach; with the metrics `l2` and
 *   `hamming` the largest that it may have. By default 0.5, and with `hamming` any
 * @property {number} [k] the largest number of hits of a box, by default 5
 * @property {"without-boxes" | "always" | "never"} [whole] when the whole image is compared with the gallery, too: where
 *   there is no box (the default, as in PaddleX), always, after the boxes, or never
 * @property {boolean} [anyModel] takes a gallery though another or an unknown model made it
 * @property {AbortSignal} [signal]
 */

/**
 * A thing in an image.
 *
 * - `coordinate`: left, top, right and bottom of its box, in pixels
 * - `score`: the detector's, from 0 to 1; 0 for the whole image
 * - `whole`: whether it is the whole image
 * - `feature`: the feature of what is in the box
 * - `hits`: the nearest entries of the gallery, nearest first; none if the nearest does not reach the threshold
 *
 * @typedef {{ coordinate: [number, number, number, number], score: number, whole: boolean,
 *   feature: Float32Array<ArrayBuffer>, hits: GalleryHit[] }} Thing
 */

/**
 * What was found in an image.
 *
 * - `width`, `height`: of the upright image, in pixels
 * - `things`: in the detector's order, the highest score first
 * - `tooSmall`: boxes that are left out, because they are less than one pixel wide or high
 * - `damaged`: what is wrong with the file, if only a part of the image could be decoded
 *
 * @typedef {{ width: number, height: number, things: Thing[], tooSmall: import("./protocol.js").FoundBox[],
 *   damaged?: string }} Recognition
 */

const WHOLE = /** @type {const} */ (["without-boxes", "always", "never"]);
/** PaddleX's settings. */
const DEFAULT_K = 5;
const DEFAULT_REC_THRESHOLD = 0.5;
const MOST_HITS = 2 ** 32 - 1;

/**
 * Finds the things in an image, and says by a gallery what each is: PaddleX's pipeline PP-ShiTuV2. The detector computes
 * on the CPU, in a worker of its own.
 */
export class Recognizer {
  #detector;
  /** @type {DetectorInfo | undefined} */
  #info;
  #extractor;
  #owned;

  /**
   * Use `Recognizer.load`.
   *
   * @private
   * @param {Connection} detector
   * @param {FeatureExtractor} extractor
   * @param {boolean} owned whether the extractor is this recogniser's own
   */
  constructor(detector, extractor, owned) {
    this.#detector = detector;
    this.#extractor = extractor;
    this.#owned = owned;
  }

  /**
   * Loads a detector, and a model of features unless an extractor is given.
   *
   * Rejects as `FeatureExtractor.load`, and with kind `usage` if the detector is a model of features.
   *
   * @param {{ detector: ModelSource, model?: ModelSource | FeatureExtractor }} models `detector`: PP-ShiTuV2_det, from
   *   an archive or another kind of model file. `model`: by default the larger one of those that come with the package;
   *   an extractor is used as it is, and goes on when the recogniser is disposed of
   * @param {import("./extractor.js").LoadOptions} [options] of both; `device`, `backend` and `dtype` of the model only
   * @returns {Promise<Recognizer>}
   */
  static async load({ detector, model }, options = {}) {
    if (detector === undefined) throw new ImageFeatureError("usage", "Recognizer.load needs a detector");
    const { onProgress = () => {}, signal, device: _device, backend: _backend, dtype: _dtype, ...shared } = options;
    const request = { ...toLoadRequest(detector, { ...shared, sha256: undefined, device: "cpu" }), detects: true };
    const connection = new Connection(request, toThread(options.worker));
    const given = model instanceof FeatureExtractor ? model : undefined;
    const [first, second] = inParts(given ? 1 : 2, onProgress);
    const loadExtractor = (/** @type {AbortSignal} */ stopping) =>
      FeatureExtractor.load(/** @type {ModelSource | undefined} */ (model), {
        ...options,
        signal: stopping,
        onProgress: second,
      });
    /** @type {FeatureExtractor | undefined} */
    let own;
    const [info, extractor] = await together(signal, [
      (stopping) => connection.start({ signal: stopping, onProgress: first }),
      async (stopping) => given ?? (own = await loadExtractor(stopping)),
    ]).catch((error) => {
      connection.close();
      own?.dispose();
      throw error;
    });
    const recognizer = new Recognizer(connection, extractor, !given);
    recognizer.#info = /** @type {DetectorInfo} */ (/** @type {unknown} */ (info));
    return recognizer;
  }

  /** The detector, and the model of features. */
  get info() {
    return { detector: /** @type {DetectorInfo} */ (this.#info), extractor: this.#extractor.info };
  }

  /** What makes the features. Features of a gallery's images are made with it. */
  get extractor() {
    return this.#extractor;
  }

  /**
   * Finds the things in an image: PaddleX's detection result.
   *
   * @param {ImageSource} source
   * @param {{ threshold?: number, signal?: AbortSignal }} [options] `threshold`: the score above which a box counts; by
   *   default the detector's own, 0.5 for PP-ShiTuV2_det
   * @returns {Promise<Found>}
   */
  async detect(source, { threshold, signal } = {}) {
    if (threshold !== undefined) checkNumber("threshold", threshold);
    const [found] = await this.#detector.detectAll([{ source }], { threshold, signal });
    if (found instanceof ImageFeatureError) throw found;
    return found;
  }

  /**
   * Finds the things in an image, and what each is.
   *
   * Rejects with an `ImageFeatureError` as `embed` does, and with kind `usage` if another model made the gallery.
   *
   * @param {ImageSource} source
   * @param {Gallery} gallery
   * @param {RecognizeOptions} [options]
   * @returns {Promise<Recognition>}
   */
  async recognize(source, gallery, options = {}) {
    const { detThreshold, recThreshold, k = DEFAULT_K, whole = "without-boxes", anyModel, signal } = options;
    if (!(gallery instanceof Gallery)) throw new ImageFeatureError("usage", "recognize takes an image and a Gallery");
    if (recThreshold !== undefined) checkNumber("recThreshold", recThreshold);
    checkWhole("k", k, 1, MOST_HITS);
    checkOneOf("whole", whole, WHOLE);
    const { still, close } = await standStill(source, signal);
    try {
      const { boxes, ...found } = await this.detect(still, { threshold: detThreshold, signal });
      const parts = toParts(found, boxes, whole);
      const rois = parts.map(({ roi }) => roi);
      const made = await this.#extractor.embedParts(still, rois, { signal });
      const threshold = recThreshold ?? (gallery.metric === "hamming" ? undefined : DEFAULT_REC_THRESHOLD);
      const things = await Promise.all(
        parts.map(async ({ roi: _, ...part }, index) => {
          const { feature } = made[index];
          return { ...part, feature, hits: await gallery.recognize(feature, { k, threshold, anyModel, signal }) };
        }),
      );
      return { ...found, things, tooSmall: boxes.filter(({ roi }) => !roi) };
    } finally {
      close();
    }
  }

  /** Stops all calls and frees the memory. A second call does nothing. An extractor that was given goes on. */
  dispose() {
    this.#detector.close();
    if (this.#owned) this.#extractor.dispose();
  }

  // in browsers without Symbol.dispose this is a method with the name "undefined", which does no harm
  [Symbol.dispose]() {
    this.dispose();
  }
}

/**
 * An image that is read several times: a video goes on meanwhile, and an address would be fetched again.
 *
 * @param {ImageSource} source
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ still: ImageSource, close: () => void }>}
 */
async function standStill(source, signal) {
  const input = await toImageInput(source, signal);
  if ("blob" in input) return { still: input.blob, close() {} };
  if ("bitmap" in input) return { still: input.bitmap, close: () => input.bitmap.close() };
  const { pixels, ...size } = input;
  return { still: { data: pixels, ...size }, close() {} };
}

/**
 * The parts of an image that are recognised.
 *
 * @param {{ width: number, height: number }} size
 * @param {import("./protocol.js").FoundBox[]} boxes
 * @param {RecognizeOptions["whole"]} whole
 */
function toParts({ width, height }, boxes, whole) {
  const parts = boxes.flatMap(({ roi, coordinate, score }) => (roi ? [{ roi, coordinate, score, whole: false }] : []));
  if (whole === "always" || (whole === "without-boxes" && parts.length === 0)) {
    const coordinate = /** @type {[number, number, number, number]} */ ([0, 0, width, height]);
    parts.push({ roi: { x: 0, y: 0, width, height }, coordinate, score: 0, whole: true });
  }
  return parts;
}

/**
 * The results of two works that run at the same time. The first that fails stops the other, and its error is the error.
 *
 * @template First, Second
 * @param {AbortSignal | undefined} signal
 * @param {[(signal: AbortSignal) => Promise<First>, (signal: AbortSignal) => Promise<Second>]} works
 * @returns {Promise<[First, Second]>}
 */
async function together(signal, works) {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  /** @type {{ error: unknown } | undefined} */
  let failed;
  const note = (/** @type {unknown} */ error) => {
    failed ??= { error };
    stop.abort();
  };
  const [first, second] = [works[0](stop.signal), works[1](stop.signal)];
  await Promise.allSettled([first.catch(note), second.catch(note)]);
  signal?.removeEventListener("abort", abort);
  if (failed) {
    throw failed.error;
  }
  return [await first, await second];
}
