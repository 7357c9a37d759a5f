import { ImageFeatureError } from "./errors.js";
import { deleteEntries, listEntries } from "./model-store.js";

/** @typedef {import("./model-store.js").KeptModel} KeptModel */

/**
 * The models that this browser keeps for this site, so that they are not downloaded again. `FeatureExtractor.load` keeps
 * each model that it downloads, unless its option `cache` is `"none"`.
 */
export const models = Object.freeze({
  /**
   * Lists the kept models, the newest first.
   *
   * @returns {Promise<KeptModel[]>}
   */
  async list() {
    return (await listEntries()).map(({ name, address, bytes, sha256, saved }) => ({
      name,
      address,
      bytes,
      sha256,
      saved,
    }));
  },

  /**
   * The number of bytes of all kept models.
   *
   * @returns {Promise<number>}
   */
  async size() {
    const sizes = new Map((await listEntries()).map(({ sha256, bytes }) => [sha256, bytes]));
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  },

  /**
   * Deletes kept models. Resolves with `false` if there was none.
   *
   * @param {string | URL} model the name of its file, its address or its sha256
   * @returns {Promise<boolean>}
   */
  async delete(model) {
    if (typeof model !== "string" && !(model instanceof URL)) {
      throw new ImageFeatureError("usage", `a kept model has a name, an address and a sha256, got ${String(model)}`);
    }
    const meant = String(model);
    return deleteEntries(({ name, address, sha256 }) => [name, address, sha256].includes(meant));
  },

  /**
   * Asks the browser never to drop what this site keeps, models and galleries. It may ask the user. Resolves with
   * whether it agrees.
   *
   * @returns {Promise<boolean>}
   */
  async persist() {
    return (await globalThis.navigator?.storage?.persist?.()) ?? false;
  },
});
