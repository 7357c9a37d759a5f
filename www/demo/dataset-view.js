import { Dataset } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import "../report/dataset-report.js";
import { fileButton } from "./file-button.js";
import { takeDrops } from "./file-drop.js";
import { t } from "./language.js";
import { problemCard } from "./problem-card.js";
import { ProgressBar } from "./progress-bar.js";
import { reportFile } from "../report/report-file.js";
import { download } from "./results.js";

/**
 * @typedef {import("../image-feature/index.js").DatasetInput} DatasetInput
 * @typedef {import("../image-feature/index.js").ImageFeatureError} ImageFeatureError
 * @typedef {import("../image-feature/index.js").DatasetReport} DatasetReport
 * @typedef {import("../image-feature/index.js").ProgressEvent} ProgressEvent
 *
 * @typedef {{ state: "empty" }
 *   | { state: "working", name: string, what: string }
 *   | { state: "stopped", name: string }
 *   | { state: "failed", name: string, error: ImageFeatureError }
 *   | { state: "done", name: string, report: DatasetReport, notice: string, problem?: ImageFeatureError }} View
 */

const ARCHIVES = ".zip,.tar,.tgz,.gz,application/zip,application/x-tar,application/gzip";

/** Encodings that names in an archive may have. */
const NAME_ENCODINGS = {
  gbk: "GBK: simplified Chinese",
  big5: "Big5: traditional Chinese",
  shift_jis: "Shift_JIS: Japanese",
  "euc-kr": "EUC-KR: Korean",
  ibm866: "IBM866: Cyrillic, of Windows",
  "windows-1251": "Windows-1251: Cyrillic",
  "koi8-r": "KOI8-R: Cyrillic",
  "windows-1252": "Windows-1252: Western European",
};

/** Advice for each kind of error, as a text's key. */
const ADVICE = /** @type {const} */ ({
  decode: "dataset.adviceDecode",
  unsupported: "dataset.adviceUnsupported",
  limit: "dataset.adviceLimit",
  io: "advice.io",
  internal: "advice.internal",
});

/** The tab of data sets: a data set is opened, checked, repaired, divided, converted, and saved. */
class DatasetView extends Component {
  /** @type {View} */
  #view = { state: "empty" };
  /** @type {Dataset | undefined} */
  #dataset;
  /** @type {File | undefined} */
  #archive;
  #stop = new AbortController();
  #bar = new ProgressBar();
  #said = h("p", { role: "status", className: "visually-hidden" });
  #content = h("div", { className: "dataset-content" });

