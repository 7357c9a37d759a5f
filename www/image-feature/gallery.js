/// <reference lib="esnext.disposable" preserve="true" />

import { openWorker } from "./connection.js";
import { compileAhead, wasmFolder } from "./core.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { LABELS, VECTORS, toGallerySource } from "./gallery-source.js";
import { forget, keep, listKept, withKept } from "./gallery-store.js";
import { requireSimd } from "./loader.js";
import { Turns } from "./turns.js";

/**
 * How two vectors are compared: by the cosine of their angle, by the sum of their values' products (`ip`), by the square of
 * their distance (`l2`), or by the number of values that differ in whether they are above zero (`hamming`). Of the
 * latter two less is nearer.
 *
 * @typedef {"cosine" | "ip" | "l2" | "hamming"} Metric
 *
 * What a search reads of each value. Hits and scores are those of `f32` with all but `bit`, which with cosine may miss one in a thousand.
 * `hamming` takes `bit` and nothing else.
 *
 * @typedef {"f32" | "f16" | "i8" | "bit"} GalleryDtype
 *
 * @typedef {ArrayLike<number>} Feature a `Float32Array`, or other numbers
 *
 * What is known of a vector: its id, of which a gallery has no two, its label, and anything else that JSON can hold.
 *
 * @typedef {{ id: string, label?: string, meta?: Record<string, unknown> }} GalleryEntry
 * @typedef {GalleryEntry & { feature: Feature }} NewGalleryEntry
 * @typedef {{ id: string, label?: string | null, meta?: Record<string, unknown>, feature?: Feature }} GalleryChange what is left out
 *   stays as it is; a label of `null` is taken away
 *
 * @typedef {GalleryEntry & { score: number }} GalleryHit
 * @typedef {{ first: GalleryEntry, second: GalleryEntry, score: number }} GalleryPair
 * @typedef {{ label: string, count: number, best: number }} GalleryVote how many of the nearest have a label, and the score of the best
 *
 * Which entries take part: those with this label or one of these, and whose metadata has these values. A value stands for
 * itself, a list for one of its items, `{ min, max }` for a number between.
 *
 * @typedef {{ label?: string | readonly string[], meta?: Record<string, unknown> }} GalleryFilter
 */

/**
 * @typedef {object} GalleryOptions
 * @property {number} dimension values of a vector
 * @property {Metric} [metric] `cosine` by default
 * @property {GalleryDtype} [dtype] `f32` by default
 * @property {string | URL} [wasm] the folder that holds `gallery/`, where it is not beside the package
 */

/**
 * @typedef {object} GalleryFileOptions
 * @property {Metric} [metric] of vectors whose file says none: by default what PaddleX's index says, else `cosine`
 * @property {GalleryDtype} [dtype] of vectors whose file says none; `f32` by default
 * @property {readonly string[]} [labels] of a `.npy` file's rows
 * @property {AbortSignal} [signal]
 * @property {string | URL} [wasm]
 */

/**
 * @typedef {object} SearchOptions
 * @property {number} [k] hits at most; 10 by default
 * @property {number} [threshold] the least score, or where less is nearer the largest
 * @property {GalleryFilter} [filter]
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {{ feature: Feature, label: string, id?: string }} GalleryQuery
 *
 * @typedef {object} EvaluateOptions
 * @property {readonly GalleryQuery[]} [queries] what is asked. An image of the gallery with a query's `id` is left out for it.
 *   Without queries, each labelled image of the gallery asks for the others.
 * @property {readonly number[]} [recallAt] the k of recall@k; 1 and 5 by default
 * @property {number} [block] queries that PaddleClas takes at once, on which its numbers depend; 64 by default
 * @property {number} [worst] how many of the worst queries are told; 20 by default
 * @property {number} [nearest] how many of the images nearest to each; 5 by default
 * @property {AbortSignal} [signal]
 *
 * @typedef {{ recall: Record<number, number | null>, mAP: number | null }} EvaluationScores `null` where it is no number, as without a query that
 *   has an image of its label
 */

