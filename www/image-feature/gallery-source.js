/** The inputs of `Gallery.fromFile`. Their format is recognised by the content of the files. */

import { toDatasetSource } from "./dataset-source.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";

/**
 * The form in which a worker opens it. `entries` is a JSON list.
 *
 * @typedef {{ form: "empty", dimension: number }
 *   | { form: "gallery" | "jsonl", file: Blob }
 *   | { form: "npy", file: Blob, entries?: string }
 *   | { form: "paddlex", vectors: Blob, labels: Blob }} GallerySource
 */

/** The files of PaddleX's index folder. */
export const VECTORS = "vector.index";
export const LABELS = "id_map.yaml";

/** The first bytes of FAISS's index files. */
const FAISS = /^(IxM2|IxMp|IxFI|IxF2|IxFl|IHNf|IwFl)/;

/**
 * @param {import("./dataset-source.js").DatasetInput} input
 * @param {{ labels?: readonly string[], signal?: AbortSignal }} options
 * @returns {Promise<{ name: string, source: GallerySource }>}
 */
export async function toGallerySource(input, { labels, signal }) {
  const { name: called, source } = await toDatasetSource(input, signal);
  const name = called === "data set" ? "gallery" : called;
  const all =
    "archive" in source
      ? [{ path: name, file: source.archive }]
      : source.paths.map((path, at) => ({ path, file: source.blobs[at] }));
  const named = (/** @type {string} */ wanted) =>
    all.find(({ path }) => path.split("/").pop()?.toLowerCase() === wanted)?.file;
  const ending = (/** @type {string} */ wanted) => all.find(({ path }) => path.toLowerCase().endsWith(wanted))?.file;
  const vectors = named(VECTORS);
  const index = named(LABELS);
  if (vectors && index) return { name, source: { form: "paddlex", vectors, labels: index } };
  const matrix = ending(".npy");
  if (matrix) {
    const beside = ending(".jsonl");
    const list = ending(".txt");
    const entries = labels
      ? labelled(labels)
      : beside
        ? entriesOf(await textOf(beside))
        : list && labelled((await textOf(list)).replace(/\r?\n$/, "").split(/\r?\n/));
    return { name, source: { form: "npy", file: matrix, entries: entries && JSON.stringify(entries) } };
  }
  if (all.length !== 1) {
    throw new ImageFeatureError(
      "usage",
      `${name}: a gallery is one file, a .npy file with its labels, or PaddleX's ${VECTORS} and ${LABELS}; not ${all.length} files`,
    );
  }
  const [{ file }] = all;
  const start = new Uint8Array(await read(() => file.slice(0, 16).arrayBuffer()));
  throwIfAborted(signal);
  const text = String.fromCharCode(...start);
  if (text.startsWith("\x93NUMPY"))
    return { name, source: { form: "npy", file, entries: labels && JSON.stringify(labelled(labels)) } };
  if (FAISS.test(text))
    throw new ImageFeatureError(
      "usage",
      `${name}: an index without its labels; give ${LABELS}, which lies beside it, too`,
    );
  return { name, source: { form: /^(\xef\xbb\xbf)?\s*\{/.test(text) ? "jsonl" : "gallery", file } };
}

/** @param {readonly string[]} labels */
function labelled(labels) {
  return labels.map((label, row) => ({ id: `${row}`, label }));
}

/**
 * Parses entries, one in each line.
 *
 * @param {string} text
 */
function entriesOf(text) {
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line)];
    } catch (error) {
      throw new ImageFeatureError("gallery", `line ${at + 1} of the entries: ${/** @type {Error} */ (error).message}`);
    }
  });
}

/** @param {Blob} file */
function textOf(file) {
  return read(() => file.text());
}

/**
 * @template T
 * @param {() => Promise<T>} get
 */
async function read(get) {
  try {
    return await get();
  } catch (error) {
    throw toError(error, "io", "the file can no longer be read: it was moved or changed; drop or pick it again");
  }
}
