/** Shows on the first results where they look like the picture that is searched with. */

import { cosine } from "./similarity.js";
import { sampleFile } from "./sample-gallery.js";
import { searchState } from "./search-state.js";
import { workspace } from "./workspace.js";

/** Number of results that are looked at. */
const RESULTS = 3;
/** The picture is looked at in as many parts in each direction, each half as wide and high as the picture. */
const PARTS = 4;
const PART = 0.5;

/**
 * Computes the vectors of overlapping parts of the first results. A part is bright where its vector is near the query's.
 *
 * @param {import("../image-feature/index.js").GalleryHit[]} hits
 */
export async function agreement(hits) {
  const vector = await searchState.vector(new AbortController().signal);
  for (const hit of hits.slice(0, RESULTS)) {
    const file = await fileOf(hit);
    if (!file) continue;
    const scores = await scoresOf(file, vector);
    const tile = document.querySelector(`.tile[title="${CSS.escape(hit.id)}"] .gallery-picture`);
    tile?.querySelector(".agreement")?.remove();
    tile?.append(await veil(scores, file));
  }
}

/** @param {import("../image-feature/index.js").GalleryHit} hit */
async function fileOf({ id, meta }) {
  const { sample, thumbnail } = meta ?? {};
  if (typeof sample === "string") return sampleFile(sample);
  if (typeof thumbnail !== "string") return undefined;
  return new File([await (await fetch(thumbnail)).blob()], id);
}

/**
 * @param {File} file
 * @param {Float32Array} vector
 */
async function scoresOf(file, vector) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  bitmap.close();
  const [wide, high] = [Math.max(1, Math.floor(width * PART)), Math.max(1, Math.floor(height * PART))];
  const at = (/** @type {number} */ index, /** @type {number} */ room) => Math.round((index * room) / (PARTS - 1));
  const parts = Array.from({ length: PARTS * PARTS }, (_, index) => ({
    source: file,
    roi: {
      x: at(index % PARTS, width - wide),
      y: at(Math.floor(index / PARTS), height - high),
      width: wide,
      height: high,
    },
  }));
  const scores = [];
  for await (const { feature } of workspace.embedMany(parts, {})) scores.push(feature ? cosine(feature, vector) : 0);
  return scores;
}

/**
 * A dark layer that is clear where the scores are high.
 *
 * @param {number[]} scores
 * @param {File} file for its shape
 */
async function veil(scores, file) {
  const low = Math.min(...scores);
  const high = Math.max(...scores);
  const small = document.createElement("canvas");
  small.className = "agreement";
  small.width = small.height = PARTS;
  const context = small.getContext("2d");
  const pixels = new ImageData(PARTS, PARTS);
  scores.forEach((score, at) => {
    const share = high > low ? (score - low) / (high - low) : 1;
    pixels.data.set([10, 10, 30, Math.round(200 * (1 - share))], at * 4);
  });
  context?.putImageData(pixels, 0, 0);
  const bitmap = await createImageBitmap(file);
  small.style.setProperty("--ratio", `${bitmap.width} / ${bitmap.height}`);
  small.classList.toggle("tall", bitmap.height > bitmap.width);
  bitmap.close();
  return small;
}
