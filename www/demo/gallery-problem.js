import { h } from "../report/component.js";
import { problemCard } from "./problem-card.js";

/** Advice for each kind of error, as a text's key. @type {Partial<Record<import("../image-feature/index.js").ImageFeatureError["kind"], import("./language.js").TextKey>>} */
const ADVICE = {
  decode: "advice.decode",
  gallery: "advice.gallery",
  io: "advice.io",
  device: "advice.device",
  internal: "advice.internal",
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
