/** Features as files: PaddleX's result JSON and `.npy`. */

import { toNpy } from "./npy.js";

/** @typedef {{ name: string, feature: Float32Array<ArrayBuffer> }} Result */

/**
 * The JSON that PaddleX 3 writes for an image.
 *
 * @param {Result} result
 */
function toRecord({ name, feature }) {
  return { input_path: name, page_index: null, feature: [...feature] };
}

/** @param {Result} result */
export function toJsonText(result) {
  return JSON.stringify(toRecord(result), null, 4);
}

/** @param {Result} result */
export function downloadJson(result) {
  download(`${stem(result.name)}_res.json`, new Blob([toJsonText(result)], { type: "application/json" }));
}

/** @param {Result} result */
export function downloadNpy(result) {
  download(`${stem(result.name)}.npy`, toNpy([result.feature], false));
}

/** @param {Result[]} results */
export function downloadAllJson(results) {
  download("features.json", new Blob([JSON.stringify(results.map(toRecord), null, 1)], { type: "application/json" }));
}

/** @param {Result[]} results */
export function downloadAllNpy(results) {
  download(
    "features.npy",
    toNpy(
      results.map(({ feature }) => feature),
      true,
    ),
  );
}

/** @param {string} name */
function stem(name) {
  return name.replace(/^.*\//, "").replace(/\.[^.]+$/, "") || "image";
}

/**
 * @param {string} name
 * @param {Blob} blob
 */
export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // by then the browser has opened the address
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
