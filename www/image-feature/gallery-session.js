/**
 * One gallery, as a worker holds it.
 */

import { startGalleryCore } from "./core.js";
import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { nameOf } from "./makers.js";
import { readable } from "./memory-blob.js";
import { readMessages } from "./messages.js";
import { RelayedProgress } from "./progress.js";

/**
 * @typedef {import("./wasm/gallery/image_feature.js").GalleryVectors} GalleryVectors
 * @typedef {import("./wasm/gallery/image_feature.js").Found} FoundVectors
 * @typedef {import("./gallery-source.js").GallerySource} GallerySource
 * @typedef {import("./gallery-types.js").Metric} Metric
 * @typedef {import("./gallery-types.js").Calibration} Calibration
 * @typedef {import("./gallery-types.js").GalleryDtype} GalleryDtype
 * @typedef {import("./gallery-types.js").GalleryVote} GalleryVote
 * @typedef {import("./gallery-messages.js").PlainChange} PlainChange
 * @typedef {import("./gallery-messages.js").PlainEvaluation} PlainEvaluation
 *
 * @typedef {object} OpenGalleryRequest
 * @property {GallerySource} source
 * @property {Metric} [metric]
 * @property {GalleryDtype} storage
 * @property {ModelId} [model] the model that made the vectors, if the source does not say it
 * @property {string} [wasm]
 * @property {import("./protocol.js").Compiled} [compiled]
 *
 * @typedef {import("./makers.js").ModelId} ModelId
 * @typedef {{ dimension: number, metric: Metric, storage: GalleryDtype, count: number, simd: string, model: ModelId |
 *   null, threshold: number | null }} GalleryFacts
 *
 * @typedef {{ k: number, threshold?: number, filter?: string }} SearchRequest `filter` is JSON
 * @typedef {{ vectors: Float32Array, dimension: number } & SearchRequest} SearchManyRequest
 * @typedef {{ vector: Float32Array } & SearchRequest} SearchOneRequest
 * @typedef {{ maxFalseAccepts?: number, queries: number, points: number }} CalibrateRequest
 */

/**
 * The result of a search: the entries as JSON, each once, and the hits as places among them. `counts` has the number of
 * hits of each query.
 *
 * @typedef {{ entries: string, counts: Uint32Array, places: Uint32Array, scores: Float32Array }} Found
 */

/**
 * @typedef {object} EvaluateRequest
 * @property {Float32Array} [vectors] of the queries; without them, each labelled image of the gallery is a query
 * @property {string[]} labels
 * @property {string[]} ids
 * @property {number[]} recallAt
 * @property {number} block
 * @property {number} worst
 * @property {number} nearest
 */

/**
 * @template [Progress=never]
 * @typedef {import("./bridge.js").Call<Progress>} Call
 */

/** @typedef {ReturnType<typeof createGalleryHandlers>} GalleryMethods */

/** Size of the parts of a file that are given to the browser. */
const PART_BYTES = 8 * 2 ** 20;

/** Queries of one call into the WebAssembly. Between two calls an abort is noticed. */
const QUERIES_AT_ONCE = 512;

/**
 * Larger files are refused, if they are read as a whole: they do not fit into WebAssembly's memory beside their
 * vectors.
 */
const MOST_BYTES = 1.5 * 2 ** 30;

