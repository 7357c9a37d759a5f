/**
 * The search: what is asked, and the answer. It does not know the elements of the page; they listen to its events:
 *
 * - `query`: another picture, or none, is searched with
 * - `answer`: there is another answer
 */

import { ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { labelOf } from "./gallery-card.js";
import { galleryState } from "./gallery-state.js";
import { isImage } from "./gallery-pictures.js";
import { t } from "./language.js";
import { sampleFile, sampleGallery } from "./sample-gallery.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").GalleryHit} GalleryHit
 * @typedef {{ x: number, y: number, width: number, height: number }} Region in shares of the picture
 *
 * A query: a file of the user, or a picture of the collection, which is then not among its own hits. Only of files a
 * region can be searched with.
 *
 * @typedef {{ name: string, entry?: GalleryEntry, file?: () => Promise<File>, address?: string, region?: Region }} Query
 *
 * @typedef {{ hits: GalleryHit[], milliseconds: number, more: boolean } | { error: ImageFeatureError }} Answer
 */

/** Number of hits that are asked for at first, and with each step down the page. */
const STEP = 600;

class SearchState extends EventTarget {
  /** @type {Query | undefined} */
  query;
  /** @type {Answer | undefined} */
  answer;
  /** Only pictures with this label. @type {string | undefined} */
  label;
  /** Only pictures whose name or label contains this. */
  words = "";
  /** The lowest score. */
  threshold = -Infinity;
  #wanted = STEP;
  #asking = new AbortController();

  constructor() {
    super();
    galleryState.addEventListener("gallery", () => {
      this.label = undefined;
      this.clear();
    });
    galleryState.addEventListener("content", () => void this.ask());
    sampleGallery.addEventListener("content", () => {
      if (this.shelf === sampleGallery && this.query) void this.ask();
    });
  }

  /** What is searched: the user's gallery, or the sample. */
  get shelf() {
    return galleryState.gallery ?? sampleGallery;
  }

  /** @param {GalleryEntry} entry */
  askEntry(entry) {
    const { sample } = entry.meta ?? {};
    const file = typeof sample === "string" ? () => sampleFile(sample) : undefined;
    return this.#start({ name: entry.id, entry, file });
  }

  /** @param {File} file */
  askFile(file) {
    const query = {
      name: file.name || t("search.pasted"),
      file: async () => file,
      address: URL.createObjectURL(file),
    };
    if (isImage(file)) return this.#start(query);
    URL.revokeObjectURL(query.address);
    return this.fail(new ImageFeatureError("usage", `${file.name} is no image; choose a photo or another picture`));
  }

  /** @param {Region | undefined} region */
  askRegion(region) {
    if (!this.query) return;
    this.query = { ...this.query, region };
    return this.ask();
  }

  clear() {
    this.#forget();
    this.query = undefined;
    this.answer = undefined;
    this.#emit("query");
    this.#emit("answer");
  }

  /** @param {{ label?: string, words?: string, threshold?: number }} filter */
  filter(filter) {
    Object.assign(this, filter);
    if (this.query) return this.ask();
    this.#emit("answer");
  }

  /** Asks for more hits, for a visitor who has come to the end of these. */
  more() {
    this.#wanted += STEP;
    return this.ask();
  }

  /** @param {unknown} error */
  fail(error) {
    this.answer = { error: asError(error) };
    this.#emit("answer");
  }

  /** The vector of the query, or of its region. @param {AbortSignal} signal */
  async vector(signal) {
    const { query } = this;
    if (!query) throw new ImageFeatureError("usage", "nothing is searched with");
    if (query.entry && !query.region) {
      const vector = await this.shelf.vector(query.entry.id, { signal });
      if (!vector) throw new ImageFeatureError("usage", `${query.name} is no longer in the collection`);
      return vector;
    }
    if (!query.file) throw new ImageFeatureError("usage", `${query.name}: the page has only a small picture of it`);
    const file = await query.file();
    return workspace.vectorOf(file, { signal, roi: query.region && (await inPixels(query.region, file)) });
  }

  /** @param {Query} query */
  #start(query) {
    this.#forget();
    // a threshold is of the scores of one picture
    this.threshold = -Infinity;
    this.query = query;
    this.answer = undefined;
    this.#wanted = STEP;
    this.#emit("query");
    return this.ask();
  }

  #forget() {
    this.#asking.abort();
    if (this.query?.address) URL.revokeObjectURL(this.query.address);
  }

  async ask() {
    const { query, shelf, label, threshold } = this;
    if (!query) return;
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    try {
      const vector = await this.vector(signal);
      const start = performance.now();
      const k = Math.min(this.#wanted, shelf.size) + 1;
      const found = await shelf.search(vector, {
        k,
        threshold: threshold === -Infinity ? undefined : threshold,
        filter: label === undefined ? undefined : { label },
        signal,
        anyModel: galleryState.anyModel,
      });
      if (signal.aborted) return;
      const milliseconds = performance.now() - start;
      const hits = found.filter((hit) => hit.id !== query.entry?.id && contains(hit, this.words));
      this.answer = { hits, milliseconds, more: found.length === k && k <= shelf.size };
      this.#emit("answer");
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /** @param {string} type */
  #emit(type) {
    this.dispatchEvent(new Event(type));
  }
}

/**
 * Whether the name or the label of an entry contains these words.
 *
 * @param {GalleryEntry} entry
 * @param {string} words
 */
export function contains(entry, words) {
  const text = `${entry.id} ${entry.label ?? ""} ${labelOf(entry) ?? ""}`.toLowerCase();
  return words === "" || text.includes(words.toLowerCase());
}

/**
 * @param {Region} region
 * @param {File} file
 */
async function inPixels({ x, y, width, height }, file) {
  const bitmap = await createImageBitmap(file);
  const [wide, high] = [bitmap.width, bitmap.height];
  bitmap.close();
  const left = Math.floor(x * wide);
  const top = Math.floor(y * high);
  return {
    x: left,
    y: top,
    width: Math.min(wide - left, Math.max(1, Math.round(width * wide))),
    height: Math.min(high - top, Math.max(1, Math.round(height * high))),
  };
}

export const searchState = new SearchState();
