import { Component, fill, h } from "./component.js";

/**
 * The report of a check, as `image-feature check --json` writes it.
 *
 * @typedef {"train" | "gallery" | "query"} ListName
 * @typedef {{ code: string, name: string, severity: "error" | "warning" | "hint", title: string, fix: string, count:
 *   number, shown: number }} ReportCode
 * @typedef {{ code: string, list?: ListName, line?: number, column?: number, image?: string, reason: string, fix?:
 *   string }} ReportFinding
 * @typedef {{
 *   name: string, root: string, notes: string[], passed: boolean, complete: boolean,
 *   errors: number, warnings: number, hints: number,
 *   images: { listed: number, decoded: number, bytes: number },
 *   lists: { list: ListName, file: string, rows: number, classes: number }[],
 *   class_count: number, class_sizes: [number, number, number, number][],
 *   evaluation: { queries: number, answerable: number, recall_ceiling: number | null },
 *   training: { classes: number, largest_batch: number },
 *   codes: ReportCode[], findings: ReportFinding[],
 *   samples: { image: string, list: ListName, label: number | null }[],
 *   thumbnails: Record<string, string>,
 * }} DatasetReportData
 */

/** Number of findings of a code that are shown at first, and added with each click. */
const FINDINGS_AT_ONCE = 20;
/** The largest number of bars. With more classes, a bar stands for several. */
const MOST_BARS = 160;
const SEVERITIES = /** @type {const} */ (["error", "warning", "hint"]);
const LISTS = /** @type {const} */ (["train", "gallery", "query"]);

/** Shows the report of a check: verdict, figures, findings with filters, sample images. */
class DatasetReport extends Component {
  /** @type {DatasetReportData | null} */
  #report = null;
  #filter = { severities: /** @type {Set<string>} */ (new Set(SEVERITIES)), code: "", list: "", text: "" };
  #findings = h("div", { className: "report-findings" });
  #counted = h("p", { className: "muted", role: "status" });

  /** @override */
  connect() {
    this.#draw();
  }

  /** @param {DatasetReportData | null} report */
  set report(report) {
    this.#report = report;
    this.#filter = { severities: new Set(SEVERITIES), code: "", list: "", text: "" };
    if (this.isConnected) this.#draw();
  }

  get report() {
    return this.#report;
  }

