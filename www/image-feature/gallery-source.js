/** The inputs of `Gallery.fromFile`. Their format is recognised by the content of the files. */

import { toDatasetSource } from "./dataset-source.js";
import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { isHidden } from "./hidden-files.js";

/**
 * A file that says what rows or ids are.
 *
 * @typedef {{ name: string, file: Blob }} Beside
 *
 * The form in which a worker opens it.
 *
 * @typedef {{ form: "empty", dimension: number }
 *   | { form: "gallery" | "jsonl" | "npz", file: Blob }
 *   | { form: "npy", file: Blob, beside?: Beside }
 *   | { form: "paddlex", vectors: Blob, labels?: Beside }} GallerySource
 *
 * @typedef {{ path: string, file: Blob }} Given
 */

/** The files of PaddleX's index folder. */
export const VECTORS = "vector.index";
export const LABELS = "id_map.yaml";
/** The names of its labels: PaddleX's, that of its beta versions, and PaddleClas's. */
const LABEL_FILES = [LABELS, "index_info.yaml", "id_map.pkl"];

/** The first bytes of FAISS's index files. */
const FAISS = /^(Ix|IH|Iw|IB)/;
/** Files that have vectors, unless a `.jsonl` lies beside a matrix. */
const HAS_VECTORS = /(^|\/)vector\.index$|\.(npy|npz|safetensors|jsonl)$/i;
/** Files that may say what the rows of a matrix are. */
const SAYS_ROWS = /\.(jsonl|csv|txt)$/i;

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
      : source.paths.map((path, at) => ({ path, file: source.blobs[at] })).filter(({ path }) => !isHidden(path));
  const one = withVectors(name, all);
  const start = new Uint8Array(await read(() => one.file.slice(0, 16).arrayBuffer()));
  throwIfAborted(signal);
  const text = String.fromCharCode(...start);
  const { path, file } = one;
  if (LABEL_FILES.includes(baseOf(path).toLowerCase()))
    throw new ImageFeatureError(
      "usage",
      `${name}: labels without their vectors; give ${VECTORS}, which lies beside it, too`,
    );
  const isMatrix = text.startsWith("\x93NUMPY") || /\.npy$/i.test(path);
  if (labels && !isMatrix)
    throw new ImageFeatureError(
      "usage",
      `${name}: \`labels\` are of the rows of a .npy file, and this is another file`,
    );
  if (text.startsWith("\x1f\x8b"))
    throw new ImageFeatureError("usage", `${name}: the file is compressed; unpack it and give what is inside`);
  if (FAISS.test(text) || baseOf(path).toLowerCase() === VECTORS)
    return { name, source: { form: "paddlex", vectors: file, labels: labelsOf(name, one, all) } };
  if (isMatrix) return { name, source: { form: "npy", file, beside: besideOf(name, one, all, labels) } };
  if (text.startsWith("PK")) return { name, source: { form: "npz", file } };
  const isLines = /^(\xef\xbb\xbf)?\s*\{/.test(text) || /\.jsonl$/i.test(path);
  return { name, source: { form: isLines ? "jsonl" : "gallery", file } };
}

/**
 * The one file with vectors.
 *
 * @param {string} name
 * @param {Given[]} all
 */
function withVectors(name, all) {
  if (all.length === 1) return all[0];
  const matrices = new Set(all.filter(({ path }) => /\.npy$/i.test(path)).map(({ path }) => stemOf(path)));
  const isAlone = matrices.size === 1 && all.filter(({ path }) => HAS_VECTORS.test(path)).length === 2;
  const found = all.filter(({ path }) => {
    if (!HAS_VECTORS.test(path)) return false;
    // a matrix and one file of lines belong together, whatever their names
    return !/\.jsonl$/i.test(path) || !(matrices.has(stemOf(path)) || isAlone);
  });
  if (found.length === 1) return found[0];
  if (found.length === 0)
    throw new ImageFeatureError(
      "usage",
      `${name}: a gallery is one file, a .npy file with its labels, or PaddleX's ${VECTORS} and ${LABELS}; not ${all.length} files`,
    );
  throw new ImageFeatureError(
    "usage",
    `${name}: ${found.length} files have vectors: ${namesOf(found)}; give one of them`,
  );
}

/**
 * The labels of an index, from its own folder.
 *
 * @param {string} name
 * @param {Given} index
 * @param {Given[]} all
 * @returns {Beside | undefined}
 */
function labelsOf(name, index, all) {
  const folder = folderOf(index.path);
  const found = all.filter(({ path }) => folderOf(path) === folder && LABEL_FILES.includes(baseOf(path).toLowerCase()));
  return only(name, "labels", found);
}

/**
 * The file that says what the rows of a matrix are: the one of its name, or the only one.
 *
 * @param {string} name
 * @param {Given} matrix
 * @param {Given[]} all
 * @param {readonly string[]} [labels]
 * @returns {Beside | undefined}
 */
function besideOf(name, matrix, all, labels) {
  const may = all.filter(({ path }) => SAYS_ROWS.test(path));
  const same = may.filter(({ path }) => stemOf(path) === stemOf(matrix.path));
  const beside = only(name, "what the rows are", same.length > 0 ? same : may);
  if (!labels) return beside;
  if (beside)
    throw new ImageFeatureError("usage", `${name}: \`labels\` and ${beside.name} both say what the rows are; give one`);
  const broken = labels.find((label) => typeof label !== "string" || /[\r\n]/.test(label));
  if (broken !== undefined)
    throw new ImageFeatureError("usage", `${name}: a label is a text of one line, got ${JSON.stringify(broken)}`);
  return { name: "labels.txt", file: new Blob(labels.map((label) => `${label}\n`)) };
}

/**
 * @param {string} name
 * @param {string} what
 * @param {Given[]} found
 * @returns {Beside | undefined}
 */
function only(name, what, found) {
  if (found.length > 1)
    throw new ImageFeatureError("usage", `${name}: several files say ${what}: ${namesOf(found)}; give one of them`);
  const [one] = found;
  return one && { name: baseOf(one.path), file: one.file };
}

/** @param {Given[]} files */
function namesOf(files) {
  const shown = files.slice(0, 10).map(({ path }) => path);
  return shown.join(", ") + (files.length > shown.length ? ` and ${files.length - shown.length} more` : "");
}

/** @param {string} path */
const baseOf = (path) => path.slice(path.lastIndexOf("/") + 1);
/** @param {string} path */
const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);
/** @param {string} path */
const stemOf = (path) => path.replace(/\.[^./]*$/, "");

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
