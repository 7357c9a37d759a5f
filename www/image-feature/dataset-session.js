/**
 * One opened data set: what a worker holds of it.
 *
 * The first worker knows the lists, the facts of all images, and all changes. Further workers only look at images.
 */

import { startDatasetCore } from "./core.js";
import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { readMessages } from "./messages.js";
import { languages } from "./platform.js";
import { RelayedProgress } from "./progress.js";

/**
 * @typedef {import("./wasm/dataset/image_feature.js").DatasetFiles} DatasetFiles
 * @typedef {import("./dataset-types.js").DatasetReport} DatasetReport
 * @typedef {import("./dataset-types.js").CompatVerdict} CompatVerdict
 * @typedef {import("./dataset-types.js").ConvertChoices} ConvertChoices
 * @typedef {import("./dataset-types.js").ConvertOutcome} ConvertOutcome
 * @typedef {import("./dataset-types.js").FixOutcome} FixOutcome
 * @typedef {import("./dataset-types.js").ListSizes} ListSizes
 *
 * @typedef {object} OpenDatasetRequest
 * @property {string} name
 * @property {import("./dataset-source.js").DatasetSource} source
 * @property {string} [encoding]
 * @property {string} [wasm]
 * @property {import("./protocol.js").Compiled} [compiled]
 *
 * @typedef {[place: number, facts: string]} PlacedFacts the facts of an image as JSON
 * @typedef {[file: number, path: string]} ShownImage an image of which the report shows a small picture
 */

/**
 * @template [Progress=never]
 * @typedef {import("./bridge.js").Call<Progress>} Call
 */

/** @typedef {ReturnType<typeof createDatasetHandlers>} DatasetMethods */

/** Size of the parts of a zip that are given to the browser. */
const PART_BYTES = 8 * 2 ** 20;

const THUMBNAIL = { type: "image/jpeg", quality: 0.72 };

/** The encoding in which Windows writes names and lists, by language. */
const OLD_ENCODINGS = {
  zh: "gbk",
  "zh-tw": "big5",
  "zh-hk": "big5",
  "zh-hant": "big5",
  ja: "shift_jis",
  ko: "euc-kr",
  ru: "ibm866",
  uk: "ibm866",
};

/**
 * The encodings that lists may have, and names in an archive that does not name its encoding; the likeliest first.
 *
 * @param {readonly string[]} languages of the user, the preferred one first
 */
function likelyEncodings(languages) {
  const known = /** @type {Record<string, string>} */ (OLD_ENCODINGS);
  const theirs = languages
    .map((language) => language.toLowerCase())
    .map((language) => known[language] ?? known[language.split("-")[0]]);
  // most users of PaddleX are Chinese
  return [...new Set([...theirs.filter((encoding) => encoding !== undefined), "gbk", "shift_jis", "big5", "euc-kr"])];
}

