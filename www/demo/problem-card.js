import { h } from "../report/component.js";

/**
 * An element that shows an error, with advice.
 *
 * @param {string} title
 * @param {import("../image-feature/index.js").ImageFeatureError} error
 * @param {Record<import("../image-feature/index.js").ImageFeatureError["kind"], string>} advice by kind; empty where
 *   there is none
 */
export function problemCard(title, { kind, message }, advice) {
  return h(
    "div",
    { className: "error", role: "alert", tabIndex: -1, "data-focus": true },
    h("strong", {}, title),
    h("p", { className: "error-message" }, message),
    advice[kind] && h("p", {}, advice[kind]),
  );
}
