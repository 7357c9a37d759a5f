/**
 * The sample gallery: photos that come with the page. It answers as the package's `Gallery` does, from memory, so that a
 * first visitor waits for no further WebAssembly. It has the events:
 *
 * - `content`: the pictures are known, or more of them have vectors
 */

import { Gallery, ImageFeatureError } from "../image-feature/index.js";
import { cosine } from "./similarity.js";
import { keepVectors, keptVectors } from "./sample-store.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").GalleryHit} GalleryHit
 * @typedef {import("../image-feature/index.js").GalleryPair} GalleryPair
 * @typedef {import("../image-feature/index.js").SearchOptions} SearchOptions
 *
 * @typedef {GalleryEntry & { meta: { sample: string, size: [width: number, height: number] } }} SampleEntry
 */

const FOLDER = new URL("./sample/", import.meta.url);

/** While vectors arrive, the page hears of them this often at most. */
const TELL_MS = 100;

/** @param {string} file of the sample */
export function sampleAddress(file) {
  return new URL(file, FOLDER).href;
}

class SampleGallery extends EventTarget {
  metric = /** @type {const} */ ("cosine");
  dtype = /** @type {const} */ ("f32");
  /** How long computing the vectors took; 0 if they are of an earlier visit. */
  milliseconds = 0;
  /** Whether vectors are being computed. */
  busy = false;
  /** @type {SampleEntry[]} */
  #entries = [];
  /** @type {(Float32Array<ArrayBuffer> | undefined)[]} */
  #vectors = [];
  /** The hash of the model that made the vectors. */
  #maker = "";
  /** @type {Promise<void> | undefined} */
  #opening;
  /** @type {Promise<Gallery> | undefined} */
  #whole;

  get size() {
    return this.#entries.length;
  }

  get dimension() {
    return this.#vectors.find(Boolean)?.length ?? 0;
  }

  /** How many pictures have a vector. */
  get done() {
    return this.#vectors.reduce((sum, vector) => sum + (vector ? 1 : 0), 0);
  }

  get complete() {
    return this.size > 0 && this.done === this.size;
  }

