/** The pictures of a collection that are the most alike. */

/**
 * @typedef {import("../image-feature/index.js").GalleryPair} GalleryPair
 * @typedef {{ size: number, metric: import("../image-feature/index.js").Metric, duplicates: (options: { threshold:
 *   number, signal?: AbortSignal }) => Promise<GalleryPair[]> }} Shelf
 */

/** Thresholds that are tried one after the other, until there are enough pairs. */
const TRIED = [0.98, 0.95, 0.9, 0.8, 0.6];
/** A comparison of each with each takes seconds in a collection of more pictures than this: it is made once. */
const LARGE = 5000;

/**
 * The closest pairs, about one for ten pictures, and the score of the last of them. Models differ in how alike copies
 * are to them, so the threshold comes from the collection and not from a table.
 *
 * @param {Shelf} shelf
 * @param {{ signal?: AbortSignal }} [options]
 */
export async function closestPairs(shelf, { signal } = {}) {
  const wanted = Math.min(Math.max(Math.ceil(shelf.size / 10), 3), 60);
  /** @type {GalleryPair[]} */
  let pairs = [];
  for (const threshold of shelf.size > LARGE ? TRIED.slice(1, 2) : TRIED) {
    pairs = await shelf.duplicates({ threshold, signal });
    if (pairs.length >= wanted) break;
  }
  const closest = pairs.toSorted((a, b) => b.score - a.score).slice(0, wanted);
  return { pairs: closest, threshold: closest.at(-1)?.score ?? TRIED[1] };
}
