/** What the map shows: the pictures of a collection, and their places. */

import { ImageFeatureError } from "../image-feature/index.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").Gallery} Gallery
 * @typedef {{ entries: GalleryEntry[], places: Float32Array }} MapData
 */

/** Number of entries that are asked for at a time. */
const PAGE = 1000;

/**
 * Reads the vectors of a collection, and places them in a worker.
 *
 * @param {Gallery} gallery
 * @param {AbortSignal} signal
 * @returns {Promise<MapData>}
 */
export async function mapOf(gallery, signal) {
  /** @type {GalleryEntry[]} */
  const entries = [];
  for (let first = 0; first < gallery.size; first += PAGE)
    entries.push(...(await gallery.entries({ first, count: PAGE })));
  const [file] = [await gallery.toFile({ format: "npy", signal })].flat();
  const places = await placed(await matrixOf(file), gallery.dimension, signal);
  return { entries, places };
}

/** The numbers of a `.npy` file of 32-bit floats. @param {File} file */
async function matrixOf(file) {
  const bytes = await file.arrayBuffer();
  const start = 10 + new DataView(bytes).getUint16(8, true);
  return new Float32Array(bytes.slice(start));
}

/**
 * @param {Float32Array<ArrayBuffer>} matrix
 * @param {number} dimension
 * @param {AbortSignal} signal
 * @returns {Promise<Float32Array>}
 */
function placed(matrix, dimension, signal) {
  const worker = new Worker(new URL("./map-worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    const end = () => worker.terminate();
    signal.addEventListener("abort", () => {
      end();
      reject(signal.reason);
    });
    worker.addEventListener("message", ({ data }) => {
      end();
      resolve(data);
    });
    worker.addEventListener("error", ({ message }) => {
      end();
      reject(new ImageFeatureError("internal", `the map could not be computed: ${message}`));
    });
    worker.postMessage({ matrix, dimension }, [matrix.buffer]);
  });
}
