/**
 * In place of `package-files.js`, for Cloudflare's workerd: it compiles no WebAssembly while it runs, so the cores are
 * imported as modules. The models are inside of scripts.
 */

import { ImageFeatureError } from "./errors.js";
import { ownModel } from "./package-files-inline.js";
import cpu from "./wasm/cpu/image_feature_bg.wasm";
import gallery from "./wasm/gallery/image_feature_bg.wasm";

/** workerd gives modules. */
const CORES = /** @type {Record<string, WebAssembly.Module>} */ (/** @type {unknown} */ ({ cpu, gallery }));

export { ownModel };

export function chooseFolder() {
  throw new ImageFeatureError("usage", "in workerd the package imports its files: there is no folder to choose");
}

/** @type {typeof import("./package-files.js").packageFolder} */
export const packageFolder = () => ({ folder: undefined, chosen: false });

export const adviceForMissing = () => "";

/** @type {typeof import("./package-files.js").hasCore} */
export const hasCore = (kind) => Object.hasOwn(CORES, kind);

/** @type {typeof import("./package-files.js").wasmFile} */
export function wasmFile(kind) {
  if (!hasCore(kind)) throw new ImageFeatureError("unsupported", `in workerd the package has no \`${kind}\` core`);
  return { module: async () => CORES[kind] };
}
