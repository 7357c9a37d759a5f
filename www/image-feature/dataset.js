/// <reference lib="esnext.disposable" preserve="true" />

import { check, checkOneOf, checkWhole } from "./checks.js";
import { toWasm } from "./compile.js";
import { compileAhead, takeGiven } from "./core.js";
import { toDatasetSource } from "./dataset-source.js";
import { DatasetWorker, Lookers } from "./dataset-workers.js";
import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { requireSimd } from "./loader.js";
import { WHY_NO_DATA_SETS, coreCount } from "./platform.js";
import { Turns } from "./turns.js";

/**
 * @typedef {import("./dataset-source.js").DatasetInput} DatasetInput
 * @typedef {import("./dataset-types.js").Compat} Compat
 * @typedef {import("./dataset-types.js").CompatVerdict} CompatVerdict
 * @typedef {import("./dataset-types.js").ConvertChoices} ConvertChoices
 * @typedef {import("./dataset-types.js").ConvertOutcome} ConvertOutcome
 * @typedef {import("./dataset-types.js").DatasetReport} DatasetReport
 * @typedef {import("./dataset-types.js").FixOutcome} FixOutcome
 * @typedef {import("./dataset-types.js").ListSizes} ListSizes
 * @typedef {import("./dataset-types.js").OpenDatasetOptions} OpenDatasetOptions
 * @typedef {import("./dataset-types.js").Running} Running
 * @typedef {import("./dataset-types.js").Shares} Shares
 * @typedef {import("./progress.js").ProgressEvent} ProgressEvent
 */

const DIVISIONS = /** @type {const} */ (["auto", "yes", "no"]);
const COMPATS = /** @type {const} */ (["paddlex", "paddlex-beta"]);
const MAX_DEFAULT_WORKERS = 4;
const MAX_WORKERS = 16;
/** The part of a check's time that is spent on looking at images; small pictures take the rest. */
const LOOKING_SHARE = 0.98;
const DEFAULT_FINDINGS = 1000;
/** The largest number that the WebAssembly takes. */
const MOST_COUNT = 2 ** 32 - 1;

/**
 * A data set of image retrieval: `images/` with `train.txt`, `gallery.txt` and `query.txt`, in an archive or a folder.
 *
 * Nothing is unpacked as a whole: workers read the files where the browser keeps them, one image at a time each. `fix`,
 * `convert` and `split` change this object and never the files; `toZip` gives the result.
 */
export class Dataset {
  #request;
  #mostWorkers;
  /** The worker that knows the lists and the facts of all images. @type {DatasetWorker} */
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
   * Rejects with an `ImageFeatureError` of kind `unsupported` for a file that is no such archive, `decode` if all of it
   * is damaged, `io` if it cannot be read, `usage` for a wrong argument, `cancelled` after an abort.
   *
   * @param {DatasetInput} input
   * @param {OpenDatasetOptions} [options]
   * @returns {Promise<Dataset>}
   */
  static async open(input, { name, encoding, workers, signal, wasm } = {}) {
    if (workers !== undefined) checkWhole("workers", workers, 1, MAX_WORKERS);
    if (WHY_NO_DATA_SETS) throw new ImageFeatureError("unsupported", WHY_NO_DATA_SETS);
    requireSimd();
    const { folder, given } = toWasm(wasm);
    const progress = { report() {}, finish() {} };
    const [{ name: own, source }, compiled] = await Promise.all([
      toDatasetSource(input, signal),
      given
        ? takeGiven(given)
        : compileAhead("dataset", { signal: signal ?? new AbortController().signal, progress, folder }),
    ]);
    throwIfAborted(signal);
    const request = { name: name ?? own, source, encoding, wasm: folder, compiled };
    const dataset = new Dataset(request, workers ?? Math.min(coreCount(), MAX_DEFAULT_WORKERS));
    await dataset.#main.start(signal);
    return dataset;
  }

  /** The name of the data set. */
  get name() {
    return this.#request.name;
  }

