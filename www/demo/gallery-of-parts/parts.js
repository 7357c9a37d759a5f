/** All parts of the page in their states, on one page, without a model: for who changes the design, and for screenshots. */

import { ImageFeatureError } from "../../image-feature/index.js";
import { Component, fill, h } from "../../report/component.js";
import { fileButton } from "../file-button.js";
import { entryCard } from "../gallery-card.js";
import { problem } from "../gallery-problem.js";
import "../language-switch.js";
import { t } from "../language.js";
import { ProgressBar } from "../progress-bar.js";
import { searchTile } from "../search-tile.js";
import "../traffic-meter.js";
import { offerUndo } from "../undo-bar.js";
import { vectorRow } from "../vector-row.js";

const COLOURS = ["page", "panel", "sunken", "raised", "ink", "muted", "line", "accent", "accent-soft", "good", "bad"];
const ENTRY = { id: "hat-7.webp", label: "Hat", meta: { sample: "hat-7.webp" } };
const VECTOR = Float32Array.from({ length: 512 }, (_, at) => Math.sin(at / 9) * Math.cos(at / 40) * 0.06);
const nothing = () => {};

/** Every part with its name. */
class AllParts extends Component {
  /** @override */
  connect() {
    fill(
      this,
      part("Colours", h("div", { className: "swatches" }, ...COLOURS.map(swatch))),
      part("Buttons", h("div", { className: "actions" }, ...buttons())),
      part("Progress", bar(0), bar(0.37), bar(1)),
      part("A picture", searchTile(ENTRY, "cosine", nothing)),
      part("A result", searchTile({ ...ENTRY, score: 0.9612 }, "cosine", nothing)),
      part("A picture without its image and label", searchTile({ id: "photo.tiff" }, "cosine", nothing)),
      part(
        "Answers, right and wrong",
        h(
          "div",
          { className: "gallery-hits" },
          entryCard(ENTRY, { score: "0.9612", mark: "right" }),
          entryCard(ENTRY, { score: "0.4210", mark: "wrong" }),
        ),
      ),
      ...["decode", "gallery", "io", "device", "internal"].map((kind) => part(`An error: ${kind}`, failure(kind))),
      part("A notice", h("p", { className: "notice" }, t("search.copies"))),
      part("Empty", h("p", { className: "empty" }, t("search.noMatch"))),
      ...["waiting", "working", "done", "failed", "stopped"].map((state) => part(`A vector: ${state}`, row(state))),
      part("Undo", document.createElement("undo-bar")),
      part("What was sent", document.createElement("traffic-meter")),
    );
    offerUndo({ words: t("duplicates.taken", { name: ENTRY.id }), undo: nothing });
  }
}

/** @param {string} title @param {...Node} content */
function part(title, ...content) {
  return h("section", { className: "part", "aria-label": title }, h("h2", {}, title), ...content);
}

/** @param {string} colour */
function swatch(colour) {
  const element = h("span", { className: "swatch", title: `--${colour}` });
  element.style.setProperty("--colour", `var(--${colour})`);
  return element;
}

function buttons() {
  const button = (/** @type {string} */ className, disabled = false) =>
    h("button", { type: "button", className, disabled }, t("action.resume"));
  const choose = fileButton(t("search.choose"), { name: "file", on: nothing });
  return [button("button primary"), button("button"), button("button small"), button("button primary", true), choose];
}

/** @param {number} fraction */
function bar(fraction) {
  const progress = new ProgressBar();
  progress.update(t("search.looking", { done: Math.round(fraction * 122), total: 122 }), fraction);
  return progress.element;
}

/** @param {string} kind */
function failure(kind) {
  const error = new ImageFeatureError(/** @type {any} */ (kind), "photo.jpg: what is wrong, and where");
  return problem(t("search.failed"), error, kind === "device" && { words: t("search.anyway"), run: nothing });
}

/** @param {string} state */
function row(state) {
  const feature = state === "done" ? VECTOR : undefined;
  const error = state === "failed" ? new ImageFeatureError("decode", "photo.jpg ends early") : undefined;
  const picture = { id: 1, name: ENTRY.id, url: "../sample/hat-7.webp", state, feature, error, milliseconds: 8.6 };
  return vectorRow(/** @type {any} */ (picture), nothing);
}

customElements.define("all-parts", AllParts);
