import { problemCard } from "./problem-card.js";

/** What to do about an error, by its kind. */
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
 * An error as the page shows it.
 *
 * @param {string} title
 * @param {import("../image-feature/index.js").ImageFeatureError} error
 */
export function problem(title, error) {
  return problemCard(title, error, ADVICE);
}
