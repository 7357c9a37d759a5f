/** The addresses of the package's own files: its WebAssembly, and the models that come with it. */

import { ImageFeatureError } from "./errors.js";

/**
 * The WebAssembly of a core: its address, or the way to its module.
 *
 * @typedef {{ address: string } | { module: () => Promise<WebAssembly.Module> }} WasmFile
 */

/** Written out one by one, so that bundlers find the files. */
const WASM = {
  cpu: () => new URL("./wasm/cpu/image_feature_bg.wasm", import.meta.url),
  "cpu-relaxed": () => new URL("./wasm/cpu-relaxed/image_feature_bg.wasm", import.meta.url),
  "cpu-threads": () => new URL("./wasm/cpu-threads/image_feature_bg.wasm", import.meta.url),
  "cpu-threads-relaxed": () => new URL("./wasm/cpu-threads-relaxed/image_feature_bg.wasm", import.meta.url),
  gpu: () => new URL("./wasm/gpu/image_feature_bg.wasm", import.meta.url),
  dataset: () => new URL("./wasm/dataset/image_feature_bg.wasm", import.meta.url),
  gallery: () => new URL("./wasm/gallery/image_feature_bg.wasm", import.meta.url),
};

/** The models that come with the package, by name. */
const MODELS = {
  default: () => new URL("./models/default.safetensors", import.meta.url),
  tiny: () => new URL("./models/tiny.safetensors", import.meta.url),
};

const MARK = "wasm/cpu/image_feature_bg.wasm";

/** The folder that `configure` was given. @type {string | undefined} */
let chosen;

/** @param {string | undefined} folder an address that ends with a slash */
export function chooseFolder(folder) {
  chosen = folder;
}

/**
 * The folder of the package's files: the caller's choice, or else the one that this script comes from. `undefined` if a
 * bundler has moved the files.
 */
export function packageFolder() {
  if (chosen) return { folder: chosen, chosen: true };
  const address = whole(WASM.cpu());
  return { folder: address.endsWith(MARK) ? address.slice(0, -MARK.length) : undefined, chosen: false };
}

/**
 * What to do if a file of the package is not there; empty if the caller chose where it is.
 */
export function adviceForMissing() {
  if (chosen) return "";
  return "; are all files of the package served? A bundler that leaves them out, such as esbuild or Rollup, needs them copied and configure({ files }), or import image-feature/inline";
}

/** Whether the package has this core. */
export const hasCore = (/** @type {import("./protocol.js").Kind} */ kind) => kind in WASM;

/**
 * @param {import("./protocol.js").Kind} kind
 * @param {string} [folder] of the WebAssembly, if it is not beside the package
 * @returns {WasmFile}
 */
export function wasmFile(kind, folder) {
  const inside = `${kind}/image_feature_bg.wasm`;
  if (folder) return { address: new URL(inside, folder).href };
  return { address: chosen ? new URL(`wasm/${inside}`, chosen).href : whole(WASM[kind]()) };
}

/**
 * A model that comes with the package; `undefined` if none of this name does.
 *
 * @param {string} name
 * @returns {import("./model-source.js").ModelPart | undefined}
 */
export function ownModel(name) {
  if (!Object.hasOwn(MODELS, name)) return undefined;
  if (chosen) return { address: new URL(`models/${name}.safetensors`, chosen).href, own: true };
  const address = whole(MODELS[/** @type {keyof typeof MODELS} */ (name)]());
  return { address, advice: adviceForMissing(), own: true };
}

/**
 * A whole address. Some bundlers (Next.js) give a path, in an object that is no `URL`.
 *
 * @param {URL} made
 */
function whole(made) {
  const { document, location } = /** @type {{ document?: Document, location?: Location }} */ (globalThis);
  // in a worker that was made from a Blob, paths are relative to its site
  const base = document?.baseURI ?? (location?.protocol === "blob:" ? location.origin : location?.href);
  try {
    return new URL(String(made), base).href;
  } catch (error) {
    throw new ImageFeatureError("internal", `the bundler gave no address for a file of the package: ${made}`, {
      cause: error,
    });
  }
}