  /** @override */
  connect() {
    fill(this, this.#said, this.#content);
    takeDrops(this, (transfer) => {
      const items = [...transfer.items].filter(({ kind }) => kind === "file");
      const [item] = items;
      // a file can be opened again, a dropped item cannot
      const file = items.length === 1 && item.webkitGetAsEntry()?.isFile ? item.getAsFile() : null;
      void this.#open(file ?? (items.length === 1 ? item : items));
    });
    this.#render();
  }

  /**
   * @param {DatasetInput} input
   * @param {string} [encoding] of names in an archive
   */
  async #open(input, encoding) {
    this.#stop.abort();
    this.#dataset?.dispose();
    this.#dataset = undefined;
    this.#archive = input instanceof File ? input : undefined;
    const { signal } = (this.#stop = new AbortController());
    this.#show({ state: "working", name: "", what: t("dataset.opening") });
    this.#bar.update(t("dataset.opening"), 0);
    try {
      // dropped items must be read before the first `await`
      const dataset = await Dataset.open(input, { encoding, signal });
      if (signal.aborted) return dataset.dispose();
      this.#dataset = dataset;
      await this.#check(dataset, signal, "");
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /**
   * @param {Dataset} dataset
   * @param {AbortSignal} signal
   * @param {string} notice what has been done before
   */
  async #check(dataset, signal, notice) {
    const { name } = dataset;
    this.#show({ state: "working", name, what: t("dataset.checking") });
    const report = await dataset.check({ signal, onProgress: (progress) => this.#progress(progress) });
    this.#show({ state: "done", name, report, notice });
    const { errors, warnings, hints } = report;
    this.#say(t("dataset.said", { name, errors, warnings, hints }));
  }

  /**
   * Changes the data set, saves it, and checks it again. If that fails, the report stays.
   *
   * @param {string} what
   * @param {string} suffix of the file's name
   * @param {(dataset: Dataset, signal: AbortSignal) => Promise<string>} change says what it has done
   */
  async #change(what, suffix, change) {
    const before = this.#view;
    const dataset = this.#dataset;
    if (!dataset || before.state !== "done") return;
    const { signal } = (this.#stop = new AbortController());
    this.#show({ state: "working", name: dataset.name, what });
    this.#bar.update(what, 0);
    try {
      const notice = await change(dataset, signal);
      const zip = await dataset.toZip({ signal, onProgress: (progress) => this.#progress(progress) });
      const file = `${stem(dataset.name)}-${suffix}.zip`;
      download(file, zip);
      await this.#check(dataset, signal, `${notice} ${t("dataset.savedAs", { file })}`);
    } catch (error) {
      if (!signal.aborted) this.#show({ ...before, notice: "", problem: asError(error) });
    }
  }

  /** @param {ProgressEvent} progress */
  #progress({ stage, loaded, total = 0, fraction }) {
    const words = t(stage === "pack" ? "dataset.packed" : "dataset.checked", { done: loaded, total });
    this.#bar.update(words, fraction);
  }

  #cancel() {
    this.#stop.abort();
    this.#show({ state: "stopped", name: this.#dataset?.name ?? "" });
    this.#say(t("vectors.stopped"));
  }

  /** Continues a check that was stopped. */
  async #resume() {
    const dataset = this.#dataset;
    if (!dataset) return this.#show({ state: "empty" });
    const { signal } = (this.#stop = new AbortController());
    try {
      await this.#check(dataset, signal, "");
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#show({ state: "failed", name: this.#dataset?.name ?? "", error: asError(error) });
  }

  /** @param {string} words */
  #say(words) {
    this.#said.textContent = words;
  }

  /** @param {View} view */
  #show(view) {
    const hadFocus = this.contains(document.activeElement);
    this.#view = view;
    if (view.state === "working") this.#say(`${view.what} ${view.name}`.trim());
    this.#render();
    // the focused element may have been replaced
    if (hadFocus && !this.contains(document.activeElement))
      /** @type {HTMLElement | null} */ (this.querySelector("[data-focus]"))?.focus();
  }

  #render() {
    this.dataset.state = this.#view.state;
    fill(this.#content, ...this.#parts());
  }

  /** @returns {import("../report/component.js").Child[]} */
  #parts() {
    const view = this.#view;
    switch (view.state) {
      case "empty":
        return [this.#intake(false), guide()];
      case "working":
        return [
          h(
            "section",
            { className: "card", "aria-label": t("collections.progress"), tabIndex: -1, "data-focus": true },
            h("h2", {}, view.name ? `${view.what} ${view.name}` : view.what),
            this.#bar.element,
            h(
              "div",
              { className: "actions" },
              button(t("action.cancel"), () => this.#cancel()),
            ),
          ),
        ];
      case "stopped":
        return [
          this.#intake(true),
          h(
            "section",
            { className: "card", "aria-label": t("vectors.stopped"), tabIndex: -1, "data-focus": true },
            h("h2", {}, [view.name, t("vectors.stopped")].filter(Boolean).join(": ")),
            this.#dataset && h("p", { className: "muted" }, t("dataset.remembered")),
            this.#dataset &&
              h(
                "div",
                { className: "actions" },
                button(t("action.resume"), () => this.#resume(), "button primary"),
              ),
          ),
        ];
      case "failed":
        return [this.#intake(true), problem(t("dataset.unread"), view.error)];
      case "done":
        return [
          this.#intake(true),
          view.problem && problem(t("dataset.failed"), view.problem),
          view.notice && h("p", { className: "notice", tabIndex: -1, "data-focus": true }, view.notice),
          this.#tools(view.report),
          Object.assign(document.createElement("dataset-report"), { report: view.report }),
        ];
    }
  }

  /** @param {boolean} slim */
  #intake(slim) {
    const choose = (/** @type {File[]} */ files) => this.#open(files.length === 1 ? files[0] : files);
    return h(
      "div",
      { className: "dataset-intake", "data-slim": slim },
      h(
        "div",
        { className: "intake" },
        h(
          "div",
          { className: "intake-text" },
          h("h1", {}, t(slim ? "dataset.another" : "dataset.drop")),
          h("p", { className: "muted" }, t(slim ? "dataset.anotherHow" : "dataset.dropHow")),
        ),
        h(
          "div",
          { className: "actions" },
          fileButton(t("dataset.archive"), {
            name: "dataset-archive",
            accept: ARCHIVES,
            className: "button primary",
            on: choose,
          }),
          fileButton(t("action.chooseFolder"), {
            name: "dataset-folder",
            folder: true,
            on: (files) => this.#open(files),
          }),
        ),
      ),
    );
  }

  /** @param {DatasetReport} report */
  #tools(report) {
    const fix = () =>
      this.#change(t("dataset.mending"), "mended", async (dataset, signal) => {
        const { kept, setAside, cut, renamed } = await dataset.fix({ signal });
        const parts = [
          t("dataset.mended", { n: kept }),
          setAside > 0 && t("dataset.aside", { n: setAside }),
          cut > 0 && t("dataset.cut", { n: cut }),
          renamed > 0 && t("dataset.renamed", { n: renamed }),
        ];
        return parts.filter(Boolean).join(" ");
      });
    const name = stem(report.name);
    return h(
      "section",
      { className: "card dataset-tools", "aria-label": t("dataset.tools") },
      h(
        "div",
        { className: "actions" },
        button(t("dataset.saveReport"), () => this.#saveReport(`${name}-report.html`, report)),
        button(t("evaluate.json"), () =>
          download(
            `${name}-report.json`,
            new Blob([`${JSON.stringify(report, null, 1)}\n`], { type: "application/json" }),
          ),
        ),
        button(t("dataset.saveMended"), fix),
      ),
      this.#splitForm(),
      this.#convertForm(),
      this.#archive && this.#encodingForm(this.#archive),
      this.#paddlex(),
    );
  }

  /**
   * @param {string} name
   * @param {DatasetReport} report
   */
  async #saveReport(name, report) {
    const before = this.#view;
    try {
      download(name, new Blob([await reportFile(report)], { type: "text/html" }));
    } catch (error) {
      if (this.#view === before && before.state === "done")
        this.#show({ ...before, notice: "", problem: asError(error) });
    }
  }

  #splitForm() {
    const shares = sharesFields("split", [70, 20, 10]);
    const by = choice("split-by", t("dataset.divide"), {
      image: t("dataset.byImage"),
      class: t("dataset.byClass"),
    });
    const divide = () =>
      this.#change(t("dataset.dividing"), "divided", async (dataset, signal) => {
        const sizes = await dataset.split({
          ...shares.read(),
          by: /** @type {"image" | "class"} */ (by.input.value),
          signal,
          onProgress: (progress) => this.#progress(progress),
        });
        return t("dataset.divided", sizes);
      });
    return form(
      t("dataset.split"),
      t("dataset.splitHow"),
      t("dataset.splitSave"),
      divide,
      by.element,
      ...shares.elements,
    );
  }