  /** Reads the list of pictures, and the vectors of an earlier visit. A second call does nothing. */
  open() {
    return (this.#opening ??= this.#open());
  }

  async #open() {
    const [response, kept] = await Promise.all([fetch(sampleAddress("index.json")), keptVectors()]);
    if (!response.ok) throw new ImageFeatureError("io", `the sample gallery could not be read: ${response.statusText}`);
    const pictures = /** @type {{ file: string, label: string, size: [number, number] }[]} */ (await response.json());
    this.#entries = pictures.map(({ file, label, size }) => ({ id: file, label, meta: { sample: file, size } }));
    this.#vectors = this.#entries.map(() => undefined);
    if (kept && kept.vectors.length === this.size) [this.#vectors, this.#maker] = [kept.vectors, kept.maker];
    this.#changed();
  }

  /**
   * Computes the vectors that are missing, with the loaded model. Those of another model are computed again.
   *
   * @returns {Promise<void>}
   */
  async embed() {
    await this.open();
    if (this.busy || workspace.model.state !== "ready") return;
    this.busy = true;
    const { model } = workspace;
    try {
      const { hash } = await workspace.modelId();
      if (hash !== this.#maker) this.#vectors = this.#entries.map(() => undefined);
      this.#maker = hash;
      if (this.complete) return;
      await this.#embedMissing(model);
    } catch (error) {
      // a model that was replaced meanwhile ends the work
      if (workspace.model === model) throw error;
    } finally {
      this.busy = false;
      this.#changed();
    }
    if (workspace.model !== model) return this.embed();
    void keepVectors(this.#vectors, this.#maker);
  }

  /** @param {unknown} model the model that computes them; with another one it ends */
  async #embedMissing(model) {
    const start = performance.now();
    const missing = [...this.#vectors.keys()].filter((at) => !this.#vectors[at]);
    const items = missing.map((at) => this.#entries[at].id);
    const take = async function* () {
      for (const file of items) yield { source: await fileOf(file), name: file };
    };
    let next = 0;
    let told = 0;
    for await (const { feature } of workspace.embedMany(take(), {})) {
      if (workspace.model !== model) return;
      // pictures may have been taken out meanwhile
      const at = this.#entries.findIndex(({ id }) => id === items[next]);
      if (at >= 0) this.#vectors[at] ??= feature;
      next++;
      this.milliseconds = performance.now() - start;
      if (performance.now() - told < TELL_MS) continue;
      told = performance.now();
      this.#changed();
    }
  }

  /** @param {{ first?: number, count?: number }} [page] */
  async entries({ first = 0, count = Infinity } = {}) {
    return this.#entries.slice(first, first + count);
  }

  async labels() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { label = "" } of this.#entries) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts].map(([label, count]) => ({ label, count })).sort((a, b) => (a.label < b.label ? -1 : 1));
  }

  /**
   * The vector of a picture. One that is not there yet is computed before the others.
   *
   * @param {string} id
   * @param {{ signal?: AbortSignal }} [options]
   */
  async vector(id, { signal } = {}) {
    const at = this.#entries.findIndex((entry) => entry.id === id);
    if (at < 0) return undefined;
    return (this.#vectors[at] ??= await workspace.vectorOf(await fileOf(id), { signal }));
  }

  /**
   * @param {Float32Array} vector
   * @param {SearchOptions} [options]
   * @returns {Promise<GalleryHit[]>}
   */
  async search(vector, { k = 10, threshold = -Infinity, filter } = {}) {
    /** @type {GalleryHit[]} */
    const hits = [];
    for (const [at, entry] of this.#entries.entries()) {
      const other = this.#vectors[at];
      if (!other || (filter?.label !== undefined && entry.label !== filter.label)) continue;
      const score = cosine(vector, other);
      if (score >= threshold) hits.push({ ...entry, score });
    }
    return hits.sort((a, b) => b.score - a.score).slice(0, k);
  }

  /**
   * @param {{ threshold: number }} options
   * @returns {Promise<GalleryPair[]>}
   */
  async duplicates({ threshold }) {
    /** @type {GalleryPair[]} */
    const pairs = [];
    for (const [i, first] of this.#entries.entries()) {
      for (let j = i + 1; j < this.size; j++) {
        const [a, b] = [this.#vectors[i], this.#vectors[j]];
        const score = a && b ? cosine(a, b) : -1;
        if (score >= threshold) pairs.push({ first, second: this.#entries[j], score });
      }
    }
    return pairs.sort((a, b) => b.score - a.score);
  }

  /**
   * Takes pictures out. The result puts them back.
   *
   * @param {string[]} ids
   */
  async takeOut(ids) {
    const before = { entries: this.#entries, vectors: this.#vectors };
    const stay = [...this.#entries.keys()].filter((at) => !ids.includes(this.#entries[at].id));
    this.#vectors = stay.map((at) => before.vectors[at]);
    this.#entries = stay.map((at) => before.entries[at]);
    this.#changed();
    return async () => {
      [this.#entries, this.#vectors] = [before.entries, before.vectors];
      this.#changed();
    };
  }

  /**
   * A `Gallery` with the same content, for what only that can do.
   *
   * @returns {Promise<Gallery>}
   */
  whole() {
    if (!this.complete) throw new ImageFeatureError("usage", "the sample pictures are still being looked at; wait");
    return (this.#whole ??= this.#make());
  }

  async #make() {
    const gallery = new Gallery({ dimension: this.dimension });
    const entries = this.#entries.map((entry, at) => ({
      ...entry,
      feature: /** @type {Float32Array} */ (this.#vectors[at]),
    }));
    await gallery.addMany(entries, undefined, { anyModel: true });
    return gallery;
  }

  #changed() {
    this.#whole = undefined;
    this.dispatchEvent(new Event("content"));
  }
}

/**
 * The file of a picture, from the browser's cache where it is there already: the page shows the same picture.
 *
 * @param {string} name
 */
async function fileOf(name) {
  const response = await fetch(sampleAddress(name), { cache: "force-cache" });
  return new File([await response.blob()], name, { type: "image/webp" });
}

export const sampleFile = fileOf;
export const sampleGallery = new SampleGallery();

workspace.addEventListener("model", () => void sampleGallery.embed().catch(report));

/** @param {unknown} error */
function report(error) {
  console.error(error);
}