/**
 * How well a gallery answers.
 *
 * - `scores`: as PaddleClas computes them, block by block; `overall`: over all queries that have an image of their label
 * - `withoutMatch`: queries that have none
 * - `worst`: queries by their average precision, lowest first; `query` is the place among the queries, `entry` the gallery's
 *   own image where that was asked, `first` at which place, from 1, the first right image is
 * - `confusions`: labels whose nearest image is of another, most frequent first
 * - `evaluateResult`: the text of PaddleX's `evaluate_result.json`
 *
 * @typedef {{
 *   scores: EvaluationScores, overall: EvaluationScores, queries: number, images: number, withoutMatch: number,
 *   classes: { label: string, queries: number, images: number, recall1: number | null, mAP: number | null }[],
 *   worst: { query: number, entry?: GalleryEntry, label: string, averagePrecision: number, first: number, nearest: GalleryHit[] }[],
 *   confusions: { label: string, takenFor: string | null, count: number }[],
 *   evaluateResult: string,
 * }} Evaluation
 */

const METRICS = new Set(["cosine", "ip", "l2", "hamming"]);
const DTYPES = new Set(["f32", "f16", "i8", "bit"]);
const MOST_DIMENSION = 65535;
const DEFAULT_K = 10;

/**
 * Vectors kept under an id with a label and metadata, searched exactly, saved in this browser or as a file. A worker holds them
 * and does all work; calls wait for each other.
 */
export class Gallery {
  #request;
  #facts;
  #turns = new Turns(disposed);
  /** @type {import("./bridge.js").Bridge | undefined} */
  #bridge;