  #convertForm() {
    const shares = sharesFields("convert", [50, 30, 20]);
    const from = choice("convert-from", t("dataset.from"), {
      folders: t("dataset.fromFolders"),
      csv: t("dataset.fromCsv"),
      labelme: t("dataset.fromLabelme"),
    });
    const divisions = choice("convert-divisions", t("dataset.divisions"), {
      auto: t("dataset.divisionsAuto"),
      yes: t("dataset.divisionsYes"),
      no: t("dataset.divisionsNo"),
    });
    const convert = () =>
      this.#change(t("dataset.converting"), "converted", async (dataset, signal) => {
        const { notes, ...sizes } = await dataset.convert({
          from: /** @type {"folders" | "csv" | "labelme"} */ (from.input.value),
          divisions: /** @type {"auto" | "yes" | "no"} */ (divisions.input.value),
          ...shares.read(),
          signal,
        });
        return [t("dataset.converted", sizes), ...notes.map((note) => `${note}.`)].join(" ");
      });
    return form(
      t("dataset.convert"),
      t("dataset.convertHow"),
      t("dataset.convertSave"),
      convert,
      from.element,
      divisions.element,
      ...shares.elements,
    );
  }

  /** @param {File} archive */
  #encodingForm(archive) {
    const encoding = choice("name-encoding", t("dataset.encoding"), NAME_ENCODINGS);
    const reopen = () => this.#open(archive, encoding.input.value);
    return form(t("dataset.names"), t("dataset.namesHow"), t("dataset.openAgain"), reopen, encoding.element);
  }

  /** A part that asks for PaddleX's verdict. */
  #paddlex() {
    const answer = h("div", { role: "status" });
    const ask = async () => {
      try {
        const verdict = await this.#dataset?.check({ compat: "paddlex" });
        if (verdict)
          fill(
            answer,
            h(
              "p",
              {},
              h("strong", {}, `${t(verdict.passed ? "dataset.paddlexTakes" : "dataset.paddlexRefuses")} `),
              verdict.log,
            ),
            h("pre", { tabIndex: 0, "aria-label": "check_dataset_result.json" }, verdict.json),
          );
      } catch (error) {
        fill(answer, problem(t("dataset.paddlexFailed"), asError(error)));
      }
    };
    return h(
      "details",
      {},
      h("summary", {}, t("dataset.paddlex")),
      h("p", {}, t("dataset.paddlexHow")),
      h("div", { className: "actions" }, button(t("dataset.paddlexAsk"), ask)),
      answer,
    );
  }
}

