/**
 * In place of `package-files.js`, in the worker of `image-feature/inline`: the page has the files, and sends the
 * compiled cores.
 */

import { ImageFeatureError } from "./errors.js";

/** @type {typeof import("./package-files.js").chooseFolder} */
export const chooseFolder = () => {};

/** @type {typeof import("./package-files.js").packageFolder} */
export const packageFolder = () => ({ folder: undefined, chosen: false });

export const adviceForMissing = () => "";

/** @type {typeof import("./package-files.js").hasCore} */
export const hasCore = (kind) => kind === "cpu" || kind === "gallery";

/** @type {typeof import("./package-files.js").wasmFile} */
export function wasmFile(kind, folder) {
  if (folder) return { address: new URL(`${kind}/image_feature_bg.wasm`, folder).href };
  throw new ImageFeatureError("internal", `the page did not send the \`${kind}\` core`);
}

/** @type {typeof import("./package-files.js").ownModel} */
export const ownModel = () => undefined;