  /**
   * An empty gallery.
   *
   * @param {GalleryOptions} options
   */
  constructor({ dimension, metric = "cosine", dtype = "f32", wasm }) {
    checkWhole("dimension", dimension, 1, MOST_DIMENSION);
    checkForm(metric, dtype);
    this.#request = /** @type {import("./gallery-session.js").OpenGalleryRequest} */ ({
      source: { form: "empty", dimension },
      metric,
      storage: dtype,
      wasm: wasmFolder(wasm),
    });
    this.#facts = { dimension, metric, dtype, size: 0 };
  }

  /**
   * Opens a gallery that this browser keeps.
   *
   * Rejects with an `ImageFeatureError` of kind `usage` where there is none of this name, `gallery` where it is damaged.
   *
   * @param {string} name
   * @param {{ signal?: AbortSignal, wasm?: string | URL }} [options]
   * @returns {Promise<Gallery>}
   */
  static open(name, { signal, wasm } = {}) {
    return withKept(name, signal, (file) => Gallery.#read(name, { form: "gallery", file }, { signal, wasm }));
  }

  /**
   * Reads a gallery from a file: one of its own, PaddleX's index folder (`vector.index` and `id_map.yaml` together), a `.npy` file
   * (with `labels`, or beside it a `.txt` of a label a line or a `.jsonl` of entries), or `.jsonl`.
   *
   * Rejects with an `ImageFeatureError` of kind `gallery` for a damaged file, `unsupported` for one that is not read, `io` where it
   * cannot be read.
   *
   * @param {import("./dataset-source.js").DatasetInput} input
   * @param {GalleryFileOptions} [options]
   * @returns {Promise<Gallery>}
   */
  static async fromFile(input, { labels, ...options } = {}) {
    checkForm(options.metric ?? "cosine", options.dtype ?? "f32");
    const { name, source } = await toGallerySource(input, { labels, signal: options.signal });
    return Gallery.#read(name, source, options);
  }

  /**
   * The galleries that this browser keeps for this site.
   *
   * @returns {Promise<import("./gallery-store.js").KeptGallery[]>}
   */
  static list() {
    return listKept();
  }

  /**
   * Deletes a gallery that this browser keeps; whether there was one.
   *
   * @param {string} name
   * @param {{ signal?: AbortSignal }} [options] stops waiting for other tabs
   * @returns {Promise<boolean>}
   */
  static delete(name, { signal } = {}) {
    return forget(name, signal);
  }

  /** Values of a vector. */
  get dimension() {
    return this.#facts.dimension;
  }

  /** How vectors are compared. */
  get metric() {
    return this.#facts.metric;
  }

  /** What a search reads. */
  get dtype() {
    return this.#facts.dtype;
  }

  /** Number of vectors, as of the last change that is done. */
  get size() {
    return this.#facts.size;
  }

  /**
   * Adds a vector. Rejects with an `ImageFeatureError` of kind `usage` where the id is there already, or the feature has another
   * dimension, holds NaN, or is all zeros with cosine.
   *
   * @param {NewGalleryEntry} entry
   * @param {{ signal?: AbortSignal }} [options]
   */
  add(entry, options) {
    return this.addMany([entry], undefined, options);
  }

  /**
   * Adds vectors, all of them or none. Where `features` is given, it has one after the other; else each entry has its own.
   *
   * @param {readonly (GalleryEntry & { feature?: Feature })[]} entries
   * @param {Float32Array} [features]
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  addMany(entries, features, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const vectors = features === undefined ? this.#joined(entries) : Float32Array.from(features);
      const request = { entries: toJson(entries.map(toEntry)), vectors };
      const size = await this.#ask("addVectors", request, { signal, transfer: [vectors.buffer] });
      this.#facts = { ...this.#facts, size };
    });
  }

  /**
   * Changes what is known of a vector, or the vector.
   *
   * @param {GalleryChange} change
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  update({ id, label, meta, feature }, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      if (label !== null && label !== undefined) checkText(`id \`${id}\`: the label`, label);
      // through JSON, which leaves out what is not given, and refuses here what cannot be kept
      const plain = JSON.parse(toJson({ label, metadata: meta }));
      await this.#ask(
        "updateVector",
        { id: checkId(id), change: plain, vector: feature && toVector(feature, `id \`${id}\``) },
        { signal },
      );
    });
  }

  /**
   * Takes vectors out, all of these or none.
   *
   * @param {string | readonly string[]} ids
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  remove(ids, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const all = typeof ids === "string" ? [ids] : Array.from(ids, checkId);
      const size = await this.#ask("removeVectors", all, { signal });
      this.#facts = { ...this.#facts, size };
    });
  }

  /**
   * The entry of an id, where there is one.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<GalleryEntry | undefined>}
   */
  get(id, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const text = await this.#ask("entryOf", checkId(id), { signal });
      return text === undefined ? undefined : fromEntry(JSON.parse(text));
    });
  }

  /**
   * The vector of an id, where there is one: of length 1 where the metric is cosine, of 1 and -1 where it is Hamming.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Float32Array<ArrayBuffer> | undefined>}
   */
  vector(id, { signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#ask("vectorOf", checkId(id), { signal }));
  }

  /**
   * Entries in the order in which they were added.
   *
   * @param {{ first?: number, count?: number, signal?: AbortSignal }} [options] all, where nothing else is said
   * @returns {Promise<GalleryEntry[]>}
   */
  entries({ first = 0, count = this.size, signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      checkWhole("first", first, 0);
      checkWhole("count", count, 0);
      const text = await this.#ask("entriesFrom", { first, count }, { signal });
      return JSON.parse(text).map(fromEntry);
    });
  }

  /**
   * The labels, and how many vectors have each; `null` stands for none.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<{ label: string | null, count: number }[]>}
   */
  labels({ signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const counts = await this.#ask("labelCounts", undefined, { signal });
      return counts.map((/** @type {[string | null, number]} */ [label, count]) => ({ label, count }));
    });
  }

  /**
   * The nearest vectors, nearest first; equally near ones in the order in which they were added.
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
   * The same for many: in a fraction of the time that one search each takes.
   *
   * @param {readonly Feature[] | Float32Array} features one after the other in the latter
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[][]>}
   */
  searchMany(features, { signal, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const vectors =
        features instanceof Float32Array ? features.slice() : this.#joined(features.map((feature) => ({ feature })));
      const { dimension } = this;
      if (vectors.length % dimension !== 0)
        throw new ImageFeatureError("usage", `${vectors.length} values do not make vectors of ${dimension}`);
      const found = await this.#ask(
        "searchVectors",
        { ...toSearch(search), vectors, dimension },
        { signal, transfer: [vectors.buffer] },
      );
      return found.flatMap(hitsOf);
    });
  }

  /**
   * What PP-ShiTu recognises: the nearest vectors, all of them or none. The threshold is for the best alone.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[]>}
   */
  recognize(feature, { signal, ...search } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const found = await this.#ask(
        "recognizeVector",
        { ...toSearch(search), vector: toVector(feature, "the feature") },
        { signal },
      );
      return hitsOf(found)[0];
    });
  }

  /**
   * The labels of the nearest vectors: the one that most of them have first, of equally many the one with the nearest.
   *
   * @param {Feature} feature
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryVote[]>}
   */
  classify(feature, { signal, ...search } = {}) {
    return this.#turns.run(signal, (signal) =>
      this.#ask("classifyVector", { ...toSearch(search), vector: toVector(feature, "the feature") }, { signal }),
    );
  }

  /**
   * All pairs that are as near each other as `threshold` says, in the order in which they were added.
   *
   * @param {{ threshold: number, signal?: AbortSignal }} options
   * @returns {Promise<GalleryPair[]>}
   */
  duplicates({ threshold, signal }) {
    return this.#turns.run(signal, async (signal) => {
      if (typeof threshold !== "number" || Number.isNaN(threshold))
        throw new ImageFeatureError("usage", `threshold must be a number, got ${threshold}`);
      /** @type {import("./gallery-session.js").Found} */
      const { entries, places, scores } = await this.#ask("nearVectors", threshold, { signal });
      /** @type {GalleryEntry[]} */
      const known = JSON.parse(entries).map(fromEntry);
      return Array.from(scores, (score, at) => ({
        first: known[places[2 * at]],
        second: known[places[2 * at + 1]],
        score,
      }));
    });
  }

  /**
   * How well the gallery answers queries: recall@k and mAP as PaddleClas computes them, by class, and the worst queries.
   *
   * @param {EvaluateOptions} [options]
   * @returns {Promise<Evaluation>}
   */
  evaluate({ queries, recallAt = [1, 5], block = 64, worst = 20, nearest = 5, signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      for (const k of recallAt) checkWhole("recallAt", k, 1);
      checkWhole("block", block, 1);
      checkWhole("worst", worst, 0);
      checkWhole("nearest", nearest, 0);
      const vectors = queries && this.#joined(queries);
      const labels = (queries ?? []).map(({ label }) => checkText("the label of a query", label));
      // no image has the id of what has none
      const ids = queries?.some(({ id }) => id !== undefined) ? queries.map(({ id = "" }) => id) : [];
      const request = { vectors, labels, ids, recallAt: [...recallAt], block, worst, nearest };
      return toEvaluation(
        await this.#ask("evaluateVectors", request, { signal, transfer: vectors ? [vectors.buffer] : [] }),
      );
    });
  }

  /**
   * Keeps the gallery in this browser, in place of the one of this name. Where that fails, that one stays as it was.
   *
   * Rejects with an `ImageFeatureError` of kind `limit` where the browser has no room for it.
   *
   * @param {string} name
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<void>}
   */
  save(name, { signal } = {}) {
    return this.#turns.run(signal, async (signal) => {
      const file = await this.#ask("toGalleryFile", undefined, { signal });
      await keep(name, file, signal);
    });
  }

  /**
   * The gallery as a file: its own form, or JSON lines.
   *
   * @overload
   * @param {{ format?: "gallery" | "jsonl", name?: string, signal?: AbortSignal }} [options] `name`: without ending
   * @returns {Promise<File>}
   */
  /**
   * The gallery as files that belong together: PaddleX's index folder, or a `.npy` file and the entries as JSON lines.
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
        default:
          throw new ImageFeatureError("usage", `unknown format "${format}"; known are gallery, jsonl, npy and paddlex`);
      }
    });
  }

  /** Stops everything under way and gives the memory back. Calling it again does nothing. */
  dispose() {
    this.#turns.end();
    this.#bridge?.close(disposed());
  }

  // without Symbol.dispose in the browser this is a method that nobody calls
  [Symbol.dispose]() {
    this.dispose();
  }

  /**
   * @param {string} name
   * @param {import("./gallery-source.js").GallerySource} source
   * @param {Omit<GalleryFileOptions, "labels">} options
   */
  static async #read(name, source, { metric, dtype = "f32", signal, wasm }) {
    const gallery = new Gallery({ dimension: 1, wasm });
    gallery.#request = { ...gallery.#request, source, metric, storage: dtype };
    try {
      await gallery.#start(signal);
    } catch (error) {
      throw toError(error, "internal", name);
    }
    // the file's bytes are in the worker; what was read is not read again
    gallery.#request = { ...gallery.#request, source: { form: "empty", dimension: gallery.dimension } };
    return gallery;
  }

  /** @param {AbortSignal} [signal] */
  async #start(signal) {
    throwIfAborted(signal);
    requireSimd();
    const progress = { report() {}, finish() {} };
    const { wasm } = this.#request;
    const compiled = await compileAhead("gallery", {
      signal: signal ?? new AbortController().signal,
      progress,
      folder: wasm,
    });
    throwIfAborted(signal);
    const bridge = openWorker();
    try {
      /** @type {import("./gallery-session.js").GalleryFacts} */
      const { dimension, metric, storage, count } = await bridge.request(
        "openGallery",
        { ...this.#request, compiled },
        { signal },
      );
      this.#facts = {
        dimension,
        metric: /** @type {Metric} */ (metric),
        dtype: /** @type {GalleryDtype} */ (storage),
        size: count,
      };
      this.#bridge = bridge;
    } catch (error) {
      bridge.close(toError(error));
      throw error;
    }
  }

  /**
   * Asks the worker, which is started with the first call. After a crash there is no other: what it held is gone.
   *
   * @param {string} method
   * @param {unknown} argument
   * @param {{ signal: AbortSignal, transfer?: Transferable[] }} options
   * @returns {Promise<any>}
   */
  async #ask(method, argument, options) {
    if (!this.#bridge) await this.#start(options.signal);
    const bridge = /** @type {import("./bridge.js").Bridge} */ (this.#bridge);
    return bridge.request(method, argument, options);
  }

  /**
   * Features one after the other.
   *
   * @param {readonly { id?: string, feature?: Feature }[]} all
   */
  #joined(all) {
    const { dimension } = this;
    const vectors = new Float32Array(all.length * dimension);
    all.forEach(({ id, feature }, at) => {
      const place = id === undefined ? `feature ${at}` : `id \`${id}\``;
      const vector = toVector(feature, place);
      if (vector.length !== dimension)
        throw new ImageFeatureError(
          "usage",
          `${place}: a vector of ${vector.length} values; the gallery's have ${dimension}`,
        );
      vectors.set(vector, at * dimension);
    });
    return vectors;
  }
}