  #draw() {
    const report = this.#report;
    if (!report) return fill(this, h("p", { className: "muted" }, "No data set has been checked yet."));
    fill(
      this,
      verdict(report),
      figures(report),
      h(
        "section",
        { className: "report-card", "aria-label": "Findings" },
        h("h2", {}, "Findings"),
        report.codes.length > 0 && this.#filters(report),
        this.#counted,
        this.#findings,
      ),
      report.samples.length > 0 && samples(report),
    );
    this.#drawFindings();
  }

  /** @param {DatasetReportData} report */
  #filters(report) {
    const changed = () => this.#drawFindings();
    const severities = SEVERITIES.map((severity) => {
      const count = report[/** @type {const} */ ({ error: "errors", warning: "warnings", hint: "hints" })[severity]];
      const toggle = (/** @type {{ target: HTMLInputElement }} */ { target }) => {
        if (target.checked) this.#filter.severities.add(severity);
        else this.#filter.severities.delete(severity);
        changed();
      };
      return h(
        "label",
        { className: "report-toggle", "data-severity": severity },
        h("input", { type: "checkbox", checked: true, on: { change: toggle } }),
        h("span", {}, many(count, severity)),
      );
    });
    const choose = (/** @type {"code" | "list"} */ key) => ({
      change: (/** @type {{ target: HTMLSelectElement }} */ { target }) => {
        this.#filter[key] = target.value;
        changed();
      },
    });
    const codes = report.codes.map(({ code, name, count }) =>
      h("option", { value: code }, `${code} ${name} (${count.toLocaleString("en")})`),
    );
    const search = (/** @type {{ target: HTMLInputElement }} */ { target }) => {
      this.#filter.text = target.value.trim().toLowerCase();
      changed();
    };
    return h(
      "div",
      { className: "report-filters", role: "search", "aria-label": "Filter findings" },
      h("div", { className: "report-toggles", role: "group", "aria-label": "Severity" }, ...severities),
      h("select", { "aria-label": "Code", on: choose("code") }, h("option", { value: "" }, "All codes"), ...codes),
      h(
        "select",
        { "aria-label": "List", on: choose("list") },
        h("option", { value: "" }, "All lists"),
        ...LISTS.map((list) => h("option", { value: list }, `${list}.txt`)),
      ),
      h("input", {
        type: "search",
        placeholder: "Path or words",
        "aria-label": "Search in findings",
        on: { input: search },
      }),
    );
  }

  #drawFindings() {
    const report = this.#report;
    if (!report) return;
    if (report.codes.length === 0) {
      fill(this.#counted);
      return fill(
        this.#findings,
        h(
          "p",
          { className: "report-nothing" },
          report.complete ? "Nothing was found." : "Nothing was found in what was looked at.",
        ),
      );
    }
    const { severities, code, list, text } = this.#filter;
    const codes = report.codes.filter((kind) => severities.has(kind.severity) && (!code || kind.code === code));
    const wanted = (/** @type {ReportFinding} */ finding) =>
      (!list || finding.list === list) &&
      (!text || `${finding.image ?? ""} ${finding.reason} ${finding.fix ?? ""}`.toLowerCase().includes(text));
    let shown = 0;
    const groups = [];
    for (const kind of codes) {
      const findings = report.findings.filter((finding) => finding.code === kind.code && wanted(finding));
      shown += findings.length;
      if (findings.length > 0) groups.push(group(report, kind, findings, code === kind.code || text !== ""));
    }
    const kept = report.findings.length;
    const all = report.codes.reduce((sum, { count }) => sum + count, 0);
    const omitted = all > kept ? `; of ${many(all, "finding")} in all, the report keeps the first of each code` : "";
    fill(this.#counted, `${shown.toLocaleString("en")} of ${kept.toLocaleString("en")} shown${omitted}.`);
    fill(
      this.#findings,
      ...groups,
      groups.length === 0 && h("p", { className: "muted" }, "No finding passes the filter."),
    );
  }
}

/** @param {DatasetReportData} report */
function verdict(report) {
  const { passed, complete, errors, warnings, hints, name, root, notes } = report;
  const words = passed ? (complete ? "Passed" : "No error so far") : many(errors, "error");
  const rest = [passed || many(errors, "error"), many(warnings, "warning"), many(hints, "hint")].filter(
    (part) => typeof part === "string",
  );
  return h(
    "section",
    { className: "report-card report-verdict", "data-verdict": passed ? "good" : "bad", "aria-label": "Verdict" },
    h("p", { className: "report-badge" }, words),
    h("h1", {}, root ? `${name} / ${root}` : name),
    h("p", { className: "muted" }, rest.join(", "), complete ? "" : "; not every image was looked at"),
    ...notes.map((note) => h("p", { className: "report-note" }, `Note: ${note}.`)),
  );
}

/** @param {DatasetReportData} report */
function figures(report) {
  const { images, evaluation, training, class_count: classes } = report;
  const ceiling = evaluation.recall_ceiling;
  const facts = [
    [
      "Images",
      images.listed.toLocaleString("en"),
      images.decoded === images.listed ? "all decoded" : `${images.decoded.toLocaleString("en")} decoded`,
    ],
    [
      "Size",
      `${(images.bytes / 1e6).toLocaleString("en", { maximumFractionDigits: images.bytes < 1e7 ? 1 : 0 })} MB`,
      "of image files",
    ],
    ["Classes", classes.toLocaleString("en"), `${training.classes.toLocaleString("en")} to learn`],
    [
      "Best recall@1",
      ceiling === null ? "–" : `${(100 * ceiling).toFixed(ceiling === 1 ? 0 : 1)} %`,
      ceiling === null
        ? "no queries"
        : `${evaluation.answerable.toLocaleString("en")} of ${many(evaluation.queries, "query", "queries")} can be found`,
    ],
    ["Largest batch", training.largest_batch.toLocaleString("en"), "4 images of each class"],
  ];
  return h(
    "section",
    { className: "report-card", "aria-label": "Figures" },
    h(
      "dl",
      { className: "report-figures" },
      ...facts.map(([term, value, note]) =>
        h("div", {}, h("dt", {}, term), h("dd", {}, value), h("dd", { className: "muted" }, note)),
      ),
    ),
    h("div", { className: "report-charts" }, listChart(report), tailChart(report)),
    h("p", { className: "report-legend" }, ...LISTS.map((list) => h("span", { "data-list": list }, list))),
  );
}

