/** Elements that show pictures of a collection. */

import { h } from "../report/component.js";
import { sampleLabel, t } from "./language.js";
import { sampleAddress } from "./sample-gallery.js";

/** @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry */

/** The only data URIs that are shown as pictures: gallery files may come from anybody. */
const PICTURE = /^data:image\/(webp|jpeg|png|gif);base64,[a-z0-9+/=]+$/i;
/** Names of the sample's pictures. */
const SAMPLE = /^[a-z0-9-]+\.webp$/;

/**
 * The address of the small picture in an entry's metadata.
 *
 * @param {GalleryEntry} entry
 * @returns {string | undefined}
 */
export function pictureAddress({ meta }) {
  const { thumbnail, sample } = meta ?? {};
  if (typeof thumbnail === "string" && PICTURE.test(thumbnail)) return thumbnail;
  if (typeof sample === "string" && SAMPLE.test(sample)) return sampleAddress(sample);
  return undefined;
}

/** The label of an entry, as it is shown. @param {GalleryEntry} entry */
export function labelOf({ label, meta }) {
  return label !== undefined && meta?.sample !== undefined ? sampleLabel(label) : label;
}

/**
 * The small picture of an entry. Without one, the ending of the entry's name.
 *
 * @param {GalleryEntry} entry
 */
export function entryPicture(entry) {
  const src = pictureAddress(entry);
  if (src) return frame(h("img", { src, alt: "", decoding: "async" }));
  return frame(h("span", { className: "ending" }, /\.(\w{1,5})$/.exec(entry.id)?.[1].toUpperCase() ?? "–"));
}

/** @param {Node} inside */
export function frame(inside) {
  return h("span", { className: "gallery-picture" }, inside);
}

/**
 * An entry as a card.
 *
 * @param {GalleryEntry} entry
 * @param {{ score?: string, mark?: "right" | "wrong" }} [options]
 */
export function entryCard(entry, { score, mark } = {}) {
  const words = h(
    "span",
    { className: "gallery-words" },
    score !== undefined && h("span", { className: "gallery-score" }, score),
    h("span", { className: "gallery-label" }, labelOf(entry) ?? h("span", { className: "muted" }, t("search.noLabel"))),
    h("span", { className: "gallery-id muted" }, entry.id),
  );
  return h("div", { className: "gallery-card", title: entry.id, "data-mark": mark }, entryPicture(entry), words);
}

/**
 * A score as text.
 *
 * @param {number} score
 * @param {import("../image-feature/index.js").Metric} metric
 * @param {number} [digits]
 */
export function scoreText(score, metric, digits = 4) {
  return metric === "hamming" ? String(score) : score.toFixed(digits);
}
