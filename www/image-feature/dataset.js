/// <reference lib="esnext.disposable" preserve="true" />

import { openWorker } from "./connection.js";
import { compileAhead, wasmFolder } from "./core.js";
import { toDatasetSource } from "./dataset-source.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { requireSimd } from "./loader.js";
import { Turns } from "./turns.js";

/**
 * @typedef {import("./dataset-source.js").DatasetInput} DatasetInput
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 * @typedef {"paddlex" | "paddlex-beta"} Compat PaddleX from 3.0 on, or 3.0-beta
 */

/**
 * @typedef {object} OpenDatasetOptions
 * @property {string} [name] what it is called in reports and messages
 * @property {string} [encoding] of names in an archive that are not UTF-8, such as `gbk`, `shift_jis`, `koi8-r`; without it
 *   it is guessed by the user's languages, and a finding says how they were read
 * @property {number} [workers] workers that look at images at the same time; by default 4, and no more than the machine
 *   has cores
 * @property {AbortSignal} [signal]
 * @property {string | URL} [wasm] the folder that holds `dataset/`, where it is not beside the package
 */

/**
 * @typedef {object} Running
 * @property {AbortSignal} [signal] stops it
 * @property {(event: ProgressEvent) => void} [onProgress]
 */

/**
 * What shares of the images go where, in percent: all three, or none for the usual ones.
 *
 * @typedef {object} Shares
 * @property {number} [train]
 * @property {number} [gallery]
 * @property {number} [query]
 * @property {number} [seed] another one gives another division, the same one the same; 0 by default
 */

/**
 * The outcome of a check. What its fields mean is said with the Rust crate's `dataset::report`.
 *
 * @typedef {{
 *   schema: "dataset-report", version: 1, name: string, root: string, notes: string[], passed: boolean, complete: boolean,
 *   errors: number, warnings: number, hints: number,
 *   images: { listed: number, decoded: number, bytes: number },
 *   lists: { list: ListName, file: string, rows: number, classes: number }[],
 *   class_count: number, class_sizes: [label: number, train: number, gallery: number, query: number][],
 *   evaluation: { queries: number, answerable: number, recall_ceiling: number | null },
 *   training: { classes: number, largest_batch: number },
 *   codes: { code: string, name: string, severity: "error" | "warning" | "hint", title: string, fix: string, count: number, shown: number }[],
 *   findings: { code: string, list?: ListName, line?: number, column?: number, image?: string, reason: string, fix?: string }[],
 *   samples: { image: string, list: ListName, label: number | null }[],
 *   thumbnails: Record<string, string>,
 * }} DatasetReport
 *
 * @typedef {"train" | "gallery" | "query"} ListName
 */

/**
 * What PaddleX says.
 *
 * - `passed`: whether it goes on
 * - `log`: its last line: what it is done with, or the exception it raises
 * - `json`: its `check_dataset_result.json`, to the letter; `null` after a conversion or division that succeeded
 * - `samples`: of a check, the names of the images that it draws labels on
 *
 * @typedef {{ passed: boolean, log: string, json: string | null, samples?: string[] }} CompatVerdict
 */

/** How many rows each list has now. @typedef {{ train: number, gallery: number, query: number }} ListSizes */

const MAX_DEFAULT_WORKERS = 4;
const MAX_WORKERS = 16;
/** Images that a worker is sent together: few, for a bar that moves and an end that is reached by all at once. */
const BATCH = 6;
/** What small pictures take of the time of a check. */
const LOOKING_SHARE = 0.98;
const DEFAULT_FINDINGS = 1000;

/**
 * A data set of image retrieval: `images/` with `train.txt`, `gallery.txt` and `query.txt`, in an archive or a folder.
 *
 * Nothing is unpacked as a whole: workers read where the browser keeps the files, one image at a time each. `fix`,
 * `convert` and `split` change what this object stands for, and `toZip` gives it back; the files stay as they are.
 */
export class Dataset {
  #request;
  #mostWorkers;
  /** Knows the lists and the facts. @type {DatasetWorker} */
  #main;
  #turns = new Turns(disposed);

  /**
   * Use `Dataset.open`.
   *
   * @private
   * @param {import("./dataset-session.js").OpenDatasetRequest} request
   * @param {number} mostWorkers
   */
  constructor(request, mostWorkers) {
    this.#request = request;
    this.#mostWorkers = mostWorkers;
    this.#main = new DatasetWorker(request);
  }

