/**
 * One gallery: what a worker holds of it.
 */

import { startGalleryCore } from "./core.js";
import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { RelayedProgress } from "./progress.js";

/**
 * @typedef {import("./wasm/gallery/image_feature.js").GalleryVectors} GalleryVectors
 * @typedef {import("./wasm/gallery/image_feature.js").Found} FoundVectors
 * @typedef {import("./bridge.js").Call} Call
 * @typedef {import("./gallery-source.js").GallerySource} GallerySource
 *
 * @typedef {{ source: GallerySource, metric?: string, storage: string, wasm?: string, compiled?: import("./protocol.js").Compiled }} OpenGalleryRequest
 * @typedef {{ dimension: number, metric: string, storage: string, count: number, simd: string }} GalleryFacts
 *
 * @typedef {{ k: number, threshold?: number, filter?: string }} SearchRequest `filter` is JSON
 * @typedef {{ vectors: Float32Array, dimension: number } & SearchRequest} SearchManyRequest
 * @typedef {{ vector: Float32Array } & SearchRequest} SearchOneRequest
 *
 * What a search found: entries as JSON, each once, and the hits as places among them.
 *
 * @typedef {{ entries: string, counts: Uint32Array, places: Uint32Array, scores: Float32Array }} Found
 *
 * @typedef {{ vectors?: Float32Array, labels: string[], ids: string[], recallAt: number[], block: number, worst: number, nearest: number }} EvaluateRequest
 */

/** Parts of a file that go to the browser together. */
const PART_BYTES = 8 * 2 ** 20;

/** Queries of one call into the WebAssembly: as many as keep an abort waiting no longer than a moment. */
const QUERIES_AT_ONCE = 512;

/** Files that are read as a whole are refused beyond this: they would not fit into WebAssembly's memory beside their vectors. */
const MOST_BYTES = 1.5 * 2 ** 30;

/** What a worker answers about a gallery. */
export function createGalleryHandlers() {
  /** @type {GalleryVectors | undefined} */
  let opened;
  const gallery = () => {
    if (!opened) throw new ImageFeatureError("internal", "no gallery is opened");
    return opened;
  };
  const count = () => ({ value: gallery().count });
  return {
    async openGallery(
      /** @type {OpenGalleryRequest} */ { source, metric, storage, wasm, compiled },
      /** @type {Call} */ { signal, onProgress },
    ) {
      const { GalleryVectors } = await startGalleryCore({
        signal,
        progress: new RelayedProgress(onProgress),
        folder: wasm,
        compiled,
      });
      throwIfAborted(signal);
      opened = await read(GalleryVectors, source, metric, storage);
      return { value: JSON.parse(opened.info()) };
    },

    async addVectors(/** @type {{ entries: string, vectors: Float32Array }} */ { entries, vectors }) {
      gallery().add(entries, vectors);
      return count();
    },

    /** What the change leaves out stays as it is. */
    async updateVector(/** @type {{ id: string, change: object, vector?: Float32Array }} */ { id, change, vector }) {
      const before = gallery().get(id);
      if (before === undefined) throw new ImageFeatureError("usage", `the gallery has no id \`${id}\``);
      gallery().update(JSON.stringify({ ...JSON.parse(before), ...change }), vector);
      return {};
    },

    /** All or none. */
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
      return { value: gallery().vector(id) };
    },

    async entriesFrom(/** @type {{ first: number, count: number }} */ { first, count }) {
      return { value: gallery().entries(first, count) };
    },

    async labelCounts() {
      return { value: JSON.parse(gallery().labels()) };
    },

    async searchVectors(
      /** @type {SearchManyRequest} */ { vectors, dimension, k, threshold, filter },
      /** @type {Call} */ { signal },
    ) {
      /** @type {Found[]} */
      const value = [];
      const step = QUERIES_AT_ONCE * dimension;
      for (let at = 0; at < vectors.length; at += step) {
        if (at > 0) await heard(signal);
        value.push(found(gallery().search(vectors.subarray(at, at + step), k, threshold, filter)));
      }
      return { value };
    },

    async recognizeVector(/** @type {SearchOneRequest} */ { vector, k, threshold, filter }) {
      return { value: found(gallery().recognize(vector, k, threshold, filter)) };
    },

    async classifyVector(/** @type {SearchOneRequest} */ { vector, k, threshold, filter }) {
      return { value: JSON.parse(gallery().classify(vector, k, threshold, filter)) };
    },

    async nearVectors(/** @type {number} */ threshold) {
      return { value: found(gallery().duplicates(threshold)) };
    },

    async evaluateVectors(/** @type {EvaluateRequest} */ { vectors, labels, ids, recallAt, block, worst, nearest }) {
      return {
        value: JSON.parse(gallery().evaluate(vectors, labels, ids, Uint32Array.from(recallAt), block, worst, nearest)),
      };
    },

    async toGalleryFile() {
      return { value: gathered((take) => gallery().write(take)) };
    },

    async toJsonLines() {
      return { value: gathered((take) => gallery().writeJsonLines(take)) };
    },

    /** The vectors' matrix, and the entries as JSON lines. */
    async toNpy() {
      const entries = /** @type {object[]} */ (JSON.parse(gallery().entries(0, gallery().count)));
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
      return { value: { matrix: gathered((take) => gallery().writeNpy(take)), entries: new Blob(lines) } };
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
 * @param {typeof import("./wasm/gallery/image_feature.js").GalleryVectors} Vectors
 * @param {GallerySource} source
 * @param {string | undefined} metric
 * @param {string} storage
 */
async function read(Vectors, source, metric, storage) {
  switch (source.form) {
    case "empty":
      return new Vectors(source.dimension, metric ?? "cosine", storage);
    case "gallery":
      return Vectors.fromFile(source.file);
    case "jsonl":
      return Vectors.fromJsonLines(source.file, metric ?? "cosine", storage);
    case "npy":
      return Vectors.fromNpy(await bytesOf(source.file), source.entries, metric ?? "cosine", storage);
    case "paddlex":
      return Vectors.fromPaddlex(await bytesOf(source.vectors), await bytesOf(source.labels), metric, storage);
  }
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

/** Lets an abort be heard. @param {AbortSignal} signal */
async function heard(signal) {
  await new Promise((resolve) => setTimeout(resolve));
  throwIfAborted(signal);
}

/**
 * What is written, as a Blob that the browser keeps where it likes: never more than a part of it is in our memory.
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
