import { Dataset } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import "../report/dataset-report.js";
import { fileButton } from "./file-button.js";
import { takeDrops } from "./file-drop.js";
import { problemCard } from "./problem-card.js";
import { ProgressBar } from "./progress-bar.js";
import { reportFile } from "../report/report-file.js";
import { download } from "./results.js";
import { counted } from "./units.js";

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

/** Advice for each kind of error. */
const ADVICE = {
  decode: "Copy or pack the archive again.",
  unsupported: "Choose a folder, or a .zip, .tar or .tar.gz.",
  limit: "Unpack it yourself if you trust it, and choose the folder.",
  model: "",
  gallery: "",
  io: "Choose it again: files that were moved or changed meanwhile cannot be read.",
  device: "",
  usage: "",
  cancelled: "",
  internal: "This is a fault of the page. Reload it and try again; the browser's console says more.",
};

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
    this.#show({ state: "working", name: "", what: "Opening" });
    this.#bar.update("Opening", 0);
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
    this.#show({ state: "working", name, what: "Checking" });
    const report = await dataset.check({ signal, onProgress: (progress) => this.#progress(progress) });
    this.#show({ state: "done", name, report, notice });
    const words = report.passed ? "passed" : `${counted(report.errors, "error")} found`;
    this.#say(`${name} is checked: ${words}, ${counted(report.warnings, "warning")}, ${counted(report.hints, "hint")}`);
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
      await this.#check(dataset, signal, `${notice} Saved as ${file}; below is what its check says.`);
    } catch (error) {
      if (!signal.aborted) this.#show({ ...before, notice: "", problem: asError(error) });
    }
  }

  /** @param {ProgressEvent} progress */
  #progress({ stage, loaded, total = 0, fraction }) {
    const [doing, one] = stage === "pack" ? ["Packing", "file"] : ["Checking", "image"];
    this.#bar.update(`${doing}: ${loaded.toLocaleString("en")} of ${counted(total, one)}`, fraction);
  }

  #cancel() {
    this.#stop.abort();
    this.#show({ state: "stopped", name: this.#dataset?.name ?? "" });
    this.#say("Stopped");
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
            { className: "card", "aria-label": "Progress", tabIndex: -1, "data-focus": true },
            h("h2", {}, view.name ? `${view.what} ${view.name}` : view.what),
            this.#bar.element,
            h(
              "div",
              { className: "actions" },
              button("Cancel", () => this.#cancel()),
            ),
          ),
        ];
      case "stopped":
        return [
          this.#intake(true),
          h(
            "section",
            { className: "card", "aria-label": "Stopped", tabIndex: -1, "data-focus": true },
            h("h2", {}, view.name ? `${view.name}: stopped` : "Stopped"),
            this.#dataset && h("p", { className: "muted" }, "What has been looked at is remembered."),
            this.#dataset &&
              h(
                "div",
                { className: "actions" },
                button("Go on", () => this.#resume(), "button primary"),
              ),
          ),
        ];
      case "failed":
        return [this.#intake(true), problem("The data set could not be read", view.error)];
      case "done":
        return [
          this.#intake(true),
          view.problem && problem("That did not work", view.problem),
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
          h("h1", {}, slim ? "Another data set" : "Drop a data set here"),
          h(
            "p",
            { className: "muted" },
            slim
              ? "Drop it here, or choose it"
              : "a folder, or a .zip, .tar or .tar.gz, or choose it. It is checked here, in your browser.",
          ),
        ),
        h(
          "div",
          { className: "actions" },
          fileButton("Choose an archive", {
            name: "dataset-archive",
            accept: ARCHIVES,
            className: "button primary",
            on: choose,
          }),
          fileButton("Choose a folder", { name: "dataset-folder", folder: true, on: (files) => this.#open(files) }),
        ),
      ),
    );
  }

  /** @param {DatasetReport} report */
  #tools(report) {
    const fix = () =>
      this.#change("Mending", "mended", async (dataset, signal) => {
        const { kept, setAside, cut, renamed } = await dataset.fix({ signal });
        const aside = setAside > 0 ? `, ${counted(setAside, "row")} set aside (see set_aside.tsv in it)` : "";
        const shorter =
          cut > 0 ? `, ${counted(cut, "row")} without further columns (whole in set_aside.tsv in it)` : "";
        return `Mended: ${counted(kept, "row")} kept${aside}${shorter}${renamed > 0 ? `, ${counted(renamed, "image")} renamed` : ""}.`;
      });
    const name = stem(report.name);
    return h(
      "section",
      { className: "card dataset-tools", "aria-label": "What to do with it" },
      h(
        "div",
        { className: "actions" },
        button("Save the report", () => this.#saveReport(`${name}-report.html`, report)),
        button("Save as JSON", () =>
          download(
            `${name}-report.json`,
            new Blob([`${JSON.stringify(report, null, 1)}\n`], { type: "application/json" }),
          ),
        ),
        button("Save a mended copy (.zip)", fix),
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
    const by = choice("split-by", "Divide", {
      image: "the images of each class",
      class: "the classes: queries are of unseen ones",
    });
    const divide = () =>
      this.#change("Dividing", "divided", async (dataset, signal) => {
        const sizes = await dataset.split({
          ...shares.read(),
          by: /** @type {"image" | "class"} */ (by.input.value),
          signal,
          onProgress: (progress) => this.#progress(progress),
        });
        return `Divided: ${listed(sizes)}.`;
      });
    return form(
      "Divide anew",
      "All images of the lists are divided again; copies of one picture stay together.",
      "Divide and save (.zip)",
      divide,
      by.element,
      ...shares.elements,
    );
  }

  #convertForm() {
    const shares = sharesFields("convert", [50, 30, 20]);
    const from = choice("convert-from", "It is now", {
      folders: "a folder for each class",
      csv: "a CSV file with path and label",
      labelme: "LabelMe: label.txt and annotations",
    });
    const divisions = choice("convert-divisions", "Folders named train, val, test are", {
      auto: "divisions, where all are",
      yes: "divisions",
      no: "classes",
    });
    const convert = () =>
      this.#change("Converting", "converted", async (dataset, signal) => {
        const { notes, ...sizes } = await dataset.convert({
          from: /** @type {"folders" | "csv" | "labelme"} */ (from.input.value),
          divisions: /** @type {"auto" | "yes" | "no"} */ (divisions.input.value),
          ...shares.read(),
          signal,
        });
        return [`Converted: ${listed(sizes)}.`, ...notes.map((note) => `${note}.`)].join(" ");
      });
    return form(
      "Convert from another form",
      "What it does not divide itself is divided by these percentages.",
      "Convert and save (.zip)",
      convert,
      from.element,
      divisions.element,
      ...shares.elements,
    );
  }

  /** @param {File} archive */
  #encodingForm(archive) {
    const encoding = choice("name-encoding", "They are in", NAME_ENCODINGS);
    const reopen = () => this.#open(archive, encoding.input.value);
    return form(
      "Names are misspelt",
      "Old programs pack names without saying in which encoding. The archive is opened again.",
      "Open again",
      reopen,
      encoding.element,
    );
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
            h("p", {}, h("strong", {}, verdict.passed ? "PaddleX takes it. " : "PaddleX refuses it. "), verdict.log),
            h("pre", { tabIndex: 0, "aria-label": "check_dataset_result.json" }, verdict.json),
          );
      } catch (error) {
        fill(answer, problem("PaddleX's check could not be made", asError(error)));
      }
    };
    return h(
      "details",
      {},
      h("summary", {}, "What would PaddleX say?"),
      h("p", {}, "Its check_dataset stops at the first fault. This is its verdict and its result file, to the letter."),
      h("div", { className: "actions" }, button("Ask", ask)),
      answer,
    );
  }
}