/** The handlers of a worker for one gallery. */
export function createGalleryHandlers() {
  /** @type {GalleryVectors | undefined} */
  let opened;
  /** @type {typeof import("./wasm/gallery/image_feature.js") | undefined} */
  let core;
  const gallery = () => {
    if (!opened) throw new ImageFeatureError("internal", "no gallery is opened");
    return opened;
  };
  const count = () => ({ value: gallery().count });
  return {
    async openGallery(
      /** @type {OpenGalleryRequest} */ { source, metric, storage, model, wasm, compiled },
      /** @type {Call<import("./progress.js").RelayedMessage>} */ { signal, onProgress },
    ) {
      core = await startGalleryCore({
        signal,
        progress: new RelayedProgress(onProgress),
        folder: wasm,
        compiled,
      });
      throwIfAborted(signal);
      opened = await read(core.GalleryVectors, source, metric, storage);
      if (model) complete(opened, model);
      return { value: factsOf(opened) };
    },

    /** Adds vectors. `model` made the first ones of a gallery. */
    async addVectors(
      /** @type {{ entries: string, vectors: Float32Array, model?: ModelId }} */ { entries, vectors, model },
    ) {
      gallery().add(entries, vectors);
      if (model) gallery().setModel(model.name, model.hash);
      return count();
    },

    async setModel(/** @type {ModelId | null} */ model) {
      gallery().setModel(model?.name, model?.hash);
      return {};
    },

    async setThreshold(/** @type {number | null} */ threshold) {
      gallery().setThreshold(threshold ?? undefined);
      return {};
    },

    /** Changes an entry. Properties that are not in the change stay as they are. */
    async updateVector(
      /** @type {{ id: string, change: PlainChange, vector?: Float32Array }} */ { id, change, vector },
    ) {
      const before = gallery().get(id);
      if (before === undefined) throw new ImageFeatureError("usage", `the gallery has no id \`${id}\``);
      gallery().update(JSON.stringify({ ...JSON.parse(before), ...change }), vector);
      return {};
    },

    /** Removes all of these vectors, or none. */
    async removeVectors(/** @type {string[]} */ ids) {
      const missing = ids.find((id) => gallery().get(id) === undefined);
      if (missing !== undefined) throw new ImageFeatureError("usage", `the gallery has no id \`${missing}\``);
      for (const id of new Set(ids)) gallery().remove(id);
      return count();
    },

    async entryOf(/** @type {string} */ id) {
      return { value: gallery().get(id) };
    },

    async vectorOf(/** @type {string} */ id) {
      return { value: /** @type {Float32Array<ArrayBuffer> | undefined} */ (gallery().vector(id)) };
    },

    async entriesFrom(/** @type {{ first: number, count: number }} */ { first, count }) {
      return { value: gallery().entries(first, count) };
    },

    async labelCounts() {
      return { value: /** @type {[label: string | null, count: number][]} */ (JSON.parse(gallery().labels())) };
    },

    async searchVectors(
      /** @type {SearchManyRequest} */ { vectors, dimension, k, threshold, filter },
      /** @type {Call} */ { signal },
    ) {
      /** @type {Found[]} */
      const value = [];
      const step = QUERIES_AT_ONCE * dimension;
      for (let at = 0; at < vectors.length; at += step) {
        if (at > 0) await readMessages(signal);
        value.push(found(gallery().search(vectors.subarray(at, at + step), k, threshold, filter)));
      }
      return { value };
    },

    async recognizeVector(/** @type {SearchOneRequest} */ { vector, k, threshold, filter }) {
      return { value: found(gallery().recognize(vector, k, threshold, filter)) };
    },

    async classifyVector(/** @type {SearchOneRequest} */ { vector, k, threshold, filter }) {
      return { value: /** @type {GalleryVote[]} */ (JSON.parse(gallery().classify(vector, k, threshold, filter))) };
    },

    async searchClasses(/** @type {SearchOneRequest} */ { vector, k, threshold, filter }) {
      return { value: found(gallery().searchClasses(vector, k, threshold, filter)) };
    },

    async calibrateVectors(
      /** @type {CalibrateRequest} */ { maxFalseAccepts, queries, points },
      /** @type {Call<number>} */ call,
    ) {
      const { GalleryCalibrating } = /** @type {NonNullable<typeof core>} */ (core);
      const work = new GalleryCalibrating(gallery(), maxFalseAccepts, queries, points);
      return await inSteps(work, gallery(), call, () => /** @type {Calibration} */ (JSON.parse(work.calibration())));
    },

    async groupVectors(/** @type {number} */ threshold, /** @type {Call<number>} */ call) {
      const { GalleryGrouping } = /** @type {NonNullable<typeof core>} */ (core);
      const work = new GalleryGrouping(gallery(), threshold);
      return await inSteps(work, gallery(), call, () => found(work.groups(gallery())));
    },

    async nearVectors(/** @type {number} */ threshold) {
      return { value: found(gallery().duplicates(threshold)) };
    },

    async evaluateVectors(/** @type {EvaluateRequest} */ { vectors, labels, ids, recallAt, block, worst, nearest }) {
      const ks = Uint32Array.from(recallAt);
      const report = gallery().evaluate(vectors, labels, ids, ks, block, worst, nearest);
      return { value: /** @type {PlainEvaluation} */ (JSON.parse(report)) };
    },

    async toGalleryFile() {
      return { value: gathered((take) => gallery().write(take)) };
    },

    async toJsonLines() {
      return { value: gathered((take) => gallery().writeJsonLines(take)) };
    },

    /** The vectors' matrix, and the entries as JSON lines. */
    async toNpy() {
      const entries = gathered((take) => gallery().writeEntries(take));
      return { value: { matrix: gathered((take) => gallery().writeNpy(take)), entries } };
    },

    async toPaddlex() {
      const index = gallery().toPaddlex();
      const { vectors, labels } = index;
      index.free();
      return {
        value: { vectors: new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (vectors)]), labels: new Blob([labels]) },
      };
    },
  };
}

