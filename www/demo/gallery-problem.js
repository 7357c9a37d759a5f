import { problemCard } from "./problem-card.js";

/** Advice for each kind of error. */
const ADVICE = {
  decode: "Choose another image: this one is damaged.",
  unsupported: "",
  limit: "",
  model: "",
  gallery: "Take a copy of the file that is whole, or build the gallery again.",
  io: "Choose it again: files that were moved or changed meanwhile cannot be read.",
  device: "Choose another device.",
  usage: "",
  cancelled: "",
  internal: "This is a fault of the page. Reload it and try again; the browser's console says more.",
};

/**
 * An element that shows an error.
 *
 * @param {string} title
 * @param {import("../image-feature/index.js").ImageFeatureError} error
 */
export function problem(title, error) {
  return problemCard(title, error, ADVICE);
}