  /**
   * Opens an archive or a folder. No image is read yet.
   *
   * Rejects with an `ImageFeatureError` of kind `unsupported` for what is no archive that is read, `decode` for one that is
   * damaged throughout, `io` where it cannot be read, `usage` for a wrong argument, `cancelled` after an abort.
   *
   * @param {DatasetInput} input
   * @param {OpenDatasetOptions} [options]
   * @returns {Promise<Dataset>}
   */
  static async open(input, { name, encoding, workers, signal, wasm } = {}) {
    if (workers !== undefined && !(Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS)) {
      throw new ImageFeatureError("usage", `workers must be a whole number from 1 to ${MAX_WORKERS}, got ${workers}`);
    }
    requireSimd();
    const folder = wasmFolder(wasm);
    const progress = { report() {}, finish() {} };
    const [{ name: own, source }, compiled] = await Promise.all([
      toDatasetSource(input, signal),
      compileAhead("dataset", { signal: signal ?? new AbortController().signal, progress, folder }),
    ]);
    throwIfAborted(signal);
    const request = { name: name ?? own, source, encoding, wasm: folder, compiled };
    const dataset = new Dataset(request, workers ?? Math.min(navigator.hardwareConcurrency || 1, MAX_DEFAULT_WORKERS));
    await dataset.#main.start(signal);
    return dataset;
  }

  /** What it is called. */
  get name() {
    return this.#request.name;
  }