function disposed() {
  return new ImageFeatureError("usage", "this Gallery was disposed of; open it again");
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {number} least
 * @param {number} [most]
 */
function checkWhole(name, value, least, most = 2 ** 32 - 1) {
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return;
  throw new ImageFeatureError("usage", `${name} must be a whole number from ${least} to ${most}, got ${value}`);
}

/** @param {unknown} metric @param {unknown} dtype */
function checkForm(metric, dtype) {
  if (!METRICS.has(String(metric)))
    throw new ImageFeatureError("usage", `unknown metric "${metric}"; known are ${[...METRICS].join(", ")}`);
  if (!DTYPES.has(String(dtype)))
    throw new ImageFeatureError("usage", `unknown dtype "${dtype}"; known are ${[...DTYPES].join(", ")}`);
}

/** @param {string} what @param {unknown} value */
function checkText(what, value) {
  if (typeof value === "string") return value;
  throw new ImageFeatureError("usage", `${what} must be a text, got ${value}`);
}

/** @param {unknown} id */
function checkId(id) {
  return checkText("an id", id);
}

/**
 * @param {Feature | undefined} feature
 * @param {string} place
 */
function toVector(feature, place) {
  if (feature instanceof Float32Array) return feature;
  if (feature && typeof feature === "object" && typeof feature.length === "number") return Float32Array.from(feature);
  throw new ImageFeatureError("usage", `${place}: a feature is a Float32Array or an array of numbers`);
}

/**
 * An entry as the file has it.
 *
 * @param {GalleryEntry} entry
 */
function toEntry({ id, label, meta }) {
  checkId(id);
  if (label !== undefined && label !== null) checkText(`id \`${id}\`: the label`, label);
  return { id, label: label ?? undefined, metadata: meta ?? undefined };
}

/**
 * @param {{ id: string, label?: string, metadata?: Record<string, unknown> }} entry
 * @returns {GalleryEntry}
 */
function fromEntry({ id, label, metadata }) {
  return { id, ...(label !== undefined && { label }), ...(metadata !== undefined && { meta: metadata }) };
}

/** @param {unknown} value */
function toJson(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw toError(error, "usage", "metadata must be what JSON can hold");
  }
}