  /**
   * Looks at every image, and reports all faults. With `compat` it gives PaddleX's verdict instead. After an abort the
   * next check goes on with the images that were not looked at yet.
   *
   * @overload
   * @param {Running & { compat: Compat }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Running & { compat?: undefined, batchSize?: number, findings?: number, thumbnails?: boolean }} [options]
   *   `batchSize`: number of images of a training batch, 128 by default. `findings`: how many findings of each code the
   *   report has, 1000 by default. `thumbnails`: whether it has small pictures, true by default.
   * @returns {Promise<DatasetReport>}
   */
  /**
   * @param {Running & { compat?: Compat, batchSize?: number, findings?: number, thumbnails?: boolean }} [options]
   * @returns {Promise<DatasetReport | CompatVerdict>}
   */
  check({
    compat,
    batchSize = 128,
    findings = DEFAULT_FINDINGS,
    thumbnails = true,
    signal,
    onProgress = () => {},
  } = {}) {
    if (compat !== undefined) {
      return this.#paddlex(compat, signal, (beta, signal) => this.#main.request("compatCheck", { beta }, { signal }));
    }
    return this.#turns.run(signal, async (signal) => {
      checkWhole("batchSize", batchSize, 1, MOST_COUNT);
      checkWhole("findings", findings, 1, MOST_COUNT);
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
   * Cleans the data set: repairs line ends, byte order marks, separators and names, drops repeated rows, and moves
   * broken rows to `set_aside.tsv`. Faults of images are known from a check.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<FixOutcome>}
   */
  fix({ signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("fix", undefined, { signal }));
  }