/** The handlers of a worker for one data set. */
export function createDatasetHandlers() {
  /** @type {DatasetFiles | undefined} */
  let opened;
  const files = () => {
    if (!opened) throw new ImageFeatureError("internal", "no data set is opened");
    return opened;
  };
  return {
    async openDataset(
      /** @type {OpenDatasetRequest} */ { name, source, encoding, wasm, compiled },
      /** @type {Call<import("./progress.js").RelayedMessage>} */ { signal, onProgress },
    ) {
      const progress = new RelayedProgress(onProgress);
      const { DatasetFiles } = await startDatasetCore({ signal, progress, folder: wasm, compiled });
      throwIfAborted(signal);
      const guesses = likelyEncodings(languages());
      opened =
        "archive" in source
          ? DatasetFiles.fromArchive(name, source.archive, encoding, guesses)
          : DatasetFiles.fromFolder(name, source.paths, source.blobs, source.unreadable, encoding, guesses);
      return { value: { isStream: opened.isStream } };
    },

    /** The images that were not looked at yet, as pairs of place and file; and the number of all images. */
    async unknownImages() {
      const pairs = files().unknown();
      return { value: { pairs, total: files().imageCount() }, transfer: [pairs.buffer] };
    },

    /** The facts of some images, given as pairs of place and file. */
    async lookAt(/** @type {Uint32Array} */ pairs) {
      /** @type {PlacedFacts[]} */
      const value = [];
      for (let at = 0; at < pairs.length; at += 2) value.push([pairs[at], files().look(pairs[at + 1])]);
      return { value };
    },

    async takeFacts(/** @type {PlacedFacts[]} */ facts) {
      for (const [place, text] of facts) files().take(place, text);
      return {};
    },

    /** Takes the news that the WebAssembly stopped over an image. */
    async takeBroken(/** @type {{ place: number, message: string }} */ { place, message }) {
      files().takeBroken(place, message);
      return {};
    },

    async problems() {
      return { value: files().problems() };
    },

    async takeProblems(/** @type {string} */ problems) {
      files().takeProblems(problems);
      return {};
    },

    /** The report, and the images of which it shows small pictures. */
    async report(/** @type {{ findings: number, batchSize: number }} */ { findings, batchSize }) {
      const report = /** @type {DatasetReport} */ (JSON.parse(files().report(findings, batchSize)));
      const shown = /** @type {ShownImage[]} */ (JSON.parse(files().shown()));
      return { value: { report, shown } };
    },

    /** Small pictures as data URIs, of the images that can be read. */
    async thumbnails(/** @type {ShownImage[]} */ shown) {
      /** @type {[path: string, uri: string][]} */
      const value = [];
      for (const [file, path] of shown) {
        const picture = files().thumbnail(file);
        if (picture) value.push([path, await toDataUri(picture)]);
      }
      return { value };
    },

    async paths() {
      return { value: files().paths() };
    },

    async read(/** @type {string} */ path) {
      const value = /** @type {Uint8Array<ArrayBuffer>} */ (files().read(path));
      return { value, transfer: [value.buffer] };
    },

    async fix() {
      return { value: /** @type {FixOutcome} */ (JSON.parse(files().fix())) };
    },

    async convert(
      /** @type {{ from: string, percent: number[], seed: number, choices: ConvertChoices }} */ {
        from,
        percent,
        seed,
        choices,
      },
    ) {
      const outcome = files().convert(from, Float64Array.from(percent), seed, JSON.stringify(choices));
      return { value: /** @type {ConvertOutcome} */ (JSON.parse(outcome)) };
    },

    async split(
      /** @type {{ percent: number[], seed: number, byClass: boolean, allowAbsent: boolean }} */ {
        percent,
        seed,
        byClass,
        allowAbsent,
      },
    ) {
      const sizes = files().split(Float64Array.from(percent), seed, byClass, allowAbsent);
      return { value: /** @type {ListSizes} */ (JSON.parse(sizes)) };
    },

    async compatCheck(/** @type {{ beta: boolean }} */ { beta }) {
      return { value: toVerdict(files().compatCheck(beta)) };
    },

    async compatConvert(/** @type {{ beta: boolean, from?: string }} */ { beta, from }) {
      return { value: toVerdict(files().compatConvert(beta, from)) };
    },

    async compatSplit(
      /** @type {{ beta: boolean, percent: (number | undefined)[], seed: number }} */ { beta, percent, seed },
    ) {
      return { value: toVerdict(files().compatSplit(beta, percent, seed)) };
    },

    /** All files in one zip. It is given to the browser part by part, so that no more than a part is in memory here. */
    async zip(/** @type {undefined} */ _, /** @type {Call<[loaded: number, total: number]>} */ { signal, onProgress }) {
      const total = files().beginZip();
      /** @type {Blob[]} */
      const parts = [];
      /** @type {Uint8Array<ArrayBuffer>[]} */
      let gathered = [];
      let bytes = 0;
      for (let loaded = 0; ; loaded++) {
        const next = /** @type {Uint8Array<ArrayBuffer> | undefined} */ (files().nextOfZip());
        if (next) gathered.push(next);
        bytes += next?.length ?? 0;
        if (bytes >= PART_BYTES || !next) {
          parts.push(new Blob(gathered));
          [gathered, bytes] = [[], 0];
          onProgress([Math.min(loaded, total), total]);
          await readMessages(signal);
        }
        if (!next) return { value: new Blob(parts, { type: "application/zip" }) };
      }
    },
  };
}

/** @param {string} json */
function toVerdict(json) {
  return /** @type {CompatVerdict} */ (JSON.parse(json));
}

/** @param {ImageData} picture */
async function toDataUri(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  // only workers have this class, and this code runs in workers only
  const { FileReaderSync } = /** @type {{ FileReaderSync: new () => { readAsDataURL: (blob: Blob) => string } }} */ (
    /** @type {unknown} */ (globalThis)
  );
  return new FileReaderSync().readAsDataURL(await canvas.convertToBlob(THUMBNAIL));
}
