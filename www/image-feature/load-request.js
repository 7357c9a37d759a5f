/**
 * The options of loading a model, checked, as the request that a connection takes. A module of its own, so that the types of the
 * classes do not lead to those of the connection.
 */

import { checkOneOf, checkWhole } from "./checks.js";
import { toWasm } from "./compile.js";
import { ImageFeatureError } from "./errors.js";
import { toModelParts } from "./model-source.js";

/**
 * @typedef {import("./model-source.js").ModelSource} ModelSource
 * @typedef {import("./extractor.js").LoadOptions} LoadOptions
 */

const DEVICES = /** @type {const} */ (["auto", "webgpu", "cpu"]);
const BACKENDS = /** @type {const} */ (["plan", "burn"]);
const ORIENTATIONS = /** @type {const} */ (["opencv", "exif", "none"]);
const CACHES = /** @type {const} */ (["default", "none"]);
export const DTYPES = /** @type {const} */ (["f32", "f16", "i8"]);
const MAX_THREADS = 64;

/**
 * Where to compute.
 *
 * @param {boolean} [worker]
 * @returns {import("./connection.js").Thread}
 */
export function toThread(worker) {
  if (worker === undefined) return "any";
  return worker ? "worker" : "page";
}

/**
 * The request that loads a model, with checked options.
 *
 * @param {ModelSource} source
 * @param {LoadOptions} options
 * @returns {import("./connection.js").ConnectionRequest}
 */
export function toLoadRequest(
  source,
  { device = "auto", backend, dtype, orientation, threads, cache = "default", sha256, wasm },
) {
  checkOneOf("device", device, DEVICES);
  if (backend !== undefined) checkOneOf("backend", backend, BACKENDS);
  if (dtype !== undefined) checkOneOf("dtype", dtype, DTYPES);
  if (orientation !== undefined) checkOneOf("orientation", orientation, ORIENTATIONS);
  if (threads !== undefined) checkWhole("threads", threads, 1, MAX_THREADS);
  checkOneOf("cache", cache, CACHES);
  const parts = toModelParts(source);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new ImageFeatureError("usage", "sha256 must be 64 hexadecimal digits");
  }
  if (sha256 !== undefined && parts.length > 1) {
    throw new ImageFeatureError("usage", "sha256 is of one file; put the loose files into an archive to check them");
  }
  const { folder, given } = toWasm(wasm);
  return { parts, device, backend, threads, dtype, orientation, cache, sha256, wasm: folder, given };
}
