/// <reference lib="esnext.disposable" preserve="true" />

import { checkNumber, checkOneOf, checkText, checkWhole } from "./checks.js";
import { toWasm } from "./compile.js";
import { compileAhead, takeGiven } from "./core.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import {
  MOST_COUNT,
  checkId,
  checkModel,
  classesOf,
  comparing,
  fromPlainEntries,
  fromPlainEntry,
  hitsOf,
  pairsOf,
  toCalibration,
  toEvaluation,
  toJson,
  toPlainChange,
  toPlainEntry,
  toSearch,
  toVector,
  toVectors,
} from "./gallery-messages.js";
import { GalleryJournal } from "./gallery-journal.js";
import { LABELS, VECTORS, toGallerySource } from "./gallery-source.js";
import { forget, keep, listKept, withKept } from "./gallery-store.js";
import { requireSimd } from "./loader.js";
import { makerOf, nameOf } from "./makers.js";
import { Turns } from "./turns.js";
import { isNotStarted, openGalleryHere, openWorker } from "./worker-bridge.js";

/**
 * @typedef {import("./gallery-types.js").CalibrateOptions} CalibrateOptions
 * @typedef {import("./gallery-types.js").Calibration} Calibration
 * @typedef {import("./gallery-types.js").Evaluation} Evaluation
 * @typedef {import("./gallery-types.js").EvaluateOptions} EvaluateOptions
 * @typedef {import("./gallery-types.js").Feature} Feature
 * @typedef {import("./gallery-types.js").FeatureOptions} FeatureOptions
 * @typedef {import("./gallery-types.js").GalleryChange} GalleryChange
 * @typedef {import("./gallery-types.js").GalleryClass} GalleryClass
 * @typedef {import("./gallery-types.js").GalleryDtype} GalleryDtype
 * @typedef {import("./gallery-types.js").GalleryEntry} GalleryEntry
 * @typedef {import("./gallery-types.js").GalleryFileOptions} GalleryFileOptions
 * @typedef {import("./gallery-types.js").GalleryGroup} GalleryGroup
 * @typedef {import("./gallery-types.js").GalleryHit} GalleryHit
 * @typedef {import("./gallery-types.js").GalleryOptions} GalleryOptions
 * @typedef {import("./gallery-types.js").GalleryPair} GalleryPair
 * @typedef {import("./gallery-types.js").GalleryVote} GalleryVote
 * @typedef {import("./gallery-types.js").GroupsOptions} GroupsOptions
 * @typedef {import("./gallery-types.js").Metric} Metric
 * @typedef {import("./makers.js").ModelId} ModelId
 * @typedef {import("./gallery-types.js").NewGalleryEntry} NewGalleryEntry
 * @typedef {import("./gallery-types.js").SearchOptions} SearchOptions
 */

const METRICS = /** @type {const} */ (["cosine", "ip", "l2", "hamming"]);
const DTYPES = /** @type {const} */ (["f32", "f16", "i8", "bit"]);
const FORMATS = /** @type {const} */ (["gallery", "jsonl", "npy", "paddlex"]);
const MOST_DIMENSION = 65535;

/**
 * Vectors, each with an id, a label and metadata. They are searched exactly, and saved in this browser or as a file. A
 * worker holds the vectors and does the work. Calls run one after the other.
 */
export class Gallery {
  /** What another worker needs, should this one end. */
  #journal;
  #onRestart;
  #wasm;
  #facts;
  #turns = new Turns(disposed);
  // no typedef: this file's types are published, and those of the WebAssembly are not
  /** @type {import("./bridge.js").Bridge<import("./gallery-session.js").GalleryMethods> | undefined} */
  #bridge;
  #inWorker = true;
  /** The generation of each kept gallery that this one was opened from or saved as. @type {Map<string, string>} */
  #kept = new Map();