/**
 * @param {Omit<SearchOptions, "signal">} options
 * @returns {import("./gallery-session.js").SearchRequest}
 */
function toSearch({ k = DEFAULT_K, threshold, filter }) {
  checkWhole("k", k, 0);
  if (threshold !== undefined && (typeof threshold !== "number" || Number.isNaN(threshold)))
    throw new ImageFeatureError("usage", `threshold must be a number, got ${threshold}`);
  if (filter === undefined) return { k, threshold };
  const { meta, ...rest } = filter;
  return { k, threshold, filter: toJson({ ...rest, metadata: meta }) };
}

/**
 * @param {import("./gallery-session.js").Found} found
 * @returns {GalleryHit[][]}
 */
function hitsOf({ entries, counts, places, scores }) {
  /** @type {GalleryEntry[]} */
  const known = JSON.parse(entries).map(fromEntry);
  let at = 0;
  return Array.from(counts, (count) =>
    Array.from({ length: count }, () => ({ ...known[places[at]], score: scores[at++] })),
  );
}

/**
 * @param {any} report
 * @returns {Evaluation}
 */
function toEvaluation({ scores, overall, worst, entries, ...rest }) {
  /** @type {GalleryEntry[]} */
  const known = entries.map(fromEntry);
  const byK = (/** @type {{ recall: [number, number | null][], mAP: number | null }} */ { recall, mAP }) => ({
    recall: Object.fromEntries(recall),
    mAP,
  });
  return {
    ...rest,
    scores: byK(scores),
    overall: byK(overall),
    worst: worst.map((/** @type {any} */ { entry, nearest, ...one }) => ({
      ...one,
      ...(entry !== null && { entry: known[entry] }),
      nearest: nearest.map((/** @type {[number, number]} */ [place, score]) => ({ ...known[place], score })),
    })),
  };
}