/**
 * A chart of the rows and classes of each list.
 *
 * @param {DatasetReportData} report
 */
function listChart({ lists }) {
  const [width, height, foot, head] = [300, 190, 34, 18];
  const most = Math.max(1, ...lists.map(({ rows }) => rows));
  const bars = lists.flatMap(({ list, rows, classes }, at) => {
    const left = at * 104 + 4;
    return [
      bar(rows, left, "images", list),
      bar(classes, left + 44, "classes", list),
      text(left + 40, height - 4, `${list}.txt`, "report-axis"),
    ];
  });
  function bar(
    /** @type {number} */ value,
    /** @type {number} */ x,
    /** @type {string} */ what,
    /** @type {string} */ list,
  ) {
    const length = ((height - foot - head) * value) / most;
    const top = height - foot - length;
    return svg(
      "g",
      { "data-list": list, class: what === "classes" ? "report-light" : "" },
      svg("rect", { x, y: top, width: 36, height: Math.max(length, 1), rx: 2 }),
      text(x + 18, top - 5, value.toLocaleString("en"), "report-value"),
      text(x + 18, height - foot + 13, what, "report-axis"),
    );
  }
  return chart("Images and classes of each list", "", width, height, ...bars);
}

/**
 * A chart of the number of images of each class, the largest first.
 *
 * @param {DatasetReportData} report
 */
function tailChart({ class_sizes: sizes, class_count: count }) {
  const [width, height, foot, head, left] = [600, 190, 34, 18, 40];
  const sorted = sizes
    .map(([label, ...rows]) => ({ label, rows, total: rows[0] + rows[1] + rows[2] }))
    .toSorted((a, b) => b.total - a.total);
  if (sorted.length === 0) return null;
  const each = Math.ceil(sorted.length / MOST_BARS);
  const bins = [];
  for (let at = 0; at < sorted.length; at += each) {
    const members = sorted.slice(at, at + each);
    const rows = [0, 1, 2].map((list) => members.reduce((sum, member) => sum + member.rows[list], 0) / members.length);
    const first = members[0];
    const name = members.length === 1 ? `class ${first.label}` : `${members.length} classes from ${first.label} on`;
    bins.push({ rows, name });
  }
  const most = Math.max(...bins.map(({ rows }) => rows[0] + rows[1] + rows[2]));
  const step = (width - left) / bins.length;
  const bars = bins.map(({ rows, name }, at) => {
    let bottom = height - foot;
    const parts = LISTS.map((list, index) => {
      const length = ((height - foot - head) * rows[index]) / most;
      bottom -= length;
      return svg("rect", {
        "data-list": list,
        x: left + at * step,
        y: bottom,
        width: Math.max(Math.min(step * 0.86, 40), 0.5),
        height: length,
      });
    });
    const words = LISTS.map((list, index) => `${list} ${Number(rows[index].toFixed(1)).toLocaleString("en")}`);
    return svg("g", {}, svg("title", {}, `${name}: ${words.join(", ")}`), ...parts);
  });
  const scale = [0, 0.5, 1].map((part) => {
    const y = height - foot - (height - foot - head) * part;
    return svg(
      "g",
      {},
      svg("line", { class: "report-grid", x1: left, x2: width, y1: y, y2: y }),
      text(left - 5, y + 4, Number((most * part).toFixed(most < 10 ? 1 : 0)).toLocaleString("en"), "report-scale"),
    );
  });
  const caption =
    count > sizes.length
      ? `the first ${sizes.length.toLocaleString("en")} of ${count.toLocaleString("en")} classes`
      : many(count, "class", "classes");
  return chart(
    "Images of each class, the largest class first",
    "wide",
    width,
    height,
    ...scale,
    ...bars,
    text((width + left) / 2, height - 12, `${caption}, the largest first`, "report-axis"),
  );
}

/**
 * The findings of one code.
 *
 * @param {DatasetReportData} report
 * @param {ReportCode} kind
 * @param {ReportFinding[]} findings
 * @param {boolean} open
 */
