import { ImageFeatureError } from "./errors.js";
import { chooseModels } from "./model-names.js";
import { chooseFolder } from "./package-files.js";
import { absolute } from "./platform.js";

/**
 * Settings for all that is loaded later.
 *
 * @typedef {object} Configuration
 * @property {string | URL} [files] the folder with a copy of the package's files (`worker.js`, `wasm/`, `models/`), for
 *   bundlers that do not find them, such as esbuild and Rollup
 * @property {string | URL} [models] the folder with the models that are loaded by their names: it has
 *   `PP-ShiTuV2_rec_infer.tar` for `load("PP-ShiTuV2_rec")`
 */

/**
 * Changes settings.
 *
 * Throws an `ImageFeatureError` of kind `usage` for a value that is no address.
 *
 * @param {Configuration} configuration
 */
export function configure({ files, models }) {
  if (files !== undefined) chooseFolder(toFolder("files", files));
  if (models !== undefined) chooseModels(toFolder("models", models));
}

/**
 * @param {string} name
 * @param {string | URL} address
 */
function toFolder(name, address) {
  try {
    return absolute(`${address}`.replace(/\/*$/, "/"));
  } catch (error) {
    throw new ImageFeatureError("usage", `${name} is not an address: ${address}`, { cause: error });
  }
}