/**
 * Does work step by step, tells the share that is done, and notices an abort between two steps.
 *
 * @template Value
 * @param {{ advance: (gallery: GalleryVectors) => number, free: () => void }} work
 * @param {GalleryVectors} gallery
 * @param {Call<number>} call
 * @param {() => Value} finish
 */
async function inSteps(work, gallery, { signal, onProgress }, finish) {
  try {
    let share = 0;
    while (share < 1) {
      share = work.advance(gallery);
      onProgress(share);
      await readMessages(signal);
    }
    return { value: finish() };
  } finally {
    work.free();
  }
}

/**
 * @param {typeof import("./wasm/gallery/image_feature.js").GalleryVectors} Vectors
 * @param {GallerySource} source
 * @param {Metric | undefined} metric
 * @param {GalleryDtype} storage
 */
async function read(Vectors, source, metric, storage) {
  switch (source.form) {
    case "empty":
      return new Vectors(source.dimension, metric ?? "cosine", storage);
    case "gallery":
      return Vectors.fromFile(await readable(source.file));
    case "jsonl":
      return Vectors.fromJsonLines(await readable(source.file), metric ?? "cosine", storage);
    case "npy": {
      const { name, file } = source.beside ?? { name: "" };
      const beside = file && (await bytesOf(file));
      return Vectors.fromNpy(await bytesOf(source.file), name, beside, metric ?? "cosine", storage);
    }
    case "npz":
      return Vectors.fromNpz(await bytesOf(source.file), metric ?? "cosine", storage);
    case "paddlex": {
      const { name, file } = source.labels ?? { name: "" };
      const labels = file && (await bytesOf(file));
      return Vectors.fromPaddlex(await bytesOf(source.vectors), name, labels, metric, storage);
    }
  }
}

/** @param {GalleryVectors} gallery @returns {GalleryFacts} */
function factsOf(gallery) {
  return JSON.parse(gallery.info());
}

/**
 * Writes down the model of a gallery that does not know it.
 *
 * @param {GalleryVectors} gallery
 * @param {ModelId} model
 */
function complete(gallery, model) {
  const { model: stated } = factsOf(gallery);
  if (stated && stated.hash !== model.hash) {
    throw new ImageFeatureError(
      "usage",
      `the file says that ${nameOf(stated)} made its vectors, not ${nameOf(model)}; leave \`model\` out`,
    );
  }
  gallery.setModel(model.name, model.hash);
}

/** @param {Blob} file */
async function bytesOf(file) {
  if (file.size > MOST_BYTES)
    throw new ImageFeatureError("limit", `a file of ${file.size} bytes; at most ${MOST_BYTES} are read in the browser`);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new ImageFeatureError(
      "io",
      "the file can no longer be read: it was moved or changed; drop or pick it again",
      { cause: error },
    );
  }
}

/**
 * @param {FoundVectors} from
 * @returns {Found}
 */
function found(from) {
  const { entries, counts, places, scores } = from;
  from.free();
  return { entries, counts, places, scores };
}

/**
 * A Blob of what is written. It is given to the browser part by part, so that no more than a part is in memory here.
 *
 * @param {(take: (bytes: Uint8Array<ArrayBuffer>) => void) => void} write
 */
function gathered(write) {
  /** @type {Blob[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let pending = [];
  let bytes = 0;
  const pack = () => {
    parts.push(new Blob(pending));
    [pending, bytes] = [[], 0];
  };
  write((piece) => {
    pending.push(piece);
    bytes += piece.length;
    if (bytes >= PART_BYTES) pack();
  });
  pack();
  return new Blob(parts, { type: "application/octet-stream" });
}
