/** How a gallery's arguments are sent to its worker, and how results are made of its answers. */

import { checkNumber, checkText, checkWhole } from "./checks.js";
import { ImageFeatureError, toError } from "./errors.js";

/**
 * @typedef {import("./gallery-types.js").Evaluation} Evaluation
 * @typedef {import("./gallery-types.js").Feature} Feature
 * @typedef {import("./gallery-types.js").CalibrateOptions} CalibrateOptions
 * @typedef {import("./gallery-types.js").GalleryChange} GalleryChange
 * @typedef {import("./gallery-types.js").GalleryClass} GalleryClass
 * @typedef {import("./gallery-types.js").GalleryEntry} GalleryEntry
 * @typedef {import("./gallery-types.js").GalleryHit} GalleryHit
 * @typedef {import("./gallery-types.js").GalleryPair} GalleryPair
 * @typedef {import("./gallery-types.js").SearchOptions} SearchOptions
 * @typedef {import("./gallery-types.js").WorstQuery} WorstQuery
 * @typedef {import("./gallery-session.js").Found} Found
 * @typedef {import("./gallery-session.js").SearchRequest} SearchRequest
 */

/**
 * An entry as JSON and the file have it.
 *
 * @typedef {{ id: string, label?: string, metadata?: Record<string, unknown> }} PlainEntry
 * @typedef {{ label?: string | null, metadata?: Record<string, unknown> }} PlainChange
 */

/**
 * An evaluation as the worker gives it: entries are places in `entries`.
 *
 * @typedef {{ recall: [k: number, value: number | null][], mAP: number | null }} PlainScores
 * @typedef {Omit<WorstQuery, "entry" | "nearest"> & { entry: number | null, nearest: [place: number, score: number][]
 *   }} PlainWorst
 * @typedef {Omit<Evaluation, "scores" | "overall" | "worst"> & { scores: PlainScores, overall: PlainScores, worst:
 *   PlainWorst[], entries: PlainEntry[] }} PlainEvaluation
 */

/** The largest number that the WebAssembly takes. */
export const MOST_COUNT = 2 ** 32 - 1;
const DEFAULT_K = 10;
const DEFAULT_QUERIES = 20_000;
const DEFAULT_POINTS = 101;
const MOST_POINTS = 100_000;

/**
 * @param {Feature | undefined} feature
 * @param {string} place what errors call it
 */
export function toVector(feature, place) {
  if (feature instanceof Float32Array) return feature;
  if (feature && typeof feature === "object" && typeof feature.length === "number") return Float32Array.from(feature);
  throw new ImageFeatureError("usage", `${place}: a feature is a Float32Array or an array of numbers`);
}

/**
 * Features one after the other.
 *
 * @param {readonly { id?: string, feature?: Feature }[]} all
 * @param {number} dimension
 */
export function toVectors(all, dimension) {
  const vectors = new Float32Array(all.length * dimension);
  for (const [at, { id, feature }] of all.entries()) {
    const place = id === undefined ? `feature ${at}` : `id \`${id}\``;
    const vector = toVector(feature, place);
    if (vector.length !== dimension) {
      throw new ImageFeatureError(
        "usage",
        `${place}: a vector of ${vector.length} values; the gallery's have ${dimension}`,
      );
    }
    vectors.set(vector, at * dimension);
  }
  return vectors;
}

/**
 * @param {import("./makers.js").ModelId} model
 * @returns {import("./makers.js").ModelId}
 */
export function checkModel({ name, hash }) {
  return { name: checkText("the model's name", name), hash: checkText("the model's hash", hash) };
}

/** @param {unknown} id */
export function checkId(id) {
  return checkText("an id", id);
}

/**
 * @param {GalleryEntry} entry
 * @returns {PlainEntry}
 */
export function toPlainEntry({ id, label, meta }) {
  checkId(id);
  if (label !== undefined && label !== null) checkText(`id \`${id}\`: the label`, label);
  return { id, label: label ?? undefined, metadata: meta ?? undefined };
}

/**
 * @param {GalleryChange} change
 * @returns {PlainChange}
 */