  /**
   * Looks at every image and tells everything that is wrong; with `compat`, gives PaddleX's verdict instead. Images that were looked at
   * before an abort are not looked at again by the next check.
   *
   * @overload
   * @param {Running & { compat: Compat }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Running & { compat?: undefined, batchSize?: number, findings?: number, thumbnails?: boolean }} [options]
   *   `batchSize`: images of a training batch, 128 by default. `findings`: how many of each code the report keeps, 1000 by
   *   default. `thumbnails`: whether it has small pictures; it has.
   * @returns {Promise<DatasetReport>}
   */
  /**
   * @param {Running & { compat?: Compat, batchSize?: number, findings?: number, thumbnails?: boolean }} [options]
   * @returns {Promise<DatasetReport | CompatVerdict>}
   */
  check({ compat, batchSize = 128, findings = DEFAULT_FINDINGS, thumbnails = true, signal, onProgress = () => {} } = {}) {
    if (compat !== undefined) return this.#paddlex("compatCheck", compat, {}, signal);
    return this.#turns.run(signal, async (signal) => {
      for (const [name, value] of Object.entries({ batchSize, findings })) {
        if (!(Number.isInteger(value) && value >= 1 && value < 2 ** 32)) throw new ImageFeatureError("usage", `${name} must be a whole number from 1 on, got ${value}`);
      }
      const lookers = new Lookers(this.#request, this.#mostWorkers, this.#main.isStream);
      try {
        const total = await this.#look(lookers, signal, onProgress);
        const { report, shown } = await this.#main.request("report", { findings, batchSize }, { signal });
        if (thumbnails) Object.assign(report.thumbnails, await lookers.thumbnails(shown, signal));
        onProgress({ stage: "check", loaded: total, total, fraction: 1 });
        return report;
      } finally {
        lookers.close();
      }
    });
  }

  /**
   * Becomes a cleaned copy: line ends, byte order marks, separators and names mended, repeated rows left out, rows that are
   * broken set aside in `set_aside.tsv`. What a check has found out about the images counts.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<ListSizes & { kept: number, setAside: number, renamed: number }>} rows kept and set aside, images renamed
   */
  fix({ signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("fix", undefined, { signal }));
  }

  /**
   * Becomes a data set of this package's form, from another: `labelme`, `folders` (one for each class) or `csv`. What the
   * source does not divide itself is divided, 50 : 30 : 20 unless it is said otherwise. With `compat`, converts from LabelMe as
   * PaddleX does.
   *
   * @overload
   * @param {{ from?: string, compat: Compat, signal?: AbortSignal }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Shares & { from: "labelme" | "folders" | "csv", compat?: undefined, signal?: AbortSignal }} options
   * @returns {Promise<ListSizes>}
   */
  /**
   * @param {Shares & { from?: string, compat?: Compat, signal?: AbortSignal }} options
   * @returns {Promise<ListSizes | CompatVerdict>}
   */
  convert({ from, compat, seed = 0, signal, ...shares }) {
    if (compat !== undefined) {
      // PaddleX's name for it, which it wants in this spelling
      return this.#paddlex("compatConvert", compat, { from: from?.toLowerCase() === "labelme" ? "LabelMe" : from }, signal);
    }
    return this.#turns.run(signal, (signal) => this.#main.request("convert", { from: String(from), percent: toPercent(shares, [50, 30, 20]), seed: toSeed(seed) }, { signal }));
  }

  /**
   * Divides all images anew, 70 : 20 : 10 unless it is said otherwise. Copies of one picture stay together: images that no check has
   * looked at are looked at now, unless `ignoreCopies`. `by: "class"` divides the classes, so that queries are of classes
   * that training has not seen. With `compat`, divides as PaddleX does.
   *
   * @overload
   * @param {Running & Shares & { compat: Compat }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Running & Shares & { compat?: undefined, by?: "image" | "class", allowAbsent?: boolean, ignoreCopies?: boolean }} [options]
   *   `allowAbsent`: let classes have queries and no image in the gallery
   * @returns {Promise<ListSizes>}
   */
  /**
   * @param {Running & Shares & { compat?: Compat, by?: "image" | "class", allowAbsent?: boolean, ignoreCopies?: boolean }} [options]
   * @returns {Promise<ListSizes | CompatVerdict>}
   */
  split({ compat, by = "image", allowAbsent = false, ignoreCopies = false, seed = 0, signal, onProgress = () => {}, ...shares } = {}) {
    if (compat !== undefined) {
      const percent = [shares.train, shares.gallery, shares.query];
      return this.#paddlex("compatSplit", compat, { percent, seed: toSeed(seed) }, signal);
    }
    return this.#turns.run(signal, async (signal) => {
      if (by !== "image" && by !== "class") throw new ImageFeatureError("usage", `by must be "image" or "class", got "${by}"`);
      const request = { percent: toPercent(shares, [70, 20, 10]), seed: toSeed(seed), byClass: by === "class", allowAbsent };
      if (!ignoreCopies) {
        const lookers = new Lookers(this.#request, this.#mostWorkers, this.#main.isStream);
        try {
          await this.#look(lookers, signal, onProgress);
        } finally {
          lookers.close();
        }
      }
      return this.#main.request("split", request, { signal });
    });
  }

  /**
   * The paths of all files as they are now, from the top of the archive or folder.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string[]>}
   */
  paths({ signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("paths", undefined, { signal }));
  }

  /**
   * The bytes of one file as it is now, such as `train.txt`.
   *
   * @param {string} path
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  read(path, { signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("read", path, { signal }));
  }

  /**
   * All files as they are now, in one zip. The browser keeps it where it keeps downloads; it is never in memory as a whole.
   *
   * @param {Running} [options]
   * @returns {Promise<Blob>}
   */
  toZip({ signal, onProgress = () => {} } = {}) {
    return this.#turns.run(signal, (signal) => {
      const relay = (/** @type {[loaded: number, total: number]} */ [loaded, total]) => onProgress({ stage: "pack", loaded, total, fraction: total ? loaded / total : 1 });
      return this.#main.request("zip", undefined, { signal, onProgress: relay });
    });
  }

  /** Stops everything under way and gives the memory back. Calling it again does nothing. */
  dispose() {
    this.#turns.end();
    this.#main.close(disposed());
  }

  // without Symbol.dispose in the browser this is a method that nobody calls
  [Symbol.dispose]() {
    this.dispose();
  }

  /**
   * @param {"compatCheck" | "compatConvert" | "compatSplit"} method
   * @param {Compat} compat
   * @param {object} request
   * @param {AbortSignal} [signal]
   * @returns {Promise<CompatVerdict>}
   */
  #paddlex(method, compat, request, signal) {
    return this.#turns.run(signal, async (signal) => {
      if (compat !== "paddlex" && compat !== "paddlex-beta") {
        throw new ImageFeatureError("usage", `unknown compat "${compat}"; known are paddlex and paddlex-beta`);
      }
      return this.#main.request(method, { ...request, beta: compat === "paddlex-beta" }, { signal });
    });
  }

  /**
   * Has every image looked at that nobody has looked at yet, and says how many images there are.
   *
   * @param {Lookers} lookers
   * @param {AbortSignal} signal
   * @param {(event: ProgressEvent) => void} onProgress
   */
  async #look(lookers, signal, onProgress) {
    /** @type {{ pairs: Uint32Array, total: number }} */
    const { pairs, total } = await this.#main.request("unknownImages", undefined, { signal });
    let loaded = total - pairs.length / 2;
    const tell = () => onProgress({ stage: "check", loaded, total, fraction: (LOOKING_SHARE * loaded) / (total || 1) });
    tell();
    await lookers.lookAt(pairs, this.#main, signal, (count) => {
      loaded += count;
      tell();
    });
    return total;
  }
}

/** Workers that look at images while one check lasts. */
class Lookers {
  #request;
  #most;
  /** @type {DatasetWorker[]} */
  #workers = [];

  /**
   * @param {import("./dataset-session.js").OpenDatasetRequest} request
   * @param {number} most
   * @param {boolean} isStream whether several would only unpack the same several times
   */
  constructor(request, most, isStream) {
    this.#request = request;
    this.#most = isStream ? 1 : most;
  }

