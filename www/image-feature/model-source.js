/**
 * Reads the caller's model files into memory.
 */

import { ImageFeatureError, cancelled, throwIfAborted } from "./errors.js";
import { fetchChecked, readBody } from "./loader.js";
import { ownModel } from "./package-files.js";
import { absolute } from "./platform.js";

/**
 * The source of a model:
 *
 * - `"default"`: the small model that comes with the package
 * - the address of an archive or of a single file
 * - a file, or its bytes
 * - the loose files of an exported model: `inference.json` or `inference.pdmodel`, `inference.pdiparams`,
 *   `inference.yml`
 *
 * @typedef {"default" | (string & {}) | URL | Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | File[]} ModelSource
 *
 * @typedef {{ name: string, blob: Blob } | { name: string, bytes: () => Promise<Uint8Array<ArrayBuffer>> } | { address:
 *   string, advice?: string }} ModelPart `advice`: what to do if its server has no such file
 * @typedef {{ parts: ModelPart[], cache: "default" | "none", sha256?: string }} ModelRequest
 * @typedef {{ name: string, bytes: Uint8Array<ArrayBuffer>, address?: string }} ModelBytes a file, and where it was
 *   downloaded from
 */

/** Larger files are refused before they are read: they would not fit into WebAssembly's memory. */
const MAX_BYTES = 1.5 * 2 ** 30;

const OFFICIAL =
  "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2/PP-ShiTuV2_rec_infer.tar";

/**
 * @param {ModelSource} source
 * @returns {ModelPart[]}
 */
export function toModelParts(source) {
  const own = typeof source === "string" ? ownModel(source) : undefined;
  if (own) return [own];
  if (source === "PP-ShiTuV2_rec") {
    throw new ImageFeatureError(
      "unsupported",
      `${source} does not come with the package: give the official archive, ${OFFICIAL}, as a file or from your own server`,
    );
  }
  if (typeof source === "string" || source instanceof URL) {
    return [{ address: toAddress(source) }];
  }
  if (source instanceof Blob) return [fromBlob(source)];
  // a Blob is a copy: the caller may change or transfer the buffer, and a restart needs the bytes again
  if (source instanceof ArrayBuffer || source instanceof Uint8Array)
    return [{ name: "model", blob: new Blob([source]) }];
  if (Array.isArray(source) && source.length > 0 && source.every((file) => file instanceof File)) {
    return source.map(fromBlob);
  }
  throw new ImageFeatureError("usage", "a model is an address, a File or Blob, its bytes, or an array of Files");
}

/**
 * @param {Blob} blob
 * @returns {{ name: string, blob: Blob }}
 */
function fromBlob(blob) {
  return { name: blob instanceof File ? blob.name : "model", blob };
}

/** @param {string | URL} address */
function toAddress(address) {
  try {
    return absolute(address);
  } catch (error) {
    throw new ImageFeatureError("usage", `not an address: ${address}`, { cause: error });
  }
}

/**
 * Reads a model's files, and fetches them if they are addresses. Checks the sha256, if one is given.
 *
 * @param {ModelRequest} request
 * @param {AbortSignal} signal
 * @param {import("./progress.js").Progress} progress
 * @returns {Promise<ModelBytes[]>}
 */
export async function readModel({ parts, cache, sha256 }, signal, progress) {
  const read = async (/** @type {ModelPart} */ part) => {
    if ("bytes" in part) return { name: part.name, bytes: await part.bytes() };
    if ("blob" in part) return readBlob(part.name, part.blob, progress);
    return download(part, cache, signal, progress);
  };
  const files = await Promise.all(parts.map(read));
  progress.finish("download");
  if (sha256) await verify(files[0], sha256);
  progress.finish("verify");
  throwIfAborted(signal);
  return files;
}

/**
 * @param {string} name
 * @param {Blob} blob
 * @param {import("./progress.js").Progress} progress
 * @returns {Promise<ModelBytes>}
 */
async function readBlob(name, blob, progress) {
  checkSize(name, blob.size);
  try {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    progress.report("download", name, blob.size, blob.size);
    return { name, bytes };
  } catch (error) {
    throw new ImageFeatureError("io", `${name}: could not be read; was it moved or changed?`, { cause: error });
  }
}

/**
 * @param {{ address: string, advice?: string }} part
 * @param {"default" | "none"} cache
 * @param {AbortSignal} signal
 * @param {import("./progress.js").Progress} progress
 * @returns {Promise<ModelBytes>}
 */
async function download({ address, advice }, cache, signal, progress) {
  const response = await fetchChecked(address, { signal, cache: cache === "none" ? "no-store" : "default", advice });
  const name = decodeURIComponent(new URL(address).pathname.split("/").pop() || "model");
  try {
    const bytes = await readBody(response, (loaded, total) => {
      checkSize(address, Math.max(loaded, total ?? 0));
      progress.report("download", address, loaded, total);
    });
    return { name, bytes, address };
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    if (error instanceof ImageFeatureError) throw error;
    throw new ImageFeatureError("io", `${address}: the download broke off`, { cause: error });
  }
}

/**
 * @param {string} name
 * @param {number} size
 */
function checkSize(name, size) {
  if (size <= MAX_BYTES) return;
  throw new ImageFeatureError(
    "limit",
    `${name}: larger than ${MAX_BYTES / 2 ** 30} GiB, too large for a model in the browser`,
  );
}

/**
 * @param {ModelBytes} file
 * @param {string} expected
 */
async function verify({ name, bytes, address }, expected) {
  if (!globalThis.crypto?.subtle) {
    throw new ImageFeatureError(
      "unsupported",
      "sha256 can only be checked on a secure page: serve it over https, or from localhost",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const actual = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (actual !== expected.toLowerCase()) {
    throw new ImageFeatureError(
      "model",
      `${address ?? name}: its sha256 is ${actual}, expected ${expected}; is it the right file, and complete?`,
    );
  }
}
