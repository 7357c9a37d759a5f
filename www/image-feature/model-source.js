/**
 * Reads the caller's model files into memory.
 */

import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { download, nameOf } from "./model-download.js";
import { namedModel, notAtHand } from "./model-names.js";
import { listEntries, sha256Of } from "./model-store.js";
import { ownModel } from "./package-files.js";
import { absolute } from "./platform.js";

/**
 * The source of a model:
 *
 * - `"default"`: the model that comes with the package, 4.6 MB
 * - `"tiny"`: a smaller one that comes with it, 1.4 MB: quicker and less exact
 * - the address of an archive or of a single file
 * - a file, or its bytes
 * - the loose files of an exported model: `inference.json` or `inference.pdmodel`, `inference.pdiparams`,
 *   `inference.yml`
 *
 * @typedef {"default" | "tiny" | (string & {}) | URL | Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | File[]} ModelSource
 *
 * A file, the way to its bytes, an address, or the name of a file that this browser may keep.
 *
 * @typedef {{ name: string, blob: Blob } | { name: string, bytes: () => Promise<Uint8Array<ArrayBuffer>> }
 *   | import("./model-download.js").Source | { kept: string }} ModelPart
 * @typedef {{ parts: ModelPart[], cache: "default" | "none", sha256?: string }} ModelRequest
 * @typedef {{ name: string, bytes: Uint8Array<ArrayBuffer>, address?: string }} ModelBytes a file, and where it was
 *   downloaded from
 */

/** Larger files are refused before they are read: they would not fit into WebAssembly's memory. */
const MAX_BYTES = 1.5 * 2 ** 30;

/**
 * @param {ModelSource} source
 * @returns {ModelPart[]}
 */
export function toModelParts(source) {
  const own = typeof source === "string" ? ownModel(source) : undefined;
  if (own) return [own];
  const named = typeof source === "string" ? namedModel(source) : undefined;
  if (named) return [named.address ? { address: named.address } : { kept: named.file }];
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
    const address = "kept" in part ? await addressOfKept(part.kept) : part.address;
    const onProgress = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) => {
      checkSize(address, Math.max(loaded, total ?? 0));
      progress.report("download", address, loaded, total);
    };
    const bytes = await download({ ...part, address }, { cache, sha256, signal, onProgress });
    return { name: nameOf(address), bytes, address };
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
 * The address from which a file was downloaded that this browser keeps.
 *
 * @param {string} file
 */
async function addressOfKept(file) {
  const found = (await listEntries()).find(({ name }) => name === file);
  if (!found) throw notAtHand(file);
  return found.address;
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
  const actual = await sha256Of(bytes);
  if (actual !== expected.toLowerCase()) {
    throw new ImageFeatureError(
      "model",
      `${address ?? name}: its sha256 is ${actual}, expected ${expected}; is it the right file, and complete?`,
    );
  }
}
