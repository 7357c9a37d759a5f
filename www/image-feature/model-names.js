/** Models that have a name and do not come with the package. Their files are the official archives. */

import { ImageFeatureError } from "./errors.js";

const OFFICIAL = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2/";

const NAMES = ["PP-ShiTuV2_rec", "PP-ShiTuV2_rec_CLIP_vit_base", "PP-ShiTuV2_rec_CLIP_vit_large"];

/** The folder that `configure` was given. @type {string | undefined} */
let folder;

/** @param {string} address that ends with a slash */
export function chooseModels(address) {
  folder = address;
}

/**
 * The file of a model with this name, and its address if there is a folder of models; `undefined` for other texts.
 *
 * @param {string} name
 * @returns {{ file: string, address?: string } | undefined}
 */
export function namedModel(name) {
  if (!NAMES.includes(name)) return undefined;
  const file = `${name}_infer.tar`;
  return { file, address: folder && new URL(file, folder).href };
}

/** @param {string} file */
export function notAtHand(file) {
  const name = file.replace("_infer.tar", "");
  return new ImageFeatureError(
    "unsupported",
    `${name} does not come with the package: put ${file} (from ${OFFICIAL}${file}) into a folder of your site, and call configure({ models: "/that-folder/" }); or give the file or its address to \`load\``,
  );
}
