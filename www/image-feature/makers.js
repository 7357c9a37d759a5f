/**
 * Which model made a feature. Features of two models cannot be compared, and a feature itself does not show its model.
 *
 * Only the arrays that an extractor gave out are known; copies of them are not.
 */

import { ImageFeatureError } from "./errors.js";

/**
 * Identifies a model: its name, and a hash (BLAKE3) of its network, preprocessing and weights. The same weights have
 * the same hash in every file format.
 *
 * @typedef {{ name: string, hash: string }} ModelId
 */

/** For each feature, the function that identifies its model. @type {WeakMap<object, () => Promise<ModelId>>} */
const makers = new WeakMap();

/**
 * Notes who made a feature.
 *
 * @param {Float32Array} feature
 * @param {() => Promise<ModelId>} identify
 */
export function setMaker(feature, identify) {
  makers.set(feature, identify);
}

/**
 * The model that made these features; `undefined` if it is not known of any.
 *
 * Rejects with an `ImageFeatureError` of kind `usage` if two models made them.
 *
 * @param {Iterable<unknown>} features
 * @returns {Promise<ModelId | undefined>}
 */
export async function makerOf(features) {
  const asked = new Set();
  for (const feature of features) {
    const identify = makers.get(Object(feature));
    if (identify) asked.add(identify);
  }
  const [first, ...others] = await Promise.all([...asked].map((identify) => identify()));
  const other = others.find(({ hash }) => hash !== first.hash);
  if (other) {
    throw new ImageFeatureError(
      "usage",
      `these features are of two models, ${nameOf(first)} and ${nameOf(other)}: they cannot be compared`,
    );
  }
  return first;
}

/**
 * The name and the start of the hash, which distinguishes models of the same name.
 *
 * @param {ModelId} model
 */
export function nameOf({ name, hash }) {
  return `${name} (${hash.slice(0, 8)})`;
}
