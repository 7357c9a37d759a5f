import { h } from "../report/component.js";
import { t } from "./language.js";

/**
 * An element that shows an error, with advice.
 *
 * @param {string} title
 * @param {import("../image-feature/index.js").ImageFeatureError} error
 * @param {Partial<Record<import("../image-feature/index.js").ImageFeatureError["kind"], import("./language.js").TextKey>>}
 *   advice by kind
 */
export function problemCard(title, { kind, message }, advice) {
  const words = advice[kind];
  return h(
    "div",
    { className: "error", role: "alert", tabIndex: -1, "data-focus": true },
    h("strong", {}, title),
    h("p", { className: "error-message" }, message),
    words && h("p", {}, t(words)),
  );
}
