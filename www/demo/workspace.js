/**
 * The state of the page: one model on one device, and the images. It does not know the elements of the page; they
 * listen to its events:
 *
 * - `model`: the state of the model has changed
 * - `progress`: of loading the model
 * - `device`: another device was chosen
 * - `images`: images were added or removed
 * - `image`: one image has changed; `detail` is the image
 */

import { FeatureExtractor, ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { t } from "./language.js";

/**
 * @typedef {import("../image-feature/index.js").ProgressEvent} ProgressEvent
 * @typedef {import("../image-feature/index.js").ExtractorInfo} ExtractorInfo
 * @typedef {"auto" | "webgpu" | "cpu"} DeviceChoice
 *
 * @typedef {{ state: "empty" }
 *   | { state: "loading", files: ModelFiles, progress?: ProgressEvent }
 *   | { state: "ready", files: ModelFiles, info: ExtractorInfo, milliseconds: number }
 *   | { state: "failed", files: ModelFiles, error: ImageFeatureError }} ModelState
 *
 * @typedef {File[] | "default" | "tiny"} ModelFiles the user's, or the larger or smaller model that comes with the page
 *
 * @typedef {object} Picture an image of the user's
 * @property {number} id
 * @property {string} name
 * @property {File} file
 * @property {string} url for showing it
 * @property {"waiting" | "working" | "done" | "failed" | "stopped"} state
 * @property {Float32Array<ArrayBuffer>} [feature]
 * @property {number} [milliseconds]
 * @property {"image-feature" | "browser"} [decoder]
 * @property {ImageFeatureError} [error]
 */

class Workspace extends EventTarget {
  /** @type {ModelState} */
  model = { state: "empty" };
  /** @type {DeviceChoice} */
  device = "auto";
  /** @type {Picture[]} */
  pictures = [];
  /** @type {FeatureExtractor | undefined} */
  #extractor;
  /** Stops the load under way. */
  #loading = new AbortController();
  /** @type {AbortController | undefined} */
  #embedding;
  #nextId = 0;

  /** Whether images are being embedded. */
  get busy() {
    return this.#embedding !== undefined;
  }

  /** The images that have a vector. */
  get done() {
    return this.pictures.flatMap((picture) => (picture.feature ? [{ ...picture, feature: picture.feature }] : []));
  }

  /**
   * Computes vectors of other images with the loaded model.
   *
   * @param {Parameters<FeatureExtractor["embedMany"]>[0]} items
   * @param {Parameters<FeatureExtractor["embedMany"]>[1]} options
   */
  async *embedMany(items, options) {
    yield* (await this.#loaded()).embedMany(items, options);
  }

  /**
   * The vector of one image, or of a part of it.
   *
   * @param {Blob} source
   * @param {Parameters<FeatureExtractor["embed"]>[1]} options
   */
  async vectorOf(source, options) {
    return (await (await this.#loaded()).embed(source, options)).feature;
  }

  /** The name and the hash of the loaded model. */
  async modelId() {
    return (await this.#loaded()).modelId();
  }

  /**
   * Fine-tunes the loaded model on the user's classes. The loaded model stays as it is.
   *
   * @param {Parameters<FeatureExtractor["fineTune"]>[0]} samples
   * @param {Parameters<FeatureExtractor["fineTune"]>[1]} options
   */
  async fineTune(samples, options) {
    return (await this.#loaded()).fineTune(samples, options);
  }

  /** The extractor, also if it is still being loaded. */
  async #loaded() {
    while (this.model.state === "loading")
      await new Promise((resolve) => this.addEventListener("model", resolve, { once: true }));
    if (!this.#extractor) throw new ImageFeatureError("usage", "no model is loaded; choose one first");
    return this.#extractor;
  }

  /**
   * @param {ModelFiles} files
   * @param {Promise<unknown>} [after] what comes first: the model's work delays everything else on a machine with few
   *   cores
   */
  async loadModel(files, after) {
    this.#loading.abort();
    const { signal } = (this.#loading = new AbortController());
    this.#release();
    this.#setModel({ state: "loading", files });
    await after;
    if (signal.aborted) return;
    const start = performance.now();
    const onProgress = (/** @type {ProgressEvent} */ progress) => {
      if (signal.aborted) return;
      this.model = { state: "loading", files, progress };
      this.#emit("progress");
    };
    try {
      const source = typeof files !== "string" && files.length === 1 ? files[0] : files;
      const extractor = await FeatureExtractor.load(source, { device: this.device, signal, onProgress });
      if (signal.aborted) return extractor.dispose();
      this.#extractor = extractor;
      this.#setModel({ state: "ready", files, info: extractor.info, milliseconds: performance.now() - start });
      void this.embed();
    } catch (error) {
      if (signal.aborted) return;
      this.#setModel({ state: "failed", files, error: asError(error) });
    }
  }

  /**
   * Loads a model from files that are still being gathered.
   *
   * @param {Promise<File[]>} coming
   */
  async loadDropped(coming) {
    try {
      const files = await coming;
      if (files.length > 0) await this.loadModel(files);
    } catch (error) {
      const unread = new ImageFeatureError("io", `what was dropped could not be read: ${String(error)}`, {
        cause: error,
      });
      this.#setModel({ state: "failed", files: [], error: unread });
    }
  }

  /** Stops loading; the page is then without a model. */
  cancelLoading() {
    this.#loading.abort();
    this.#setModel({ state: "empty" });
  }

  /** @param {DeviceChoice} device */
  chooseDevice(device) {
    if (device === this.device) return;
    this.device = device;
    this.#emit("device");
    if (this.model.state !== "empty") void this.loadModel(this.model.files);
  }

  /** @param {File[]} files */
  addImages(files) {
    const added = files.map((file) => ({
      id: this.#nextId++,
      name: file.name || t("vectors.pasted"),
      file,
      url: URL.createObjectURL(file),
      state: /** @type {const} */ ("waiting"),
    }));
    this.pictures.push(...added);
    this.#emit("images");
    void this.embed();
  }

  /**
   * Removes images. `restore` puts them back in their places; `settle` frees what they hold.
   *
   * @param {number[]} ids
   */
  removeImages(ids) {
    const before = this.pictures;
    const removed = before.filter(({ id }) => ids.includes(id));
    this.pictures = before.filter((picture) => !removed.includes(picture));
    const extractor = this.#extractor;
    this.#emit("images");
    return {
      restore: () => {
        // images may have been added since
        const added = this.pictures.filter((picture) => !before.includes(picture));
        this.pictures = [...before, ...added];
        // their vectors are of a model that is no longer there
        if (extractor !== this.#extractor) for (const picture of removed) forget(picture);
        this.#emit("images");
        void this.embed();
      },
      settle: () => {
        for (const { url } of removed) URL.revokeObjectURL(url);
      },
    };
  }

  /** Stops embedding; `resume` continues it. */
  stop() {
    this.#embedding?.abort();
    this.#restate(["waiting", "working"], "stopped");
  }

  resume() {
    this.#restate(["stopped"], "waiting");
    void this.embed();
  }

  /** Computes the vectors of all waiting images, also of those that are added meanwhile. */
  async embed() {
    if (this.#embedding || !this.#extractor || !this.#nextWaiting()) return;
    const extractor = this.#extractor;
    const { signal } = (this.#embedding = new AbortController());
    this.#emit("images");
    /** @type {Picture[]} */
    const sent = [];
    const take = function* (/** @type {Workspace} */ workspace) {
      for (let picture; (picture = workspace.#nextWaiting()); ) {
        workspace.#update(picture, { state: "working" });
        sent.push(picture);
        yield { source: picture.file, name: picture.name };
      }
    };
    try {
      for await (const result of extractor.embedMany(take(this), { signal })) {
        if (signal.aborted) break;
        const picture = /** @type {Picture} */ (sent.shift());
        if (result.error) {
          this.#update(picture, { state: "failed", error: result.error });
        } else {
          const { feature, decoder, milliseconds } = result;
          this.#update(picture, {
            state: "done",
            feature,
            decoder,
            milliseconds: milliseconds.preprocess + milliseconds.network,
          });
        }
      }
    } catch (error) {
      // after an abort the images have their new state already
      if (!signal.aborted)
        for (const picture of sent) this.#update(picture, { state: "failed", error: asError(error) });
    } finally {
      this.#embedding = undefined;
      this.#emit("images");
      void this.embed();
    }
  }

  /** Disposes of the model. All images wait for the next one. */
  #release() {
    this.#embedding?.abort();
    this.#extractor?.dispose();
    this.#extractor = undefined;
    for (const picture of this.pictures) {
      forget(picture);
      this.#emit("image", picture);
    }
    this.#emit("images");
  }

  #nextWaiting() {
    return this.pictures.find(({ state }) => state === "waiting");
  }

  /**
   * @param {Picture["state"][]} from
   * @param {Picture["state"]} to
   */
  #restate(from, to) {
    for (const picture of this.pictures) if (from.includes(picture.state)) this.#update(picture, { state: to });
    this.#emit("images");
  }

  /**
   * @param {Picture} picture
   * @param {Partial<Picture>} changes
   */
  #update(picture, changes) {
    Object.assign(picture, changes);
    this.#emit("image", picture);
  }

  /** @param {ModelState} model */
  #setModel(model) {
    this.model = model;
    this.#emit("model");
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Lets an image wait for its vector again. @param {Picture} picture */
function forget(picture) {
  Object.assign(picture, { state: "waiting", feature: undefined, error: undefined, milliseconds: undefined });
}

export const workspace = new Workspace();
