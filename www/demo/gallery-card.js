/** Elements that show images of a gallery. */

import { h } from "../report/component.js";

/** @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry */

/** The only data URIs that are shown as pictures: gallery files may come from anybody. */
const PICTURE = /^data:image\/(webp|jpeg|png|gif);base64,[a-z0-9+/=]+$/i;

/**
 * The small picture in an entry's metadata. Without one, the ending of the entry's name.
 *
 * @param {GalleryEntry} entry
 */
export function entryPicture({ id, meta }) {
  const { thumbnail } = meta ?? {};
  if (typeof thumbnail === "string" && PICTURE.test(thumbnail))
    return frame(h("img", { src: thumbnail, alt: "", decoding: "async" }));
  return frame(h("span", { className: "ending" }, /\.(\w{1,5})$/.exec(id)?.[1].toUpperCase() ?? "–"));
}

/** @param {Node} inside */
export function frame(inside) {
  return h("span", { className: "gallery-picture" }, inside);
}

/**
 * An entry as a card. With `on` it is a button.
 *
 * @param {GalleryEntry} entry
 * @param {{ score?: string, mark?: "right" | "wrong", on?: () => void, title?: string }} [options]
 */
export function entryCard(entry, { score, mark, on, title = entry.id } = {}) {
  const words = h(
    "span",
    { className: "gallery-words" },
    score !== undefined && h("span", { className: "gallery-score" }, score),
    h("span", { className: "gallery-label" }, entry.label ?? h("span", { className: "muted" }, "no label")),
    h("span", { className: "gallery-id muted" }, entry.id),
  );
  const properties = { className: "gallery-card", title, "data-mark": mark };
  if (!on) return h("div", properties, entryPicture(entry), words);
  return h(
    "button",
    { type: "button", ...properties, "aria-label": `Search with ${entry.id}`, on: { click: on } },
    entryPicture(entry),
    words,
  );
}

/**
 * A score as text, with enough digits to distinguish scores.
 *
 * @param {number} score
 * @param {import("../image-feature/index.js").Metric} metric
 */
export function scoreText(score, metric) {
  return metric === "hamming" ? String(score) : score.toFixed(4);
}