/** A short explanation of the form of a data set. */
function guide() {
  return h(
    "section",
    { className: "dataset-guide", "aria-label": t("dataset.guideName") },
    h("h2", {}, t("dataset.guide")),
    h(
      "pre",
      { tabIndex: 0, "aria-label": t("dataset.guideFiles") },
      "images/shoe/1.jpg …\ntrain.txt      images/shoe/1.jpg 0\ngallery.txt    images/shoe/2.jpg 0\nquery.txt      images/shoe/3.jpg 0",
    ),
    h("p", { className: "muted" }, t("dataset.guideHow")),
  );
}

/**
 * @param {string} label
 * @param {() => void} on
 * @param {string} [className]
 */
function button(label, on, className = "button") {
  return h("button", { type: "button", className, on: { click: on } }, label);
}

/**
 * @param {string} title
 * @param {ImageFeatureError} error
 */
function problem(title, error) {
  return problemCard(title, error, ADVICE);
}

/**
 * @param {string} title
 * @param {string} hint
 * @param {string} label of the button
 * @param {() => void} submit
 * @param {...HTMLElement} fields
 */
function form(title, hint, label, submit, ...fields) {
  const send = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    submit();
  };
  return h(
    "details",
    {},
    h("summary", {}, title),
    h(
      "form",
      { className: "dataset-form", on: { submit: send } },
      h("p", {}, hint),
      h("div", { className: "dataset-fields" }, ...fields),
      h("div", { className: "actions" }, h("button", { type: "submit", className: "button" }, label)),
    ),
  );
}

/**
 * @param {string} id
 * @param {string} label
 * @param {Record<string, string>} options
 */
function choice(id, label, options) {
  const input = h("select", { id }, ...Object.entries(options).map(([value, words]) => h("option", { value }, words)));
  return { input, element: h("label", { htmlFor: id }, h("span", {}, label), input) };
}

/**
 * Fields for the three percentages and the seed.
 *
 * @param {string} prefix
 * @param {[train: number, gallery: number, query: number]} usual
 */
function sharesFields(prefix, usual) {
  const field = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {number} */ value,
    /** @type {Record<string, unknown>} */ limits,
  ) => {
    const input = h("input", {
      type: "number",
      id: `${prefix}-${name}`,
      required: true,
      value: String(value),
      min: "0",
      ...limits,
    });
    return { input, element: h("label", { htmlFor: input.id }, h("span", {}, label), input) };
  };
  const percent = { max: "100", step: "any" };
  const fields = [
    field("train", t("dataset.train"), usual[0], percent),
    field("gallery", t("dataset.gallery"), usual[1], percent),
    field("query", t("dataset.query"), usual[2], percent),
    field("seed", t("dataset.seed"), 0, { step: "1" }),
  ];
  return {
    elements: fields.map(({ element }) => element),
    read() {
      const [train, gallery, query, seed] = fields.map(({ input }) => input.valueAsNumber);
      return { train, gallery, query, seed };
    },
  };
}

/** @param {string} name */
function stem(name) {
  return name.replace(/\.(zip|tar|tgz|tar\.gz)$/i, "").replace(/[^\p{L}\p{N}._-]+/gu, "_") || "dataset";
}

customElements.define("dataset-view", DatasetView);