/** A short explanation of the form of a data set. */
function guide() {
  return h(
    "section",
    { className: "dataset-guide", "aria-label": "What a data set is" },
    h("h2", {}, "What belongs in it"),
    h(
      "pre",
      { tabIndex: 0, "aria-label": "The files of a data set" },
      "images/shoe/1.jpg …\ntrain.txt      images/shoe/1.jpg 0\ngallery.txt    images/shoe/2.jpg 0\nquery.txt      images/shoe/3.jpg 0",
    ),
    h(
      "p",
      { className: "muted" },
      "Each line is a path and the number of a class. Other forms can be converted: a folder for each class, CSV, LabelMe. Every image is opened; faults come with their line and what to do about them. Your files stay as they are.",
    ),
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
    /** @type {string} */ label,
    /** @type {number} */ value,
    /** @type {Record<string, unknown>} */ limits,
  ) => {
    const input = h("input", {
      type: "number",
      id: `${prefix}-${label.split(" ")[0].toLowerCase()}`,
      required: true,
      value: String(value),
      min: "0",
      ...limits,
    });
    return { input, element: h("label", { htmlFor: input.id }, h("span", {}, label), input) };
  };
  const percent = { max: "100", step: "any" };
  const fields = [
    field("Train %", usual[0], percent),
    field("Gallery %", usual[1], percent),
    field("Query %", usual[2], percent),
    field("Seed", 0, { step: "1" }),
  ];
  return {
    elements: fields.map(({ element }) => element),
    read() {
      const [train, gallery, query, seed] = fields.map(({ input }) => input.valueAsNumber);
      return { train, gallery, query, seed };
    },
  };
}

/** @param {import("../image-feature/index.js").ListSizes} sizes */
function listed({ train, gallery, query }) {
  return `${counted(train, "image")} for training, ${gallery.toLocaleString("en")} in the gallery, ${counted(query, "query", "queries")}`;
}

/** @param {string} name */
function stem(name) {
  return name.replace(/\.(zip|tar|tgz|tar\.gz)$/i, "").replace(/[^\p{L}\p{N}._-]+/gu, "_") || "dataset";
}

customElements.define("dataset-view", DatasetView);
