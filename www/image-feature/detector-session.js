/**
 * One loaded detector, as a worker holds it.
 */

import { ImageFeatureError, isTrap, throwIfAborted, toError } from "./errors.js";
import { decodeByBrowser, readPixels } from "./image-source.js";
import { readFiles, readImage } from "./session-files.js";

/**
 * @typedef {import("./protocol.js").DetectorInfo} DetectorInfo
 * @typedef {import("./protocol.js").DetectRequest} DetectRequest
 * @typedef {import("./protocol.js").Found} Found
 */

export class DetectorSession {
  #detector;
  #orientation;

  /**
   * @param {import("./wasm/cpu/image_feature.js").Detector} detector
   * @param {DetectorInfo} info
   * @param {import("./protocol.js").Orientation} orientation
   */
  constructor(detector, info, orientation) {
    this.#detector = detector;
    this.#orientation = orientation;
    this.info = info;
  }

  /**
   * Reads a detector and puts it on the CPU.
   *
   * @param {{ core: import("./cores.js").CpuCore, threads: number, reasons: string[] }} cpu
   * @param {import("./protocol.js").LoadRequest} request
   */
  static load({ core, threads, reasons }, { files, orientation = "opencv" }) {
    const model = readFiles(core.ModelFile, files);
    try {
      const { name } = /** @type {{ name: string }} */ (model.info());
      const detector = core.Detector.load(model, threads);
      const {
        threads: computing,
        simd,
        threshold,
      } = /** @type {Omit<DetectorInfo, "model" | "reasons">} */ (detector.info());
      const info = { model: name, threads: computing, simd, threshold, reasons: [...reasons] };
      return new DetectorSession(detector, info, orientation);
    } catch (error) {
      if (isTrap(error)) throw error;
      throw toError(error);
    } finally {
      model.free();
    }
  }

  /**
   * The boxes of each image. An image that cannot be read has an error as its answer.
   *
   * @param {DetectRequest} request
   * @param {AbortSignal} signal
   * @returns {Promise<(Found | { error: import("./protocol.js").AnswerError })[]>}
   */
  async detect({ requests, threshold }, signal) {
    const answers = [];
    for (const { input } of requests) {
      throwIfAborted(signal);
      answers.push(
        await this.#find(input, threshold).catch((error) => {
          // not the error of one image: the instance must not be used again
          if (isTrap(error)) throw error;
          const { kind, message } = toError(error);
          return { error: { kind, message } };
        }),
      );
    }
    return answers;
  }

  /**
   * @param {import("./image-source.js").ImageInput} input
   * @param {number} [threshold]
   * @returns {Promise<Found>}
   */
  async #find(input, threshold) {
    if (!("blob" in input)) return this.#inPixels(input, threshold);
    const bytes = await readImage(input.blob);
    try {
      return /** @type {Found} */ (this.#detector.detectBytes(bytes, threshold, this.#orientation));
    } catch (error) {
      if (isTrap(error) || toError(error).kind !== "unsupported") throw error;
      // the browser may know other formats, such as AVIF
      const bitmap = await decodeByBrowser(input.blob).catch(() => {
        throw error;
      });
      return this.#inPixels({ bitmap }, threshold);
    }
  }

  /**
   * @param {{ bitmap: ImageBitmap } | { pixels: Uint8Array, width: number, height: number }} input
   * @param {number} [threshold]
   * @returns {Found}
   */
  #inPixels(input, threshold) {
    const { pixels, width, height } = "bitmap" in input ? readPixels(input.bitmap) : input;
    return /** @type {Found} */ (this.#detector.detectRgba(pixels, width, height, threshold));
  }

  dispose() {
    this.#detector.free();
  }
}

/** The error of a call before a detector is loaded. */
export function noDetector() {
  return new ImageFeatureError("internal", "no detector is loaded");
}
