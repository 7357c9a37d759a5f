import { h } from "../report/component.js";
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
 * @param {{ words: string, run: () => unknown } | false} [anyway] a button that does it nevertheless
 */
export function problem(title, error, anyway = false) {
  const card = problemCard(title, error, ADVICE);
  if (anyway)
    card.append(h("button", { type: "button", className: "button small", on: { click: anyway.run } }, anyway.words));
  return card;
}

/**
 * Whether the package refused something that this option allows.
 *
 * @param {"anyModel" | "replace"} option
 * @param {import("../image-feature/index.js").ImageFeatureError} error
 */
export function allows(option, { kind, message }) {
  return kind === "usage" && message.includes(`\`${option}`);
}
