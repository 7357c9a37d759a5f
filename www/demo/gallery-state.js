/**
 * The gallery that the page works on. It is made from images, with the model of the workspace. It does not know the
 * elements of the page; they listen to its events:
 *
 * - `state`: the current work has changed
 * - `progress`: of adding images
 * - `gallery`: there is another gallery, or none
 * - `content`: vectors were added or removed
 * - `kept`: the list of saved galleries has changed
 * - `failed`: no gallery was made; `detail` is the error
 */

import { Gallery, ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { smallPicture } from "./gallery-pictures.js";
import { t } from "./language.js";
import { sampleGallery } from "./sample-gallery.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("./gallery-pictures.js").Source} Source
 * @typedef {import("../image-feature/index.js").KeptGallery} KeptGallery
 * @typedef {import("../image-feature/index.js").GalleryQuery} GalleryQuery
 *
 * @typedef {{ name: string, error: ImageFeatureError }} Failure an image of which no vector could be made
 *
 * @typedef {{ what: "nothing" } | { what: "opening", name: string } | { what: "building", name: string, total: number,
 *   done: number }
 *   | { what: "waiting", name: string, total: number } | { what: "open", name: string } | { what: "stopped", name:
 *   string, total: number, done: number }} State
 */

/** Number of vectors that are added to the gallery together. */
const BATCH = 32;

class GalleryState extends EventTarget {
  /** @type {State} */
  state = { what: "nothing" };
  /** @type {Gallery | undefined} */
  gallery;
  /** The name under which it is saved, and whether all changes are saved. */
  saved = { name: "", current: false };
  /** Whether the user takes the model for the gallery's, though the gallery was made by another or an unknown one. */
  anyModel = false;
  /** The images of a `query.txt`. @type {Source[]} */
  queries = [];
  /** @type {Failure[]} */
  failures = [];
  /** Images that are not added yet. @type {Source[]} */
  #waiting = [];
  #working = new AbortController();
  #building = Promise.resolve();
  /** Vectors of queries, so that no file is computed twice. @type {WeakMap<File, Float32Array>} */
  #vectors = new WeakMap();
  /** The model that computed these vectors. */
  #model = workspace.model;
  /** The gallery of the last `gallery` event. @type {Gallery | undefined} */
  #told;

  constructor() {
    super();
    workspace.addEventListener("model", () => {
      if (workspace.model.state === "ready" && this.state.what === "waiting") this.#build(this.state.name);
    });
  }

  /** What the collection is called. */
  get title() {
    const { name } = this.state.what === "nothing" ? { name: "" } : this.state;
    return this.saved.name || (name === "gallery" ? t("collections.new") : name);
  }

  /** The gallery, or one of the sample. */
  async whole() {
    return this.gallery ?? sampleGallery.whole();
  }

  /**
   * Adds images to the gallery, or to a new one if there is none. Waits for a model.
   *
   * @param {string} name
   * @param {Source[]} images
   * @param {Source[]} queries
   */
  async add(name, images, queries) {
    if (this.state.what === "building" || this.state.what === "opening") {
      throw new ImageFeatureError("usage", "pictures are being added; wait until they are in, or cancel that");
    }
    await this.#building;
    // images that were stopped come first
    if (this.state.what === "open" || this.state.what === "nothing") [this.#waiting, this.failures] = [[], []];
    if (queries.length > 0) this.queries = queries;
    this.#waiting = [...this.#waiting, ...images];
    if (workspace.model.state === "ready") return this.#build(name);
    this.#show({ what: "waiting", name, total: this.#waiting.length });
  }

  /** Continues adding images, after the batch that was under way when it was stopped. */
  async resume() {
    await this.#building;
    if (this.state.what === "stopped") return this.#build(this.state.name);
  }

  /** Stops the current work. Vectors in the gallery stay. */
  cancel() {
    const { state } = this;
    this.#working.abort();
    if (state.what === "building") return this.#show({ ...state, what: "stopped" });
    if (state.what === "waiting" && this.gallery) return this.#show({ what: "open", name: state.name });
    this.close();
  }

  /**
   * Opens a gallery that this browser keeps.
   *
   * @param {string} name
   */
  openKept(name) {
    return this.#open(name, (signal) => Gallery.open(name, { signal }), { name, current: true });
  }

  /**
   * Opens a file, or files that belong together.
   *
   * @param {File[]} files
   */
  openFiles(files) {
    const name = files[0].name.replace(/\.[^.]+$/, "");
    return this.#open(name, (signal) => Gallery.fromFile(files.length === 1 ? files[0] : files, { signal }), {
      name,
      current: false,
    });
  }

  /** Closes the gallery, and frees its memory. */
  close() {
    this.#forget()?.dispose();
  }

  /** Closes the gallery. `restore` opens it again as it was; `settle` frees its memory. */
  setAside() {
    const { state, saved, anyModel, queries, failures } = this;
    const gallery = this.#forget();
    return {
      restore: () => {
        this.#forget()?.dispose();
        Object.assign(this, { gallery, saved, anyModel, queries, failures });
        this.#show(state);
        this.#emit("content");
      },
      settle: () => gallery?.dispose(),
    };
  }

  #forget() {
    this.#working.abort();
    const { gallery } = this;
    this.gallery = undefined;
    this.anyModel = false;
    this.queries = [];
    this.failures = [];
    this.#waiting = [];
    this.saved = { name: "", current: false };
    this.#show({ what: "nothing" });
    return gallery;
  }

  /**
   * @param {string} name
   * @param {{ replace?: boolean }} [options] as of `Gallery.save`
   */
  async save(name, options) {
    await this.gallery?.save(name, options);
    this.saved = { name, current: true };
    this.#emit("kept");
    this.#emit("state");
  }

  /**
   * Gives a kept gallery another name. Rejects if there is one of that name.
   *
   * @param {string} name
   * @param {string} other
   */
  async rename(name, other) {
    const gallery = await Gallery.open(name);
    try {
      await gallery.save(other);
      await Gallery.delete(name);
    } finally {
      gallery.dispose();
    }
    if (this.saved.name === name) this.saved = { ...this.saved, name: other };
    this.#emit("kept");
    this.#emit("state");
  }

  /**
   * Adds the pictures of a kept gallery to the open one. Those whose names are in it already stay as they are.
   *
   * @param {string} name
   * @returns {Promise<number>} how many were added
   */
  async merge(name) {
    const { gallery } = this;
    if (!gallery) throw new ImageFeatureError("usage", "no collection is open");
    const other = await Gallery.open(name);
    let added = 0;
    try {
      if (gallery.model && other.model && gallery.model.hash !== other.model.hash)
        throw new ImageFeatureError(
          "usage",
          `${name} was made by another model, ${other.model.name}: scores would mean nothing`,
        );
      for (let first = 0; first < other.size; first += BATCH) {
        for (const entry of await other.entries({ first, count: BATCH })) {
          const feature = await other.vector(entry.id);
          if (!feature || (await gallery.get(entry.id))) continue;
          await gallery.add({ ...entry, feature }, { anyModel: true });
          added++;
        }
      }
    } finally {
      other.dispose();
      if (added > 0) this.#changed();
    }
    return added;
  }

  /**
   * Deletes a kept gallery. The result keeps it again; there is none of a damaged one, which cannot be read.
   *
   * @param {string} name
   * @returns {Promise<{ restore: () => Promise<void>, settle: () => void } | undefined>}
   */
  async deleteKept(name) {
    const copy = await Gallery.open(name).catch(() => undefined);
    await Gallery.delete(name);
    const { saved } = this;
    if (saved.name === name) this.saved = { name, current: false };
    this.#emit("kept");
    this.#emit("state");
    if (!copy) return undefined;
    const restore = async () => {
      await copy.save(name, { replace: true });
      if (this.saved.name === name) this.saved = saved;
      this.#emit("kept");
      this.#emit("state");
    };
    return { restore, settle: () => copy.dispose() };
  }

  /**
   * Takes pictures out of the collection. The result puts them back.
   *
   * @param {string[]} ids
   * @returns {Promise<() => Promise<void>>}
   */
  async takeOut(ids) {
    const { gallery } = this;
    if (!gallery) return sampleGallery.takeOut(ids);
    const gone = await Promise.all(
      ids.map(async (id) => ({ entry: await gallery.get(id), feature: await gallery.vector(id) })),
    );
    await gallery.remove(ids);
    this.#changed();
    return async () => {
      for (const { entry, feature } of gone)
        if (entry && feature) await gallery.add({ ...entry, feature }, { anyModel: true });
      this.#changed();
    };
  }

  /**
   * Computes the vectors of queries with the loaded model.
   *
   * @param {Source[]} sources
   * @param {{ signal?: AbortSignal, onProgress?: (done: number) => void }} [options]
   * @returns {Promise<(Float32Array | ImageFeatureError)[]>}
   */
  async vectorsOf(sources, { signal, onProgress = () => {} } = {}) {
    if (this.#model !== workspace.model) [this.#model, this.#vectors] = [workspace.model, new WeakMap()];
    const known = this.#vectors;
    const missing = sources.filter(({ file }) => !known.has(file));
    /** @type {Map<File, ImageFeatureError>} */
    const failed = new Map();
    let done = sources.length - missing.length;
    onProgress(done);
    let at = 0;
    if (missing.length > 0) {
      for await (const { feature, error } of workspace.embedMany(
        missing.map(({ file }) => file),
        { signal },
      )) {
        const { file } = missing[at++];
        if (error) failed.set(file, error);
        else known.set(file, feature);
        onProgress(++done);
      }
    }
    return sources.map(
      ({ file }) => known.get(file) ?? failed.get(file) ?? new ImageFeatureError("internal", "no vector"),
    );
  }

  /** @param {string} name */
  #build(name) {
    return (this.#building = this.#addWaiting(name));
  }

  /** @param {string} name */
  async #addWaiting(name) {
    const { signal } = this.#begin();
    const images = this.#waiting;
    const total = images.length;
    let done = 0;
    const progress = () => {
      this.state = { what: "building", name, total, done };
      this.#emit("progress");
    };
    this.#show({ what: "building", name, total, done });
    /** @type {{ source: Source, feature: Float32Array, thumbnail: Promise<string | undefined> }[]} */
    let batch = [];
    /** Whether the page still shows this gallery. */
    const isCurrent = () =>
      this.#working.signal === signal && (this.state.what === "building" || this.state.what === "stopped");
    const flush = async () => {
      const some = batch;
      batch = [];
      if (some.length === 0 || !isCurrent()) return;
      const gallery = (this.gallery ??= new Gallery({ dimension: some[0].feature.length }));
      const pictures = await Promise.all(some.map(({ thumbnail }) => thumbnail));
      const entries = some.map(({ source: { id, label }, feature }, at) => ({
        id,
        label,
        feature,
        meta: pictures[at] === undefined ? undefined : { thumbnail: pictures[at] },
      }));
      if (!isCurrent()) return;
      // without the signal: after an abort it would not be known whether they were added
      await gallery
        .addMany(entries, undefined, { anyModel: this.anyModel })
        .catch((error) => this.#addEach(gallery, entries, error));
      this.#changed();
    };
    try {
      // a generator, so that a small picture is made when its image is taken, and not before
      const thumbnails = /** @type {Promise<string | undefined>[]} */ ([]);
      const take = function* () {
        for (const { id, file } of images) {
          thumbnails.push(smallPicture(file));
          yield { source: file, name: id };
        }
      };
      for await (const { feature, error } of workspace.embedMany(take(), { signal })) {
        const source = images[done++];
        const thumbnail = /** @type {Promise<string | undefined>} */ (thumbnails.shift());
        if (error) this.failures.push({ name: source.id, error });
        else batch.push({ source, feature, thumbnail });
        if (batch.length >= BATCH) await flush();
        this.#waiting = images.slice(done - batch.length);
        progress();
      }
      await flush();
      if (!isCurrent()) return;
      this.#waiting = [];
      if (!this.gallery)
        throw this.failures[0]?.error ?? new ImageFeatureError("usage", "there is no image among these files");
      this.#show({ what: "open", name });
    } catch (error) {
      // vectors that are computed are added, also after a stop
      await flush().catch(() => {});
      if (!isCurrent()) return;
      this.#waiting = images.slice(done);
      if (signal.aborted) return this.gallery ? this.#show({ what: "stopped", name, total, done }) : this.close();
      if (!this.gallery) return this.#fail(error);
      this.failures.push({ name: images[done]?.id ?? name, error: asError(error) });
      this.#show({ what: "stopped", name, total, done });
    }
  }

  /**
   * Adds entries one by one, if they could not be added together.
   *
   * @param {Gallery} gallery
   * @param {import("../image-feature/index.js").NewGalleryEntry[]} entries
   * @param {unknown} error
   */
  async #addEach(gallery, entries, error) {
    if (asError(error).kind !== "usage") throw error;
    for (const entry of entries)
      await gallery
        .add(entry, { anyModel: this.anyModel })
        .catch((error) => this.failures.push({ name: entry.id, error: asError(error) }));
  }

  /**
   * @param {string} name
   * @param {(signal: AbortSignal) => Promise<Gallery>} open
   * @param {{ name: string, current: boolean }} saved
   */
  async #open(name, open, saved) {
    this.close();
    const { signal } = this.#begin();
    this.#show({ what: "opening", name });
    try {
      const gallery = await open(signal);
      if (signal.aborted) return gallery.dispose();
      this.gallery = gallery;
      this.saved = saved;
      this.#show({ what: "open", name });
      this.#emit("content");
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  #begin() {
    this.#working.abort();
    return (this.#working = new AbortController());
  }

  /** @param {unknown} error */
  #fail(error) {
    this.close();
    this.dispatchEvent(new CustomEvent("failed", { detail: asError(error) }));
  }

  #changed() {
    this.saved = { ...this.saved, current: false };
    this.#tell();
    this.#emit("content");
  }

  #tell() {
    if (this.gallery === this.#told) return;
    this.#told = this.gallery;
    this.#emit("gallery");
  }

  /** @param {State} state */
  #show(state) {
    this.state = state;
    this.#tell();
    this.#emit("state");
  }

  /** @param {string} type */
  #emit(type) {
    this.dispatchEvent(new CustomEvent(type));
  }
}

export const galleryState = new GalleryState();