  /**
   * Makes an empty gallery.
   *
   * @param {GalleryOptions} options
   */
  constructor({ dimension, metric = "cosine", dtype = "f32", model, wasm, onRestart }) {
    checkWhole("dimension", dimension, 1, MOST_DIMENSION);
    checkForm(metric, dtype);
    /** @type {import("./gallery-session.js").OpenGalleryRequest} */
    const request = { source: { form: "empty", dimension }, metric, storage: dtype };
    if (model) request.model = checkModel(model);
    this.#journal = new GalleryJournal(request);
    this.#onRestart = onRestart;
    this.#wasm = toWasm(wasm);
    this.#facts = {
      dimension,
      metric,
      dtype,
      size: 0,
      model: request.model ?? null,
      threshold: /** @type {number | null} */ (null),
    };
  }

  /**
   * Opens a gallery that this browser keeps.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` if there is none of this name, `gallery` if it is damaged.
   *
   * @param {string} name
   * @param {import("./gallery-types.js").OpenGalleryOptions} [options]
   * @returns {Promise<Gallery>}
   */
  static open(name, { signal, wasm, onRestart } = {}) {
    return withKept(name, signal, async (file, generation) => {
      const gallery = await Gallery.#read(name, { form: "gallery", file }, { signal, wasm, onRestart });
      gallery.#kept.set(name, generation);
      return gallery;
    });
  }

  /**
   * Reads a gallery from a file, or from files that belong together:
   *
   * - a file that `toFile` wrote
   * - an index of PaddleX or PaddleClas: `vector.index`, with its labels in `id_map.yaml`, `index_info.yaml` or
   *   `id_map.pkl`
   * - a `.npy` file. Its labels are in `labels` or in a `.txt` file with a label in each line, its ids in the `.csv` file
   *   of `image-feature predict --save`, both in a `.jsonl` file of entries
   * - a `.npz` file with `features`, `ids` and `labels`
   * - a `.jsonl` file
   *
   * Rejects with an `ImageFeatureError` of kind `gallery` for a damaged file, `unsupported` for another format, `io` if
   * the file cannot be read, `usage` if several files have vectors.
   *
   * @param {import("./dataset-source.js").DatasetInput} input
   * @param {GalleryFileOptions} [options]
   * @returns {Promise<Gallery>}
   */
  static async fromFile(input, { labels, ...options } = {}) {
    checkForm(options.metric ?? "cosine", options.dtype ?? "f32");
    if (options.model) options.model = checkModel(options.model);
    const { name, source } = await toGallerySource(input, { labels, signal: options.signal });
    return Gallery.#read(name, source, options);
  }

  /**
   * Lists the galleries that this browser keeps for this site.
   *
   * @returns {Promise<import("./gallery-store.js").KeptGallery[]>}
   */
  static list() {
    return listKept();
  }

  /**
   * Deletes a gallery that this browser keeps. Resolves with `false` if there was none.
   *
   * @param {string} name
   * @param {{ signal?: AbortSignal }} [options] `signal`: stops the wait for other tabs
   * @returns {Promise<boolean>}
   */
  static delete(name, { signal } = {}) {
    return forget(name, signal);
  }

  /** Number of values of a vector. */
  get dimension() {
    return this.#facts.dimension;
  }

  /** How vectors are compared. */
  get metric() {
    return this.#facts.metric;
  }

  /** How values are stored for a search. */
  get dtype() {
    return this.#facts.dtype;
  }

  /** Number of vectors after the last change that was made. */
  get size() {
    return this.#facts.size;
  }

  /** The model that made the vectors; `null` if it is not known. */
  get model() {
    return this.#facts.model;
  }

  /** The score from which on `recognize` takes the nearest vector for known; `null` if any counts. */
  get threshold() {
    return this.#facts.threshold;
  }

  /**
   * Sets the score from which on `recognize` takes the nearest vector for known. The gallery's file keeps it. `calibrate`
   * finds one.
   *
   * @param {number | null} threshold
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  setThreshold(threshold, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const checked = threshold === null ? null : checkNumber("threshold", threshold);
      await this.#change("setThreshold", checked, signal);
      this.#facts = { ...this.#facts, threshold: checked };
    });
  }

  /**
   * Writes down the model that made the vectors, if it was not known.
   *
   * @param {ModelId | null} model `await extractor.modelId()`
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  setModel(model, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const checked = model && checkModel(model);
      await this.#change("setModel", checked, signal);
      this.#facts = { ...this.#facts, model: checked };
    });
  }

  /**
   * Adds a vector.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` if the gallery has the id already, or if the feature has
   * another dimension, has a NaN, or with `cosine` has only zeros; and if an extractor made it whose model did not make
   * the gallery, or if the gallery does not know its model.
   *
   * @param {NewGalleryEntry} entry
   * @param {FeatureOptions} [options]
   */
  add(entry, options) {
    return this.addMany([entry], undefined, options);
  }

  /**
   * Adds all of these vectors, or none. They are in `features`, one after the other, or else each entry has its own.
   *
   * @param {readonly (GalleryEntry & { feature?: Feature })[]} entries
   * @param {Float32Array} [features]
   * @param {FeatureOptions} [options]
   * @returns {Promise<void>}
   */
  addMany(entries, features, { signal, anyModel } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const maker = await this.#checkMaker(features ? [features] : entries.map(({ feature }) => feature), anyModel);
      const model = this.#facts.model ? undefined : maker;
      const vectors = features === undefined ? toVectors(entries, this.dimension) : Float32Array.from(features);
      const request = { entries: toJson(entries.map(toPlainEntry)), vectors, model };
      const size = await this.#change("addVectors", request, signal);
      this.#facts = { ...this.#facts, size, ...(model && { model }) };
    });
  }

  /**
   * Changes an entry, its vector, or both.
   *
   * @param {GalleryChange} change
   * @param {FeatureOptions} [options]
   * @returns {Promise<void>}
   */
  update(change, { signal, anyModel } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const { id, feature } = change;
      await this.#checkMaker([feature], anyModel);
      const plain = toPlainChange(change);
      const vector = feature && toVector(feature, `id \`${id}\``).slice();
      await this.#change("updateVector", { id, change: plain, vector }, signal);
    });
  }

  /**
   * Removes all of these vectors, or none.
   *
   * @param {string | readonly string[]} ids
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  remove(ids, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const all = typeof ids === "string" ? [ids] : Array.from(ids, checkId);
      const size = await this.#change("removeVectors", all, signal);
      this.#facts = { ...this.#facts, size };
    });
  }

  /**
   * The entry with this id; `undefined` if there is none.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GalleryEntry | undefined>}
   */
  get(id, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const text = await this.#ask("entryOf", checkId(id), { signal });
      return text === undefined ? undefined : fromPlainEntry(JSON.parse(text));
    });
  }

  /**
   * The vector with this id; `undefined` if there is none. With `cosine` its length is 1, with `hamming` its values are
   * 1 and -1.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Float32Array<ArrayBuffer> | undefined>}
   */
  vector(id, { signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#ask("vectorOf", checkId(id), { signal }));
  }

  /**
   * Lists `count` entries from `first` on, in the order in which they were added. By default these are all.
   *
   * @param {{ first?: number, count?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<GalleryEntry[]>}
   */
  entries({ first = 0, count = this.size, signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      checkWhole("first", first, 0, MOST_COUNT);
      checkWhole("count", count, 0, MOST_COUNT);
      return fromPlainEntries(await this.#ask("entriesFrom", { first, count }, { signal }));
    });
  }

  /**
   * The labels, and how many vectors have each. The label `null` stands for vectors without a label.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<{ label: string | null, count: number }[]>}
   */
  labels({ signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const counts = await this.#ask("labelCounts", undefined, { signal });
      return counts.map(([label, count]) => ({ label, count }));
    });
  }

  /**
   * Finds the nearest vectors, nearest first. Vectors that are equally near come in the order in which they were added.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` if an extractor made the feature whose model did not make the
   * gallery, or if the gallery does not know its model. So do the other searches.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[]>}
   */
  async search(feature, options) {
    const [hits] = await this.searchMany([feature], options);
    return hits;
  }

  /**
   * Searches for many vectors at once, which is many times faster than one `search` for each.
   *
   * @param {readonly Feature[] | Float32Array} features a `Float32Array` has them one after the other
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[][]>}
   */
  searchMany(features, { signal, anyModel, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const { dimension } = this;
      await this.#checkMaker(features instanceof Float32Array ? [features] : features, anyModel);
      const each = () => /** @type {readonly Feature[]} */ (features).map((feature) => ({ feature }));
      const vectors = features instanceof Float32Array ? features.slice() : toVectors(each(), dimension);
      if (vectors.length % dimension !== 0) {
        throw new ImageFeatureError("usage", `${vectors.length} values do not make vectors of ${dimension}`);
      }
      const request = { ...toSearch(search), vectors, dimension };
      const found = await this.#ask("searchVectors", request, { signal, transfer: [vectors.buffer] });
      return found.flatMap(hitsOf);
    });
  }

  /**
   * Searches as PP-ShiTu does: it gives the nearest vectors if the best of them reaches the threshold, else none. Without a
   * `threshold`, it is that of the gallery.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[]>}
   */
  recognize(feature, { signal, anyModel, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      await this.#checkMaker([feature], anyModel);
      const request = { ...toSearch(search), vector: toVector(feature, "the feature") };
      const [hits] = hitsOf(await this.#ask("recognizeVector", request, { signal }));
      return hits;
    });
  }

  /**
   * The labels of the nearest vectors, the most frequent first. Of equally frequent labels the one with the nearest
   * vector is first.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryVote[]>}
   */
  classify(feature, { signal, anyModel, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      await this.#checkMaker([feature], anyModel);
      const request = { ...toSearch(search), vector: toVector(feature, "the feature") };
      return this.#ask("classifyVector", request, { signal });
    });
  }

  /**
   * The nearest vectors by label, each label with the best and the mean score of its hits. The label of the nearest vector is
   * first. `k` counts vectors, not labels.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryClass[]>}
   */
  searchClasses(feature, { signal, anyModel, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      await this.#checkMaker([feature], anyModel);
      const request = { ...toSearch(search), vector: toVector(feature, "the feature") };
      return classesOf(await this.#ask("searchClasses", request, { signal }));
    });
  }

  /**
   * Finds the threshold for `recognize` from the gallery itself, and says how many errors each threshold makes.
   *
   * Each vector with a label is searched twice: without itself, as a new image of something known; and without all of its
   * label, as an image of something unknown. The gallery keeps the threshold, unless `keep` is `false`. Copies of one image
   * make the gallery look better than it is: look for `groups` first.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` if no label has two vectors, or if there are not two labels.
   *
   * @param {CalibrateOptions} [options]
   * @returns {Promise<Calibration>}
   */
  calibrate({ keep = true, signal, onProgress, ...options } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const tell = comparing(this.size, onProgress);
      const calibration = await this.#ask("calibrateVectors", toCalibration(options), { signal, onProgress: tell });
      if (keep) {
        const { threshold } = calibration;
        await this.#change("setThreshold", threshold, signal);
        this.#facts = { ...this.#facts, threshold };
      }
      return calibration;
    });
  }

  /**
   * Finds groups of vectors that are near each other: copies and variants of one image. Two vectors are in one group if they
   * are at least as near as `threshold`, or if others lead from one to the other. Takes little memory, however many are near.
   *
   * @param {GroupsOptions} options
   * @returns {Promise<GalleryGroup[]>}
   */
  groups({ threshold, signal, onProgress }) {
    return this.#turns.run(signal, async (signal) => {
      checkNumber("threshold", threshold);
      const tell = comparing(this.size, onProgress);
      return hitsOf(await this.#ask("groupVectors", threshold, { signal, onProgress: tell }));
    });
  }

  /**
   * Finds all pairs that are at least as near as `threshold`, in the order in which they were added.
   *
   * @param {{ threshold: number, signal?: AbortSignal }} options
   * @returns {Promise<GalleryPair[]>}
   */
  duplicates({ threshold, signal }) {
    return this.#turns.run(signal, async (signal) => {
      checkNumber("threshold", threshold);
      return pairsOf(await this.#ask("nearVectors", threshold, { signal }));
    });
  }

  /**
   * Measures how well the gallery answers queries: recall@k and mAP as PaddleClas computes them, scores by label, and
   * the worst queries.
   *
   * @param {EvaluateOptions} [options]
   * @returns {Promise<Evaluation>}
   */
  evaluate({ queries, recallAt = [1, 5], block = 64, worst = 20, nearest = 5, signal, anyModel } = {}) {
    return this.#turns.run(signal, async (signal) => {
      for (const k of recallAt) checkWhole("recallAt", k, 1, MOST_COUNT);
      checkWhole("block", block, 1, MOST_COUNT);
      checkWhole("worst", worst, 0, MOST_COUNT);
      checkWhole("nearest", nearest, 0, MOST_COUNT);
      await this.#checkMaker(
        (queries ?? []).map(({ feature }) => feature),
        anyModel,
      );
      const vectors = queries && toVectors(queries, this.dimension);
      const labels = (queries ?? []).map(({ label }) => checkText("the label of a query", label));
      // a query without an id gets an empty one, which no image has
      const ids = queries?.some(({ id }) => id !== undefined) ? queries.map(({ id = "" }) => id) : [];
      const request = { vectors, labels, ids, recallAt: [...recallAt], block, worst, nearest };
      const transfer = vectors ? [vectors.buffer] : [];
      return toEvaluation(await this.#ask("evaluateVectors", request, { signal, transfer }));
    });
  }

  /**
   * Saves the gallery in this browser. It replaces the one of this name that it was opened from or saved as before; if
   * saving fails, that one stays as it was.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` if another tab, or another `Gallery`, has saved under this name
   * since: what it saved is not replaced unless `replace` is set. Rejects with one of kind `limit` if the browser has
   * too little storage.
   *
   * @param {string} name
   * @param {{ replace?: boolean, signal?: AbortSignal }} [options] `replace`: replaces whatever is kept under the name
   * @returns {Promise<void>}
   */
  save(name, { replace = false, signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const file = await this.#ask("toGalleryFile", undefined, { signal });
      this.#kept.set(name, await keep(name, file, { replace, known: this.#kept.get(name), signal }));
    });
  }

  /**
   * Writes the gallery as one file: in its own format, or as JSON lines.
   *
   * @overload
   * @param {{ format?: "gallery" | "jsonl", name?: string, signal?: AbortSignal }} [options] `name`: of the file,
   *   without its ending
   * @returns {Promise<File>}
   */
  /**
   * Writes the gallery as two files: PaddleX's index folder, or a `.npy` file and the entries as JSON lines.
   *
   * @overload
   * @param {{ format: "paddlex" | "npy", name?: string, signal?: AbortSignal }} options
   * @returns {Promise<File[]>}
   */
  /**
   * @param {{ format?: "gallery" | "jsonl" | "paddlex" | "npy", name?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<File | File[]>}
   */
  toFile({ format = "gallery", name = "gallery", signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      checkOneOf("format", format, FORMATS);
      const file = (/** @type {Blob} */ blob, /** @type {string} */ called) =>
        new File([blob], called, { type: "application/octet-stream" });
      switch (format) {
        case "gallery":
          return file(await this.#ask("toGalleryFile", undefined, { signal }), `${name}.safetensors`);
        case "jsonl":
          return file(await this.#ask("toJsonLines", undefined, { signal }), `${name}.jsonl`);
        case "npy": {
          const { matrix, entries } = await this.#ask("toNpy", undefined, { signal });
          return [file(matrix, `${name}.npy`), file(entries, `${name}.jsonl`)];
        }
        case "paddlex": {
          const { vectors, labels } = await this.#ask("toPaddlex", undefined, { signal });
          return [file(vectors, VECTORS), file(labels, LABELS)];
        }
      }
    });
  }

  /** Stops all calls and frees the memory. A second call does nothing. */
  dispose() {
    this.#turns.end();
    this.#bridge?.close(disposed());
  }

  // in browsers without Symbol.dispose this is a method with the name "undefined", which does no harm
  [Symbol.dispose]() {
    this.dispose();
  }

  /**
   * @param {string} name
   * @param {import("./gallery-source.js").GallerySource} source
   * @param {Omit<GalleryFileOptions, "labels">} options
   */
  static async #read(name, source, { metric, dtype = "f32", model, signal, wasm, onRestart }) {
    const gallery = new Gallery({ dimension: 1, wasm, onRestart });
    gallery.#journal = new GalleryJournal({ source, metric, storage: dtype, model });
    try {
      await gallery.#start(signal);
    } catch (error) {
      throw toError(error, "internal", name);
    }
    return gallery;
  }

  /** @param {AbortSignal} [signal] */
  async #start(signal) {
    throwIfAborted(signal);
    requireSimd();
    const progress = { report() {}, finish() {} };
    const { folder, given } = this.#wasm;
    const stop = signal ?? new AbortController().signal;
    const compiled = await (given ? takeGiven(given) : compileAhead("gallery", { signal: stop, progress, folder }));
    throwIfAborted(signal);
    const request = { ...this.#journal.request, wasm: folder, compiled };
    try {
      return await this.#openWith(openWorker(), request, signal);
    } catch (error) {
      if (!isNotStarted(error)) throw error;
      console.debug(`image-feature: the gallery is held by the page's own thread: ${toError(error).message}`);
      this.#inWorker = false;
      return this.#openWith(await openGalleryHere(), request, signal);
    }
  }

  /**
   * @param {import("./bridge.js").Bridge<import("./gallery-session.js").GalleryMethods>} bridge
   * @param {import("./gallery-session.js").OpenGalleryRequest} request
   * @param {AbortSignal} [signal]
   */
  async #openWith(bridge, request, signal) {
    try {
      const opened = await bridge.request("openGallery", request, { signal });
      const { dimension, metric, storage, count, model, threshold } = opened;
      this.#facts = {
        dimension,
        metric,
        dtype: storage,
        size: count,
        model: model ?? null,
        threshold: threshold ?? null,
      };
      this.#bridge = bridge;
      return bridge;
    } catch (error) {
      bridge.close(toError(error));
      throw error;
    }
  }

  /**
   * Refuses features whose model did not make the gallery, and features for a gallery that does not know its model. An
   * empty gallery without a model takes any. Features that no extractor gave are the caller's responsibility.
   *
   * @param {Iterable<unknown>} features
   * @param {boolean} [anyModel]
   * @returns {Promise<ModelId | undefined>} their model, if it is known
   */
  async #checkMaker(features, anyModel = false) {
    if (anyModel) return undefined;
    const maker = await makerOf(features);
    const { model, size } = this.#facts;
    if (!maker || (model ? model.hash === maker.hash : size === 0)) return maker;
    throw new ImageFeatureError(
      "usage",
      model
        ? `the gallery was made by another model, ${nameOf(model)}, not by ${nameOf(maker)}: their features cannot be compared; load that model, or set \`anyModel\` if you know that both give the same`
        : `the gallery does not know which model made its vectors: if it was not ${nameOf(maker)}, scores mean nothing; if it was, call \`setModel(await extractor.modelId())\`, or set \`anyModel\``,
    );
  }

  /**
   * Asks the worker.
   *
   * @type {import("./bridge.js").Bridge<import("./gallery-session.js").GalleryMethods>["request"]}
   */
  async #ask(method, argument, options) {
    const bridge = await this.#connect(options?.signal);
    return bridge.request(method, argument, options);
  }

  /**
   * Makes a change in the worker, so that another worker can make it again.
   *
   * @template {import("./gallery-journal.js").ChangeMethod} Method
   * @param {Method} method
   * @param {import("./bridge.js").ArgumentOf<import("./gallery-session.js").GalleryMethods[Method]>} argument
   * @param {AbortSignal} signal
   */
  async #change(method, argument, signal) {
    const bridge = await this.#connect(signal);
    const value = await this.#journal.make(bridge, method, argument, signal);
    await this.#writeIfFull(bridge);
    return value;
  }

  /**
   * The bridge to the worker. The first call starts it; after a crash, another worker takes over what it held.
   *
   * @param {AbortSignal} [signal]
   */
  async #connect(signal) {
    const bridge = this.#bridge ?? (await this.#start(signal));
    // WebAssembly on the page's own thread cannot be started again; the closed bridge gives the reason with each call
    if (bridge.closed && this.#inWorker) return this.#restart(bridge, signal);
    await this.#writeIfFull(bridge);
    return bridge;
  }

  /**
   * Starts another worker with what the old one held. If that fails, the next call tries again.
   *
   * @param {import("./bridge.js").Bridge<import("./gallery-session.js").GalleryMethods>} old
   * @param {AbortSignal} [signal]
   */
  async #restart(old, signal) {
    const facts = this.#facts;
    try {
      const bridge = await this.#start(signal);
      await this.#journal.repeat(bridge, signal);
      this.#facts = facts;
      this.#onRestart?.({ size: facts.size });
      return bridge;
    } catch (error) {
      if (this.#bridge !== old) this.#bridge?.close(toError(error));
      this.#bridge = old;
      this.#facts = facts;
      if (signal?.aborted) throw error;
      const { kind, message } = toError(error);
      throw new ImageFeatureError(
        kind,
        `the gallery's worker ended, and its ${facts.size} vectors could not be given to another one: ${message}`,
        { cause: error },
      );
    }
  }

  /**
   * Writes the gallery to a file of the browser if too many changes are kept beside it. They stay if that fails.
   *
   * @param {import("./bridge.js").Bridge<import("./gallery-session.js").GalleryMethods>} bridge
   */
  async #writeIfFull(bridge) {
    if (!this.#journal.isFull) return;
    try {
      this.#journal.written(await bridge.request("toGalleryFile", undefined));
    } catch (error) {
      console.debug(`image-feature: the gallery's changes stay in memory: ${toError(error).message}`);
    }
  }
}

function disposed() {
  return new ImageFeatureError("usage", "this Gallery was disposed of; open it again");
}

/**
 * @param {unknown} metric
 * @param {unknown} dtype
 */
function checkForm(metric, dtype) {
  checkOneOf("metric", metric, METRICS);
  checkOneOf("dtype", dtype, DTYPES);
}
