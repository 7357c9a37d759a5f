import { h } from "../report/component.js";
import { entryCard, scoreText } from "./gallery-card.js";
import { number, t } from "./language.js";
import { download } from "./results.js";

/**
 * @typedef {import("../image-feature/index.js").Evaluation} Evaluation
 * @typedef {import("./gallery-pictures.js").Source} Source
 */

const ROWS_AT_ONCE = 20;

/**
 * The figures of an evaluation, its worst queries as pictures, and its labels.
 *
 * @param {Evaluation} report
 * @param {{ name: string, pictures: HTMLElement[], sources: Source[], failed: string[], seconds: number }} more
 */
export function evaluationReport(report, { name, pictures, sources, failed, seconds }) {
  const { scores, overall } = report;
  const figures = [
    ...Object.keys(overall.recall).map((k) => [`Recall@${k}`, overall.recall[Number(k)], scores.recall[Number(k)]]),
    ["mAP", overall.mAP, scores.mAP],
  ];
  const save = (/** @type {string} */ called, /** @type {string} */ text) =>
    download(called, new Blob([text], { type: "application/json" }));
  return [
    h(
      "section",
      { className: "card", "aria-label": t("evaluate.figures") },
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
              t("evaluate.blocks", { share: percent(/** @type {number | null} */ (block)) }),
            ),
          ),
        ),
        h(
          "div",
          {},
          h("dt", {}, t("evaluate.queries")),
          h("dd", {}, number(report.queries)),
          h(
            "dd",
            { className: "muted" },
            report.withoutMatch > 0
              ? t("evaluate.withoutMatch", { n: report.withoutMatch })
              : t("evaluate.against", { n: report.images }),
          ),
        ),
        h(
          "div",
          {},
          h("dt", {}, t("evaluate.took")),
          h("dd", {}, `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`),
          h("dd", { className: "muted" }, t("evaluate.tookHow")),
        ),
      ),
      failed.length > 0 &&
        h(
          "p",
          { className: "error-message" },
          t("evaluate.unread", {
            n: failed.length,
            names: `${failed.slice(0, 5).join(", ")}${failed.length > 5 ? ", …" : ""}`,
          }),
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
          t("evaluate.json"),
        ),
        h(
          "button",
          {
            type: "button",
            className: "button",
            on: { click: () => save("evaluate_result.json", report.evaluateResult) },
          },
          t("evaluate.result"),
        ),
      ),
    ),
    h("h2", {}, t("evaluate.worst")),
    report.worst.length === 0
      ? h("p", { className: "empty" }, t("evaluate.noWorst"))
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
                    t("evaluate.precision", { value: averagePrecision.toFixed(3), first }),
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
    report.confusions.length > 0 && h("h2", {}, t("evaluate.confusions")),
    report.confusions.length > 0 &&
      table(
        [t("evaluate.label"), t("evaluate.takenFor"), t("evaluate.queriesColumn")],
        report.confusions.map(({ label, takenFor, count }) => [label, takenFor ?? t("search.noLabel"), number(count)]),
      ),
    h("h2", {}, t("evaluate.labels")),
    table(
      [t("evaluate.label"), t("evaluate.queriesColumn"), t("evaluate.images"), "recall@1", "mAP"],
      report.classes
        .toSorted((a, b) => (a.mAP ?? 2) - (b.mAP ?? 2))
        .map(({ label, queries, images, recall1, mAP }) => [
          label,
          number(queries),
          number(images),
          percent(recall1),
          percent(mAP),
        ]),
    ),
  ];
}

/** @param {number | null | undefined} share */
export function percent(share) {
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
    more.textContent = t("evaluate.more", { n: rows.length - shown });
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
