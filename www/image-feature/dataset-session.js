/**
 * One opened data set: what a worker holds of it.
 *
 * The first worker knows the lists, the facts of all images, and what has been changed. Those beside it look at images.
 */

import { startDatasetCore } from "./core.js";
import { ImageFeatureError, throwIfAborted } from "./errors.js";
import { RelayedProgress } from "./progress.js";

/**
 * @typedef {import("./wasm/dataset/image_feature.js").DatasetFiles} DatasetFiles
 * @typedef {import("./bridge.js").Call} Call
 * @typedef {{ name: string, source: import("./dataset-source.js").DatasetSource, encoding?: string, wasm?: string, compiled?: import("./protocol.js").Compiled }} OpenDatasetRequest
 * @typedef {[place: number, facts: string]} PlacedFacts
 */

/** Parts of a zip that go to the browser together. */
const PART_BYTES = 8 * 2 ** 20;

const THUMBNAIL = { type: "image/jpeg", quality: 0.72 };

/** What Windows packs names in, by language. */
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
 * The encodings that names in an archive may have which does not say so, the likeliest first.
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

/** What a worker answers about a data set. */
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
      /** @type {Call} */ { signal, onProgress },
    ) {
      const { DatasetFiles } = await startDatasetCore({
        signal,
        progress: new RelayedProgress(onProgress),
        folder: wasm,
        compiled,
      });
      throwIfAborted(signal);
      opened =
        "archive" in source
          ? DatasetFiles.fromArchive(name, source.archive, encoding, likelyEncodings(navigator.languages))
          : DatasetFiles.fromFolder(name, source.paths, source.blobs);
      return { value: { isStream: opened.isStream } };
    },

    /** Pairs of place and file of the images that nobody has looked at, and how many there are in all. */
    async unknownImages() {
      const pairs = files().unknown();
      return { value: { pairs, total: files().imageCount() }, transfer: [pairs.buffer] };
    },

    /** The facts of images, of which pairs of place and file are given. */
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

    /** Of an image that the WebAssembly did not survive. */
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

    /** The report, and the files of which it shows small pictures. */
    async report(/** @type {{ findings: number, batchSize: number }} */ { findings, batchSize }) {
      return { value: { report: JSON.parse(files().report(findings, batchSize)), shown: JSON.parse(files().shown()) } };
    },

    /** Small pictures as data URIs, of images that can be read. */
    async thumbnails(/** @type {[file: number, path: string][]} */ shown) {
      /** @type {[path: string, uri: string][]} */
      const value = [];
      for (const [file, path] of shown) {
        const picture = files().thumbnail(file);
        if (!picture) continue;
        const canvas = new OffscreenCanvas(picture.width, picture.height);
        canvas.getContext("2d")?.putImageData(picture, 0, 0);
        // it exists in workers only, where this runs
        const { FileReaderSync } =
          /** @type {{ FileReaderSync: new () => { readAsDataURL: (blob: Blob) => string } }} */ (
            /** @type {unknown} */ (globalThis)
          );
        value.push([path, new FileReaderSync().readAsDataURL(await canvas.convertToBlob(THUMBNAIL))]);
      }
      return { value };
    },

    async paths() {
      return { value: files().paths() };
    },

    async read(/** @type {string} */ path) {
      const value = files().read(path);
      return { value, transfer: [value.buffer] };
    },

    async fix() {
      return { value: JSON.parse(files().fix()) };
    },

    async convert(/** @type {{ from: string, percent: number[], seed: number }} */ { from, percent, seed }) {
      return { value: JSON.parse(files().convert(from, Float64Array.from(percent), seed)) };
    },

    async split(
      /** @type {{ percent: number[], seed: number, byClass: boolean, allowAbsent: boolean }} */ {
        percent,
        seed,
        byClass,
        allowAbsent,
      },
    ) {
      return { value: JSON.parse(files().split(Float64Array.from(percent), seed, byClass, allowAbsent)) };
    },

    async compatCheck(/** @type {{ beta: boolean }} */ { beta }) {
      return { value: JSON.parse(files().compatCheck(beta)) };
    },

    async compatConvert(/** @type {{ beta: boolean, from?: string }} */ { beta, from }) {
      return { value: JSON.parse(files().compatConvert(beta, from)) };
    },

    async compatSplit(
      /** @type {{ beta: boolean, percent: (number | undefined)[], seed: number }} */ { beta, percent, seed },
    ) {
      return { value: JSON.parse(files().compatSplit(beta, percent, seed)) };
    },

    /** A zip of all files, in parts that the browser keeps where it likes: never more than a part is in our memory. */
    async zip(/** @type {undefined} */ _, /** @type {Call} */ { signal, onProgress }) {
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
          // lets an abort be heard
          await new Promise((resolve) => setTimeout(resolve));
          throwIfAborted(signal);
        }
        if (!next) return { value: new Blob(parts, { type: "application/zip" }) };
      }
    },
  };
}