  /**
   * Converts the data set from another form: `labelme`, `folders` (one for each class) or `csv`. Divisions of the
   * source become lists: `val` and `test` are divided into gallery and queries where there is neither. Images that the
   * source does not divide are divided, by default 50 : 30 : 20. The notes say what was taken as what. With `compat`
   * it converts from LabelMe as PaddleX does.
   *
   * @overload
   * @param {{ from?: string, compat: Compat, signal?: AbortSignal }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Shares & ConvertChoices & { from: "labelme" | "folders" | "csv", compat?: undefined, signal?: AbortSignal }}
   *   options
   * @returns {Promise<ConvertOutcome>}
   */
  /**
   * @param {Shares & ConvertChoices & { from?: string, compat?: Compat, signal?: AbortSignal }} options
   * @returns {Promise<ConvertOutcome | CompatVerdict>}
   */
  convert({
    from,
    compat,
    seed = 0,
    divisions = "auto",
    pathColumn,
    labelColumn,
    listColumn,
    table,
    skipFaulty = false,
    signal,
    ...shares
  }) {
    if (compat !== undefined) {
      // PaddleX accepts the name in this spelling only
      const form = from?.toLowerCase() === "labelme" ? "LabelMe" : from;
      return this.#paddlex(compat, signal, (beta, signal) =>
        this.#main.request("compatConvert", { beta, from: form }, { signal }),
      );
    }
    return this.#turns.run(signal, async (signal) => {
      const request = {
        from: String(from),
        percent: toPercent(shares, [50, 30, 20]),
        seed: checkWhole("seed", seed, 0),
        choices: {
          divisions: checkOneOf("divisions", divisions, DIVISIONS),
          pathColumn: toColumn("pathColumn", pathColumn),
          labelColumn: toColumn("labelColumn", labelColumn),
          listColumn: toColumn("listColumn", listColumn),
          table: toColumn("table", table),
          skipFaulty: skipFaulty === true,
        },
      };
      return this.#main.request("convert", request, { signal });
    });
  }

  /**
   * Divides all images again, by default 70 : 20 : 10. Copies of one picture stay together: to find them, images that
   * no check has looked at are looked at now, unless `ignoreCopies` is set. `by: "class"` divides the classes, so that
   * training sees no class of the queries. With `compat` it divides as PaddleX does.
   *
   * @overload
   * @param {Running & Shares & { compat: Compat }} options
   * @returns {Promise<CompatVerdict>}
   */
  /**
   * @overload
   * @param {Running & Shares & { compat?: undefined, by?: "image" | "class", allowAbsent?: boolean, ignoreCopies?:
   *   boolean }} [options] `allowAbsent`: a class may have queries and no image in the gallery
   * @returns {Promise<ListSizes>}
   */
  /**
   * @param {Running & Shares & { compat?: Compat, by?: "image" | "class", allowAbsent?: boolean, ignoreCopies?: boolean
   *   }} [options]
   * @returns {Promise<ListSizes | CompatVerdict>}
   */
  split({
    compat,
    by = "image",
    allowAbsent = false,
    ignoreCopies = false,
    seed = 0,
    signal,
    onProgress = () => {},
    ...shares
  } = {}) {
    if (compat !== undefined) {
      const percent = [shares.train, shares.gallery, shares.query];
      return this.#paddlex(compat, signal, (beta, signal) =>
        this.#main.request("compatSplit", { beta, percent, seed: checkWhole("seed", seed, 0) }, { signal }),
      );
    }
    return this.#turns.run(signal, async (signal) => {
      checkOneOf("by", by, ["image", "class"]);
      const request = {
        percent: toPercent(shares, [70, 20, 10]),
        seed: checkWhole("seed", seed, 0),
        byClass: by === "class",
        allowAbsent,
      };
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
   * Lists the paths of all files as they are now, relative to the top of the archive or folder.
   *
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string[]>}
   */
  paths({ signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("paths", undefined, { signal }));
  }

  /**
   * Reads one file as it is now, such as `train.txt`.
   *
   * @param {string} path
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  read(path, { signal } = {}) {
    return this.#turns.run(signal, (signal) => this.#main.request("read", path, { signal }));
  }

  /**
   * Packs all files as they are now into one zip. The browser keeps it like a download, so it is never in memory as a
   * whole.
   *
   * @param {Running} [options]
   * @returns {Promise<Blob>}
   */
  toZip({ signal, onProgress = () => {} } = {}) {
    return this.#turns.run(signal, (signal) => {
      const relay = (/** @type {[loaded: number, total: number]} */ [loaded, total]) =>
        onProgress({ stage: "pack", loaded, total, fraction: total ? loaded / total : 1 });
      return this.#main.request("zip", undefined, { signal, onProgress: relay });
    });
  }

  /** Stops all calls and frees the memory. A second call does nothing. */
  dispose() {
    this.#turns.end();
    this.#main.close(disposed());
  }

  // in browsers without Symbol.dispose this is a method with the name "undefined", which does no harm
  [Symbol.dispose]() {
    this.dispose();
  }

  /**
   * @param {unknown} compat
   * @param {AbortSignal | undefined} signal
   * @param {(beta: boolean, signal: AbortSignal) => Promise<CompatVerdict>} ask
   * @returns {Promise<CompatVerdict>}
   */
  #paddlex(compat, signal, ask) {
    return this.#turns.run(signal, async (signal) => {
      const beta = checkOneOf("compat", compat, COMPATS) === "paddlex-beta";
      return ask(beta, signal);
    });
  }

  /**
   * Looks at all images that were not looked at yet. Resolves with the number of all images.
   *
   * @param {Lookers} lookers
   * @param {AbortSignal} signal
   * @param {(event: ProgressEvent) => void} onProgress
   */
  async #look(lookers, signal, onProgress) {
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

function disposed() {
  return new ImageFeatureError("usage", "this Dataset was disposed of; open it again");
}

/**
 * A name, or the number of a column.
 *
 * @param {string} name
 * @param {unknown} value
 */
function toColumn(name, value) {
  if (value === undefined) return undefined;
  check(typeof value === "string" || Number.isInteger(value), `${name} must be a string`, value);
  return String(value);
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
    check(Number.isFinite(value), `${name} must be a number of percent`, value);
    return value;
  });
}
