import { h } from "../report/component.js";
import { entryPicture, labelOf, scoreText } from "./gallery-card.js";
import { t } from "./language.js";

/**
 * A picture of a collection as a button, with its score if it is a hit.
 *
 * @param {import("../image-feature/index.js").GalleryEntry & { score?: number }} item
 * @param {import("../image-feature/index.js").Metric} metric
 * @param {() => void} on
 */
export function searchTile({ score, ...entry }, metric, on) {
  const label = labelOf(entry) ?? t("search.noLabel");
  const shown = score === undefined ? undefined : scoreText(score, metric, 3);
  return h(
    "button",
    { type: "button", className: "tile", title: entry.id, on: { click: on } },
    entryPicture(entry),
    h("span", { className: "tile-label" }, label),
    h("span", { className: "tile-name muted" }, entry.id),
    shown !== undefined &&
      h(
        "span",
        { className: "tile-score" },
        h("span", { className: "visually-hidden" }, `${t("search.likeness")} `),
        shown,
      ),
  );
}
