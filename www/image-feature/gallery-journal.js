/**
 * What a gallery's worker held, so that another worker can hold it again: how the gallery was opened, and each change since.
 */

import { ImageFeatureError } from "./errors.js";

/**
 * @typedef {import("./gallery-session.js").OpenGalleryRequest} OpenGalleryRequest
 * @typedef {import("./gallery-session.js").GalleryMethods} GalleryMethods
 * @typedef {import("./bridge.js").Bridge<GalleryMethods>} GalleryBridge
 * @typedef {"addVectors" | "updateVector" | "removeVectors" | "setModel" | "setThreshold"} ChangeMethod
 * @typedef {{ method: ChangeMethod, argument: import("./bridge.js").ArgumentOf<GalleryMethods[ChangeMethod]> }} Change
 */

/**
 * Changes of so many bytes are kept on the page. Of more, the whole gallery is written to a file of the browser. Large galleries
 * are written less often, so that many additions take no more time than a few writes.
 */
const LEAST_KEPT = 32 * 2 ** 20;
const MOST_KEPT = 256 * 2 ** 20;
/** What a change takes beside its vectors and texts. */
const CHANGE_BYTES = 200;

export class GalleryJournal {
  #request;
  /** @type {Change[]} */
  #changes = [];
  #bytes = 0;
  /** Whether a change was stopped: the worker may have made it, or not. */
  #unsure = false;
  /** Bytes of the file that the gallery was written to last. */
  #written = 0;

  /** @param {OpenGalleryRequest} request */
  constructor(request) {
    this.#request = request;
  }

  /** How the gallery is opened. */
  get request() {
    return this.#request;
  }

  /** Whether the gallery should be written to a file now. */
  get isFull() {
    return this.#unsure || this.#bytes > Math.min(Math.max(LEAST_KEPT, this.#written), MOST_KEPT);
  }

  /**
   * Makes a change in the worker, and remembers it. The argument must not be changed later.
   *
   * @template {ChangeMethod} Method
   * @param {GalleryBridge} bridge
   * @param {Method} method
   * @param {import("./bridge.js").ArgumentOf<GalleryMethods[Method]>} argument
   * @param {AbortSignal} signal
   */
  async make(bridge, method, argument, signal) {
    try {
      const value = await bridge.request(method, argument, { signal });
      this.#changes.push({ method, argument });
      this.#bytes += bytesOf(argument);
      return value;
    } catch (error) {
      if (error instanceof ImageFeatureError && error.kind === "cancelled") this.#unsure = true;
      throw error;
    }
  }

  /**
   * Takes a file of the whole gallery in place of all changes.
   *
   * @param {Blob} file
   */
  written(file) {
    this.#request = { source: { form: /** @type {const} */ ("gallery"), file }, storage: this.#request.storage };
    this.#changes = [];
    this.#bytes = 0;
    this.#written = file.size;
    this.#unsure = false;
  }

  /**
   * Makes all changes again, in a new worker.
   *
   * @param {GalleryBridge} bridge
   * @param {AbortSignal} [signal]
   */
  async repeat(bridge, signal) {
    for (const { method, argument } of this.#changes) await bridge.request(method, argument, { signal });
  }
}

/**
 * @param {unknown} argument
 * @returns {number} bytes, roughly
 */
function bytesOf(argument) {
  if (typeof argument === "string") return 2 * argument.length;
  if (argument instanceof Float32Array) return argument.byteLength;
  if (argument === null || typeof argument !== "object") return 0;
  return Object.values(argument).reduce((sum, value) => sum + bytesOf(value), CHANGE_BYTES);
}