function group(report, kind, findings, open) {
  const items = h("ol", { className: "report-list" });
  const more = h("button", { type: "button", className: "button small", on: { click: show } });
  let shown = 0;
  function show() {
    const next = findings.slice(shown, shown + FINDINGS_AT_ONCE);
    const added = next.map((finding) => item(report, kind, finding));
    items.append(...added);
    const hadFocus = document.activeElement === more;
    shown += next.length;
    more.textContent = `Show ${Math.min(FINDINGS_AT_ONCE, findings.length - shown)} more of ${(findings.length - shown).toLocaleString("en")}`;
    more.hidden = shown >= findings.length;
    // the button that was pressed may be hidden now
    if (hadFocus && more.hidden) added[0].focus();
  }
  const details = h(
    "details",
    { className: "report-group", "data-severity": kind.severity, open },
    h(
      "summary",
      {},
      h("span", { className: "report-severity" }, kind.severity),
      h("span", { className: "report-title" }, kind.title),
      h("span", { className: "report-code" }, `${kind.code} ${kind.name}`),
      h("span", { className: "report-count" }, kind.count.toLocaleString("en")),
    ),
    h("p", { className: "report-fix" }, `${kind.fix}.`),
    items,
    more,
  );
  // the elements of a group are made when it is opened
  if (open) show();
  else details.addEventListener("toggle", () => shown === 0 && show());
  return details;
}

/**
 * @param {DatasetReportData} report
 * @param {ReportCode} kind
 * @param {ReportFinding} finding
 */
function item(report, kind, finding) {
  const { list, line, column, image, reason, fix } = finding;
  const place = list && `${list}.txt${line ? `:${line}` : ""}${line && column ? `:${column}` : ""}`;
  return h(
    "li",
    { tabIndex: -1, "data-code": kind.code },
    image !== undefined && picture(report, image, ""),
    h(
      "div",
      { className: "report-words" },
      h(
        "p",
        { className: "report-place" },
        place && h("span", { className: "report-where" }, place),
        image && h("span", { className: "report-path" }, image),
      ),
      h("p", {}, reason),
      fix && h("p", { className: "report-fix" }, `${fix}${/[.?]$/.test(fix) ? "" : "."}`),
    ),
  );
}

/** @param {DatasetReportData} report */
function samples(report) {
  const groups = LISTS.map((list) => ({
    list,
    chosen: report.samples.filter((sample) => sample.list === list),
  })).filter(({ chosen }) => chosen.length > 0);
  return h(
    "section",
    { className: "report-card", "aria-label": "Samples" },
    h("h2", {}, "Samples"),
    ...groups.map(({ list, chosen }) =>
      h(
        "figure",
        { className: "report-samples" },
        h("figcaption", { "data-list": list }, `${list}.txt`),
        h(
          "ul",
          {},
          ...chosen.map(({ image, label }) =>
            h(
              "li",
              {},
              picture(report, image, image),
              h("span", { title: image }, label === null ? "no label" : `class ${label}`),
            ),
          ),
        ),
      ),
    ),
  );
}

/**
 * @param {DatasetReportData} report
 * @param {string} path
 * @param {string} alt
 */
function picture({ thumbnails }, path, alt) {
  const src = Object.hasOwn(thumbnails, path) ? thumbnails[path] : "";
  if (!src) return h("span", { className: "report-picture report-missing", "aria-hidden": "true" });
  return h("img", { className: "report-picture", src, alt, loading: "lazy", decoding: "async" });
}

/** @param {number} count @param {string} word @param {string} [plural] */
function many(count, word, plural = `${word}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? word : plural}`;
}

/**
 * @param {string} label
 * @param {string} kind
 * @param {number} width
 * @param {number} height
 * @param {...SVGElement} parts
 */
function chart(label, kind, width, height, ...parts) {
  return svg(
    "svg",
    { class: `report-chart ${kind}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ...parts,
  );
}

/** @param {number} x @param {number} y @param {string} words @param {string} name */
function text(x, y, words, name) {
  return svg("text", { x, y, class: name }, words);
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(SVGElement | string)} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

customElements.define("dataset-report", DatasetReport);
