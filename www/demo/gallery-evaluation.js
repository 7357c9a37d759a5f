import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { evaluationReport, percent } from "./evaluation-report.js";
import { entryPicture, frame } from "./gallery-card.js";
import { smallPicture } from "./gallery-pictures.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { ProgressBar } from "./progress-bar.js";
import { sampleGallery } from "./sample-gallery.js";
import { t } from "./language.js";
import { searchState } from "./search-state.js";

/**
 * @typedef {import("./gallery-pictures.js").Source} Source
 */

const RECALL_AT = [1, 5];

/** The view of an evaluation: scores, labels, confusions, and the worst queries as pictures. */
class GalleryEvaluation extends Component {
  #bar = new ProgressBar();
  #form = h("form", { className: "gallery-ask" });
  #answer = h("div", { className: "gallery-answer" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #working = new AbortController();
  #cancel = h("button", { type: "button", className: "button", hidden: true, on: { click: () => this.#stop() } });
  #byList = h("select", { id: "gallery-evaluate" });
  #listed = galleryState.queries;

  /** @override */
  connect() {
    this.listen(this.#form, "submit", (event) => {
      event.preventDefault();
      void this.#evaluate();
    });
    fill(this.#cancel, t("action.cancel"));
    this.#bar.element.hidden = true;
    const title = h("h1", {}, t("evaluate.title"));
    const how = h("p", { className: "muted" }, t("evaluate.how"));
    fill(this, this.#said, h("div", {}, title, how), this.#form, this.#bar.element, this.#answer);
    this.listen(galleryState, "state", () => this.#renderForm());
    this.listen(galleryState, "gallery", () => {
      this.#working.abort();
      this.#busy(false);
      fill(this.#answer);
    });
    this.listen(sampleGallery, "content", () => searchState.shelf === sampleGallery && fill(this.#answer));
    this.#renderForm();
  }

  #renderForm() {
    const { queries } = galleryState;
    // after a list was opened, it is selected
    const chosen = queries === this.#listed ? this.#byList.value : "list";
    this.#listed = queries;
    const options = [
      ...(queries.length > 0 ? [["list", t("evaluate.list", { n: queries.length })]] : []),
      ["itself", t("evaluate.itself")],
    ];
    fill(this.#byList, ...options.map(([value, words]) => h("option", { value }, words)));
    if (options.some(([value]) => value === chosen)) this.#byList.value = chosen;
    fill(
      this.#form,
      h(
        "div",
        { className: "dataset-fields" },
        h("label", { htmlFor: "gallery-evaluate" }, h("span", {}, t("evaluate.queries")), this.#byList),
      ),
      h(
        "div",
        { className: "actions" },
        h("button", { type: "submit", className: "button primary" }, t("evaluate.start")),
        this.#cancel,
      ),
    );
  }

  #stop() {
    this.#working.abort();
    this.#busy(false);
    fill(this.#answer, h("p", { className: "muted" }, t("evaluate.stopped")));
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#bar.element.hidden = !busy;
    this.#cancel.hidden = !busy;
  }

  async #evaluate() {
    this.#working.abort();
    const { signal } = (this.#working = new AbortController());
    this.#busy(true);
    this.#bar.update(t("evaluate.comparing"), 0);
    fill(this.#answer);
    try {
      const gallery = await galleryState.whole();
      const asked = this.#byList.value === "list" ? galleryState.queries : undefined;
      const start = performance.now();
      const { queries, sources, failed } = asked
        ? await this.#queries(asked, signal)
        : { queries: undefined, sources: [], failed: [] };
      this.#bar.update(t("evaluate.comparing"), 0.99);
      const recallAt = RECALL_AT.filter((k) => k <= gallery.size);
      const report = await gallery.evaluate({ queries, recallAt, signal, anyModel: galleryState.anyModel });
      const seconds = (performance.now() - start) / 1000;
      const pictures = await Promise.all(
        report.worst.map(async ({ entry, query }) =>
          entry ? entryPicture(entry) : picture(sources[query], await smallPicture(sources[query].file)),
        ),
      );
      if (signal.aborted) return;
      this.#said.textContent = t("evaluate.said", {
        recall: percent(report.overall.recall[1]),
        mAP: percent(report.overall.mAP),
      });
      const name = galleryState.title || "sample";
      fill(this.#answer, ...evaluationReport(report, { name, pictures, sources, failed, seconds }));
    } catch (error) {
      if (!signal.aborted) fill(this.#answer, problem(t("evaluate.failed"), asError(error)));
    } finally {
      if (this.#working.signal === signal) this.#busy(false);
    }
  }

  /**
   * Makes queries of images. Images that cannot be read are in `failed`.
   *
   * @param {Source[]} asked
   * @param {AbortSignal} signal
   */
  async #queries(asked, signal) {
    const onProgress = (/** @type {number} */ done) =>
      this.#bar.update(t("evaluate.progress", { done, total: asked.length }), (0.98 * done) / asked.length);
    const vectors = await galleryState.vectorsOf(asked, { signal, onProgress });
    const queries = [];
    const sources = [];
    const failed = [];
    for (const [at, feature] of vectors.entries()) {
      const { label = "", id } = asked[at];
      if (feature instanceof Error) {
        failed.push(id);
        continue;
      }
      queries.push({ feature, label });
      sources.push(asked[at]);
    }
    return { queries, sources, failed };
  }
}

/** @param {Source} source @param {string} [uri] */
function picture({ id }, uri) {
  return uri ? frame(h("img", { src: uri, alt: "" })) : entryPicture({ id });
}

customElements.define("gallery-evaluation", GalleryEvaluation);