  close() {
    for (const worker of this.#workers) worker.close(new ImageFeatureError("cancelled", "cancelled"));
  }

  /**
   * @param {Uint32Array} pairs of place and file
   * @param {DatasetWorker} main takes what they see
   * @param {AbortSignal} signal
   * @param {(count: number) => void} onSeen
   */
  async lookAt(pairs, main, signal, onSeen) {
    let next = 0;
    const work = async (/** @type {DatasetWorker} */ worker) => {
      await worker.start(signal);
      while (next < pairs.length) {
        const some = pairs.slice(next, (next += 2 * BATCH));
        await this.#lookAtSome(some, worker, main, signal);
        onSeen(some.length / 2);
      }
      await main.request("takeProblems", await worker.request("problems", undefined, { signal }), { signal });
    };
    await this.#withWorkers(pairs.length / 2, work);
  }

  /**
   * @param {[file: number, path: string][]} shown
   * @param {AbortSignal} signal
   * @returns {Promise<Record<string, string>>}
   */
  async thumbnails(shown, signal) {
    /** @type {[path: string, uri: string][]} */
    const all = [];
    let next = 0;
    await this.#withWorkers(shown.length, async (worker) => {
      await worker.start(signal);
      while (next < shown.length) {
        const some = shown.slice(next, (next += BATCH));
        // a report is worth having without pictures, too
        all.push(...(await worker.request("thumbnails", some, { signal }).catch((error) => (throwIfAborted(signal), worker.closed ? [] : Promise.reject(error)))));
        if (worker.closed) await worker.start(signal);
      }
    });
    return Object.fromEntries(all);
  }

  /**
   * @param {number} images
   * @param {(worker: DatasetWorker) => Promise<void>} work
   */
  async #withWorkers(images, work) {
    const count = Math.min(this.#most, Math.ceil(images / BATCH));
    while (this.#workers.length < count) this.#workers.push(new DatasetWorker(this.#request));
    await Promise.all(this.#workers.slice(0, count).map(work));
  }

  /**
   * Looks at images; where the worker fails over them, one by one, to find the one at fault.
   *
   * @param {Uint32Array} pairs
   * @param {DatasetWorker} worker
   * @param {DatasetWorker} main
   * @param {AbortSignal} signal
   */
  async #lookAtSome(pairs, worker, main, signal) {
    try {
      const facts = await worker.request("lookAt", pairs, { signal });
      await main.request("takeFacts", facts, { signal });
    } catch (error) {
      if (signal.aborted || !worker.closed || main.closed) throw error;
      await worker.start(signal);
      if (pairs.length === 2) return main.request("takeBroken", { place: pairs[0], message: toError(error).message }, { signal });
      for (let at = 0; at < pairs.length; at += 2) await this.#lookAtSome(pairs.slice(at, at + 2), worker, main, signal);
    }
  }
}

/** A worker that has opened the files. After a crash it can be started again, and knows nothing then. */
class DatasetWorker {
  #request;
  /** @type {import("./bridge.js").Bridge | undefined} */
  #bridge;
  /** Whether the files can only be unpacked from their beginning. */
  isStream = false;

  /** @param {import("./dataset-session.js").OpenDatasetRequest} request */
  constructor(request) {
    this.#request = request;
  }

  /** Whether it must be started before it answers. */
  get closed() {
    return this.#bridge?.closed ?? true;
  }

  /** Starts it, where it does not run. @param {AbortSignal} [signal] */
  async start(signal) {
    throwIfAborted(signal);
    if (!this.closed) return;
    const bridge = (this.#bridge = openWorker());
    try {
      const { isStream } = await bridge.request("openDataset", this.#request, { signal });
      this.isStream = isStream;
    } catch (error) {
      bridge.close(toError(error));
      throw error;
    }
  }

  /**
   * @param {string} method
   * @param {unknown} argument
   * @param {{ signal?: AbortSignal, onProgress?: (progress: any) => void }} options
   * @returns {Promise<any>}
   */
  request(method, argument, options) {
    return /** @type {import("./bridge.js").Bridge} */ (this.#bridge).request(method, argument, options);
  }

  /** @param {ImageFeatureError} error */
  close(error) {
    this.#bridge?.close(error);
  }
}

function disposed() {
  return new ImageFeatureError("usage", "this Dataset was disposed of; open it again");
}

/**
 * @param {Shares} shares
 * @param {number[]} usual
 */
function toPercent({ train, gallery, query }, usual) {
  const given = { train, gallery, query };
  if (Object.values(given).every((value) => value === undefined)) return usual;
  return Object.entries(given).map(([name, value]) => {
    if (value === undefined) throw new ImageFeatureError("usage", `give ${name}, too: the three make 100`);
    if (typeof value !== "number" || !Number.isFinite(value)) throw new ImageFeatureError("usage", `${name} must be a number of percent, got ${value}`);
    return value;
  });
}

/** @param {number} seed */
function toSeed(seed) {
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new ImageFeatureError("usage", `seed must be a whole number from 0 to 2^53 - 1, got ${seed}`);
}
