import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { entryCard, entryPicture, frame, scoreText } from "./gallery-card.js";
import { smallPicture } from "./gallery-pictures.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { ProgressBar } from "./progress-bar.js";
import { download } from "./results.js";
import { counted } from "./units.js";

/**
 * @typedef {import("../image-feature/index.js").Evaluation} Evaluation
 * @typedef {import("./gallery-pictures.js").Source} Source
 */

const ROWS_AT_ONCE = 20;
const RECALL_AT = [1, 5];

/** The view of an evaluation: scores, labels, confusions, and the worst queries as pictures. */
class GalleryEvaluation extends Component {
  #bar = new ProgressBar();
  #form = h("form", { className: "gallery-ask" });
  #answer = h("div", { className: "gallery-answer" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #working = new AbortController();
  #cancel = h(
    "button",
    { type: "button", className: "button", hidden: true, on: { click: () => this.#stop() } },
    "Cancel",
  );
  #byList = h("select", { id: "gallery-evaluate" });
  #listed = galleryState.queries;

  /** @override */
  connect() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#evaluate();
    });
    this.#bar.element.hidden = true;
    fill(this, this.#said, this.#form, this.#bar.element, this.#answer);
    this.listen(galleryState, "state", () => this.#renderForm());
    this.listen(galleryState, "gallery", () => {
      this.#working.abort();
      this.#busy(false);
      fill(this.#answer);
    });
    this.#renderForm();
  }

  #renderForm() {
    const { queries } = galleryState;
    // after a list was opened, it is selected
    const chosen = queries === this.#listed ? this.#byList.value : "list";
    this.#listed = queries;
    const options = [
      ...(queries.length > 0 ? [["list", `the ${counted(queries.length, "image")} of query.txt`]] : []),
      ["itself", "each image of the gallery, without itself"],
    ];
    fill(this.#byList, ...options.map(([value, words]) => h("option", { value }, words)));
    if (options.some(([value]) => value === chosen)) this.#byList.value = chosen;
    fill(
      this.#form,
      h(
        "p",
        { className: "gallery-hint" },
        h("strong", {}, "How well does it find what it should?"),
        h(
          "span",
          { className: "muted" },
          " recall@k and mAP as PaddleClas computes them. An image is right where its label is the query's.",
        ),
      ),
      h(
        "div",
        { className: "dataset-fields" },
        h("label", { htmlFor: "gallery-evaluate" }, h("span", {}, "Queries"), this.#byList),
      ),
      h(
        "div",
        { className: "actions" },
        h("button", { type: "submit", className: "button primary" }, "Evaluate"),
        this.#cancel,
      ),
    );
  }

  #stop() {
    this.#working.abort();
    this.#busy(false);
    fill(this.#answer, h("p", { className: "muted" }, "Stopped. Vectors that are computed are remembered."));
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#bar.element.hidden = !busy;
    this.#cancel.hidden = !busy;
  }

  async #evaluate() {
    const { gallery } = galleryState;
    if (!gallery) return;
    this.#working.abort();
    const { signal } = (this.#working = new AbortController());
    this.#busy(true);
    this.#bar.update("Comparing", 0);
    fill(this.#answer);
    try {
      const asked = this.#byList.value === "list" ? galleryState.queries : undefined;
      const start = performance.now();
      const { queries, sources, failed } = asked
        ? await this.#queries(asked, signal)
        : { queries: undefined, sources: [], failed: [] };
      this.#bar.update("Comparing", 0.99);
      const recallAt = RECALL_AT.filter((k) => k <= gallery.size);
      const report = await gallery.evaluate({ queries, recallAt, signal, anyModel: galleryState.anyModel });
      const seconds = (performance.now() - start) / 1000;
      const pictures = await Promise.all(
        report.worst.map(async ({ entry, query }) =>
          entry ? entryPicture(entry) : picture(sources[query], await smallPicture(sources[query].file)),
        ),
      );
      if (signal.aborted) return;
      this.#said.textContent = `Evaluated: recall@1 ${percent(report.overall.recall[1])}, mAP ${percent(report.overall.mAP)}`;
      fill(this.#answer, ...this.#report(report, { pictures, sources, failed, seconds }));
    } catch (error) {
      if (!signal.aborted) fill(this.#answer, problem("The evaluation did not work", asError(error)));
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
      this.#bar.update(
        `Queries: ${done.toLocaleString("en")} of ${counted(asked.length, "image")}`,
        (0.98 * done) / asked.length,
      );
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

  /**
   * @param {Evaluation} report
   * @param {{ pictures: HTMLElement[], sources: Source[], failed: string[], seconds: number }} more
   */
  #report(report, { pictures, sources, failed, seconds }) {
    const { scores, overall } = report;
    const figures = [
      ...Object.keys(overall.recall).map((k) => [`Recall@${k}`, overall.recall[Number(k)], scores.recall[Number(k)]]),
      ["mAP", overall.mAP, scores.mAP],
    ];
    const name = (galleryState.state.what === "nothing" ? "" : galleryState.state.name) || "gallery";
    const save = (/** @type {string} */ called, /** @type {string} */ text) =>
      download(called, new Blob([text], { type: "application/json" }));
    return [
      h(
        "section",
        { className: "card", "aria-label": "Figures" },
        h(
          "dl",
          { className: "report-figures" },
          ...figures.map(([term, value, block]) =>
            h(
              "div",
              {},
              h("dt", {}, term),
              h("dd", {}, percent(/** @type {number | null} */ (value))),
              h(
                "dd",
                { className: "muted" },
                `${percent(/** @type {number | null} */ (block))} in PaddleClas's blocks`,
              ),
            ),
          ),
          h(
            "div",
            {},
            h("dt", {}, "Queries"),
            h("dd", {}, report.queries.toLocaleString("en")),
            h(
              "dd",
              { className: "muted" },
              report.withoutMatch > 0
                ? `${report.withoutMatch.toLocaleString("en")} have no image of their label`
                : `against ${counted(report.images, "image")}`,
            ),
          ),
          h(
            "div",
            {},
            h("dt", {}, "Took"),
            h("dd", {}, `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`),
            h("dd", { className: "muted" }, "vectors of queries included"),
          ),
        ),
        failed.length > 0 &&
          h(
            "p",
            { className: "error-message" },
            `${counted(failed.length, "query", "queries")} could not be read: ${failed.slice(0, 5).join(", ")}${failed.length > 5 ? ", …" : ""}`,
          ),
        h(
          "div",
          { className: "actions" },
          h(
            "button",
            {
              type: "button",
              className: "button",
              on: {
                click: () => save(`${name}-evaluation.json`, `${JSON.stringify(withoutPictures(report), null, 1)}\n`),
              },
            },
            "Save as JSON",
          ),
          h(
            "button",
            {
              type: "button",
              className: "button",
              on: { click: () => save("evaluate_result.json", report.evaluateResult) },
            },
            "Save evaluate_result.json",
          ),
        ),
      ),
      h("h2", {}, "Worst queries"),
      report.worst.length === 0
        ? h("p", { className: "empty" }, "None: each query has all images of its label first.")
        : h(
            "ol",
            { className: "gallery-worst" },
            ...report.worst.map(({ query, entry, label, averagePrecision, first, nearest }, at) =>
              h(
                "li",
                { className: "card" },
                h(
                  "div",
                  { className: "gallery-query" },
                  pictures[at],
                  h(
                    "div",
                    { className: "gallery-asked" },
                    h("h3", {}, label),
                    h(
                      "p",
                      { className: "gallery-id muted", title: entry?.id ?? sources[query]?.id },
                      entry?.id ?? sources[query]?.id,
                    ),
                    h(
                      "p",
                      { className: "muted" },
                      `average precision ${averagePrecision.toFixed(3)}, first right one at ${first}`,
                    ),
                  ),
                ),
                h(
                  "ul",
                  { className: "gallery-hits" },
                  ...nearest.map((hit) =>
                    h(
                      "li",
                      {},
                      entryCard(hit, {
                        score: scoreText(hit.score, "cosine"),
                        mark: hit.label === label ? "right" : "wrong",
                      }),
                    ),
                  ),
                ),
              ),
            ),
          ),
      report.confusions.length > 0 && h("h2", {}, "Taken for another"),
      report.confusions.length > 0 &&
        table(
          ["Label", "taken for", "queries"],
          report.confusions.map(({ label, takenFor, count }) => [
            label,
            takenFor ?? "one without a label",
            count.toLocaleString("en"),
          ]),
        ),
      h("h2", {}, "Labels, the worst first"),
      table(
        ["Label", "queries", "images", "recall@1", "mAP"],
        report.classes
          .toSorted((a, b) => (a.mAP ?? 2) - (b.mAP ?? 2))
          .map(({ label, queries, images, recall1, mAP }) => [
            label,
            queries.toLocaleString("en"),
            images.toLocaleString("en"),
            percent(recall1),
            percent(mAP),
          ]),
      ),
    ];
  }
}

/** @param {Source} source @param {string} [uri] */
function picture({ id }, uri) {
  return uri ? frame(h("img", { src: uri, alt: "" })) : entryPicture({ id });
}

/** @param {number | null | undefined} share */
function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
}

/** The report without what makes it large. @param {Evaluation} report */
function withoutPictures(report) {
  return JSON.parse(JSON.stringify(report, (key, value) => (key === "thumbnail" ? undefined : value)));
}

/**
 * A table with a button that shows more rows.
 *
 * @param {string[]} head
 * @param {string[][]} rows
 */
function table(head, rows) {
  const body = h("tbody");
  const more = h("button", { type: "button", className: "button small", on: { click: () => show() } });
  let shown = 0;
  const show = () => {
    const next = rows.slice(shown, (shown += ROWS_AT_ONCE));
    body.append(
      ...next.map(([first, ...rest]) =>
        h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((cell) => h("td", {}, cell))),
      ),
    );
    more.textContent = `Show more of ${(rows.length - shown).toLocaleString("en")}`;
    more.hidden = shown >= rows.length;
  };
  show();
  return h(
    "div",
    { className: "card gallery-table" },
    h("table", {}, h("thead", {}, h("tr", {}, ...head.map((words) => h("th", { scope: "col" }, words)))), body),
    more,
  );
}

customElements.define("gallery-evaluation", GalleryEvaluation);
