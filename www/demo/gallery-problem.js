import { h } from "./component.js";

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
export function problem(title, { kind, message }) {
  return h("div", { className: "error", role: "alert", tabIndex: -1, "data-focus": true }, h("strong", {}, title), h("p", { className: "error-message" }, message), ADVICE[kind] && h("p", {}, ADVICE[kind]));
}
