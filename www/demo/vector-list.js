import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";
import { pictureGrid } from "./picture-grid.js";
import { ProgressBar } from "./progress-bar.js";
import { downloadAllJson, downloadAllNpy } from "./results.js";
import { offerUndo } from "./undo-bar.js";
import { button, rowKey, vectorRow } from "./vector-row.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./workspace.js").Picture} Picture */

const STEPS = /** @type {const} */ (["add", "use", "model"]);
/** The heights of a row, of which the style sheet has the widths. */
const ROW = { wide: 124, narrow: 186 };
const NARROW = matchMedia("(max-width: 36rem)");

/** The images and their vectors. */
class VectorList extends Component {
  #empty = h("ol", { className: "steps" });
  #counts = h("p", { className: "counts" });
  #toolbar = h("div", { className: "toolbar" });
  #bar = new ProgressBar();
  #grid = pictureGrid({
    load: async (from, to) => workspace.pictures.slice(from, to),
    draw: (/** @type {Picture} */ picture) => vectorRow(picture, () => this.#remove(picture)),
    key: rowKey,
  });
  #drawing = 0;

  /** @override */
  connect() {
    const step = (/** @type {typeof STEPS[number]} */ name) =>
      h("li", {}, h("h2", {}, t(`vectors.${name}`)), h("p", { className: "muted" }, t(`vectors.${name}How`)));
    fill(this.#empty, ...STEPS.map(step));
    fill(this, this.#empty, this.#toolbar, this.#bar.element, this.#grid);
    this.listen(workspace, "images model image", () => this.#later());
    this.listen(NARROW, "change", () => this.#render());
    this.#render();
  }

  /** However many images have changed, the list is drawn once a frame. */
  #later() {
    this.#drawing ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#drawing = 0;
    const { pictures, busy } = workspace;
    const n = pictures.length;
    this.#empty.hidden = n > 0;
    this.#toolbar.hidden = n === 0;
    this.#renderToolbar();
    const done = pictures.filter(({ state }) => state === "done").length;
    const failed = pictures.filter(({ state }) => state === "failed").length;
    const counts = [
      t("vectors.images", { n }),
      t("vectors.vectors", { n: done }),
      failed > 0 && t("vectors.failed", { n: failed }),
    ];
    this.#counts.textContent = counts.filter(Boolean).join(" · ");
    this.#bar.element.hidden = !busy || done + failed === n;
    this.#bar.update(t("vectors.progress", { done: done + failed, total: n }), n ? (done + failed) / n : 0);
    this.#grid.cell = { width: Number.MAX_SAFE_INTEGER, height: NARROW.matches ? ROW.narrow : ROW.wide };
    this.#grid.show(n, { label: t("tab.vectors") });
  }

  #renderToolbar() {
    const { pictures, busy } = workspace;
    const stopped = pictures.some(({ state }) => state === "stopped");
    const any = pictures.some(({ feature }) => feature);
    const state = `${busy} ${stopped} ${any} ${document.documentElement.lang}`;
    if (this.#toolbar.dataset.state === state) return;
    this.#toolbar.dataset.state = state;
    const hadFocus = this.#toolbar.contains(document.activeElement);
    fill(
      this.#toolbar,
      this.#counts,
      busy && button(t("vectors.stop"), () => workspace.stop()),
      !busy && stopped && button(t("vectors.resume"), () => workspace.resume()),
      any && button(t("vectors.allJson"), () => downloadAllJson(workspace.done)),
      any && button(t("vectors.allNpy"), () => downloadAllNpy(workspace.done)),
      button(t("vectors.removeAll"), () => this.#removeAll()),
    );
    if (hadFocus) this.#toolbar.querySelector("button")?.focus();
  }

  /** @param {Picture} picture */
  #remove({ id, name }) {
    const at = workspace.pictures.findIndex((picture) => picture.id === id);
    const removed = workspace.removeImages([id]);
    offerUndo({ words: t("vectors.removed", { name }), undo: removed.restore, settle: removed.settle });
    this.#render();
    void this.#grid.focusAt(at);
  }

  #removeAll() {
    const { length: n } = workspace.pictures;
    const removed = workspace.removeImages(workspace.pictures.map(({ id }) => id));
    offerUndo({ words: t("vectors.removedAll", { n }), undo: removed.restore, settle: removed.settle });
    /** @type {HTMLElement | null} */ (document.querySelector("image-intake button"))?.focus();
  }
}

customElements.define("vector-list", VectorList);
