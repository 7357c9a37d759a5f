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

/** For each feature, its model. @type {WeakMap<object, Maker>} */
const makers = new WeakMap();

/** A model, which is identified when somebody asks. Features hold it, and it holds no extractor once it is identified. */
export class Maker {
  /** @type {(() => Promise<ModelId>) | undefined} */
  #ask;
  /** @type {Promise<ModelId> | undefined} */
  #id;

  /** @param {() => Promise<ModelId>} ask */
  constructor(ask) {
    this.#ask = ask;
  }

  /** @returns {Promise<ModelId>} */
  identify() {
    this.#id ??= this.#asked();
    return this.#id;
  }

  async #asked() {
    try {
      const id = await /** @type {() => Promise<ModelId>} */ (this.#ask)();
      this.#ask = undefined;
      return id;
    } catch (error) {
      // it may be asked again, after a crash
      this.#id = undefined;
      throw error;
    }
  }
}

/**
 * Notes who made a feature.
 *
 * @param {Float32Array} feature
 * @param {Maker} maker
 */
export function setMaker(feature, maker) {
  makers.set(feature, maker);
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
  /** @type {Set<Maker>} */
  const asked = new Set();
  for (const feature of features) {
    const maker = makers.get(Object(feature));
    if (maker) asked.add(maker);
  }
  const [first, ...others] = await Promise.all([...asked].map((maker) => maker.identify()));
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