export function toPlainChange({ id, label, meta }) {
  checkId(id);
  if (label !== null && label !== undefined) checkText(`id \`${id}\`: the label`, label);
  // through JSON: it leaves out what is `undefined`, and data that cannot be kept is refused here
  return JSON.parse(toJson({ label, metadata: meta }));
}

/**
 * @param {PlainEntry} entry
 * @returns {GalleryEntry}
 */
export function fromPlainEntry({ id, label, metadata }) {
  return { id, ...(label !== undefined && { label }), ...(metadata !== undefined && { meta: metadata }) };
}

/**
 * @param {string} json a list
 * @returns {GalleryEntry[]}
 */
export function fromPlainEntries(json) {
  return /** @type {PlainEntry[]} */ (JSON.parse(json)).map(fromPlainEntry);
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function toJson(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw toError(error, "usage", "metadata must be what JSON can hold");
  }
}

/**
 * @param {Omit<SearchOptions, "signal">} options
 * @returns {SearchRequest}
 */
export function toSearch({ k = DEFAULT_K, threshold, filter }) {
  checkWhole("k", k, 0, MOST_COUNT);
  if (threshold !== undefined) checkNumber("threshold", threshold);
  if (filter === undefined) return { k, threshold };
  const { meta, ...rest } = filter;
  return { k, threshold, filter: toJson({ ...rest, metadata: meta }) };
}

/**
 * @param {CalibrateOptions} options
 * @returns {import("./gallery-session.js").CalibrateRequest}
 */
export function toCalibration({ maxFalseAccepts, queries = DEFAULT_QUERIES, points = DEFAULT_POINTS }) {
  if (maxFalseAccepts !== undefined) checkNumber("maxFalseAccepts", maxFalseAccepts);
  checkWhole("queries", queries, 1, MOST_COUNT);
  checkWhole("points", points, 2, MOST_POINTS);
  return { maxFalseAccepts, queries, points };
}

/**
 * The hits of each query.
 *
 * @param {Found} found
 * @returns {GalleryHit[][]}
 */
export function hitsOf({ entries, counts, places, scores }) {
  const known = fromPlainEntries(entries);
  let at = 0;
  const hit = () => ({ ...known[places[at]], score: scores[at++] });
  return Array.from(counts, (count) => Array.from({ length: count }, hit));
}

/**
 * The hits by label, each with the best and the mean score.
 *
 * @param {Found} found
 * @returns {GalleryClass[]}
 */
export function classesOf(found) {
  return hitsOf(found).map((hits) => ({
    label: hits[0].label ?? null,
    best: hits[0].score,
    mean: Math.fround(hits.reduce((sum, { score }) => sum + score, 0) / hits.length),
    hits,
  }));
}

/**
 * Tells the progress of work on all vectors of a gallery.
 *
 * @param {number} total number of vectors
 * @param {((event: import("./progress.js").ProgressEvent) => void) | undefined} listener
 * @returns {(share: number) => void} takes the share that is done
 */
export function comparing(total, listener) {
  return (share) => listener?.({ stage: "compare", loaded: Math.floor(share * total), total, fraction: share });
}

/**
 * @param {Found} found
 * @returns {GalleryPair[]}
 */
export function pairsOf({ entries, places, scores }) {
  const known = fromPlainEntries(entries);
  return Array.from(scores, (score, at) => ({
    first: known[places[2 * at]],
    second: known[places[2 * at + 1]],
    score,
  }));
}

/**
 * @param {PlainEvaluation} evaluation
 * @returns {Evaluation}
 */
export function toEvaluation({ scores, overall, worst, entries, ...rest }) {
  const known = entries.map(fromPlainEntry);
  const byK = (/** @type {PlainScores} */ { recall, mAP }) => ({ recall: Object.fromEntries(recall), mAP });
  return {
    ...rest,
    scores: byK(scores),
    overall: byK(overall),
    worst: worst.map(({ entry, nearest, ...one }) => ({
      ...one,
      ...(entry !== null && { entry: known[entry] }),
      nearest: nearest.map(([place, score]) => ({ ...known[place], score })),
    })),
  };
}
