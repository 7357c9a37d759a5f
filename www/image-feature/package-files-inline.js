/**
 * In place of `package-files.js`, for `image-feature/inline`: the small cores and the models are inside of scripts, as
 * gzipped bytes in base64. `scripts/bundle.mjs` makes these scripts.
 */

import { ImageFeatureError } from "./errors.js";

/** @typedef {() => Promise<{ default: string }>} Packed */

/** @type {Record<string, Packed>} */
const CORES = {
  // @ts-expect-error made by the bundling
  cpu: () => import("./inline/cpu.js"),
  // @ts-expect-error made by the bundling
  gallery: () => import("./inline/gallery.js"),
};

/** @type {Record<string, Packed>} */
const MODELS = {
  // @ts-expect-error made by the bundling
  default: () => import("./inline/default.js"),
  // @ts-expect-error made by the bundling
  tiny: () => import("./inline/tiny.js"),
};

export function chooseFolder() {
  throw new ImageFeatureError("usage", "image-feature/inline has its files inside: there is no folder to choose");
}

/** @type {typeof import("./package-files.js").packageFolder} */
export const packageFolder = () => ({ folder: undefined, chosen: false });

export const adviceForMissing = () => "";

/** @type {typeof import("./package-files.js").hasCore} */
export const hasCore = (kind) => Object.hasOwn(CORES, kind);

/** @type {typeof import("./package-files.js").wasmFile} */
export function wasmFile(kind, folder) {
  if (folder) return { address: new URL(`${kind}/image_feature_bg.wasm`, folder).href };
  if (!hasCore(kind)) {
    throw new ImageFeatureError("unsupported", `image-feature/inline has no \`${kind}\` core; import image-feature`);
  }
  return { module: async () => WebAssembly.compile(await unpacked(CORES[kind])) };
}

/** @type {typeof import("./package-files.js").ownModel} */
export function ownModel(name) {
  if (!Object.hasOwn(MODELS, name)) return undefined;
  return { name: `${name}.safetensors`, bytes: () => unpacked(MODELS[name]) };
}

/**
 * @param {Packed} load
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function unpacked(load) {
  const { default: text } = await load();
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
