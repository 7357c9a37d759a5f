import { ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { droppedPaths, isModelFile, pickedPaths, takeDrops, unreadError } from "./file-drop.js";
import { TRAINING_LIST, isImage, learningImages } from "./gallery-pictures.js";
import { problem } from "./gallery-problem.js";
import { t } from "./language.js";
import { ProgressBar } from "./progress-bar.js";
import { download } from "./results.js";
import { offerUndo } from "./undo-bar.js";
import { bytes, duration } from "./units.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("./file-drop.js").PathAndFile} PathAndFile
 * @typedef {import("./gallery-pictures.js").Source & { label: string }} Sample
 * @typedef {import("../image-feature/index.js").FineTuneProgress} FineTuneProgress
 *
 * @typedef {{ losses: number[], evaluation: import("../image-feature/index.js").FineTuned["evaluation"], keptOld: boolean, images:
 *   number, milliseconds: number, file: File }} Result a model, and how it came about
 */

/** Number of folds of the cross-validation. */
const FOLDS = 3;
const EPOCHS = 60;
/** With fewer images of a class than this, the page advises to add more. */
const FEW = 3;
const CLASSES_SHOWN = 40;

const STAGES = /** @type {Record<string, import("./language.js").TextKey>} */ ({
  embed: "teach.embed",
  learn: "teach.learn",
  evaluate: "teach.evaluate",
});

/** The tab of fine-tuning: folders of images, one for each class, give a tuned model to use here or to save. */
class FineTuneView extends Component {
  /** @type {Sample[]} */
  #samples = [];
  /** @type {Result | undefined} */
  #result;
  /** @type {AbortController | undefined} */
  #working;
  #problems = h("div", { className: "dataset-content" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #content = h("div", { className: "dataset-content" });
  #bar = new ProgressBar();
  #loss = h("p", { className: "muted" });

  /** @override */
  connect() {
    fill(this, this.#said, this.#problems, this.#content);
    takeDrops(this, (transfer) => {
      /** @type {string[]} */
      const unread = [];
      void this.#take(droppedPaths(transfer, unread), loneFolder(transfer), unread);
    });
    this.listen(workspace, "model", () => this.#render());
    this.#render();
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.#working?.abort();
  }

  /**
   * @param {Promise<PathAndFile[]>} coming
   * @param {string | undefined} folder that holds them all
   * @param {readonly string[]} [unread] has the paths of what could not be read, once the files are there
   */
  async #take(coming, folder, unread = []) {
    try {
      const files = await coming;
      // of a model, all files are needed
      if (unread.length > 0 && files.every(({ file }) => isModelFile(file))) throw unreadError(unread, false);
      if (files.length > 0 && files.every(({ file }) => isModelFile(file)))
        return void workspace.loadModel(files.map(({ file }) => file));
      const listed = files.some(({ path }) => path === TRAINING_LIST);
      await this.#add(folder === undefined || listed ? files : files.map((one) => inFolder(one, folder)), unread);
    } catch (error) {
      this.#fail(t("vectors.notRead"), error);
    }
  }

  /**
   * @param {PathAndFile[]} files
   * @param {readonly string[]} [unread]
   */
  async #add(files, unread = []) {
    if (this.#working) return this.#fail(t("teach.notAdded"), new ImageFeatureError("usage", t("teach.busy")));
    fill(this.#problems);
    const { images, missing } = await learningImages(files);
    const known = new Set(this.#samples.map(({ id }) => id));
    const labelled = images.flatMap(({ id, label, file }) => (label && !known.has(id) ? [{ id, label, file }] : []));
    if (labelled.length === 0) {
      return this.#fail(t("teach.nothing"), new ImageFeatureError("usage", t("teach.nothingHow")));
    }
    if (unread.length > 0) this.#fail(t("vectors.notAllRead"), unreadError(unread));
    else if (missing > 0)
      this.#fail(t("teach.missing"), new ImageFeatureError("usage", t("teach.missingHow", { n: missing })));
    this.#samples.push(...labelled);
    this.#result = undefined;
    this.#render();
  }

  /** @param {string} label */
  #remove(label) {
    const [before, result] = [this.#samples, this.#result];
    const undo = () => {
      [this.#samples, this.#result] = [before, result];
      this.#render();
    };
    this.#samples = before.filter((sample) => sample.label !== label);
    this.#result = undefined;
    offerUndo({ words: t("teach.leftOut", { label }), undo });
    this.#render();
  }

  async #tune() {
    const { signal } = (this.#working = new AbortController());
    const samples = this.#samples;
    const start = performance.now();
    fill(this.#problems);
    this.#result = undefined;
    this.#bar.update(t("teach.embed"), 0);
    this.#loss.textContent = "";
    this.#render();
    try {
      const items = samples.map(({ id, label, file }) => ({ source: file, label, name: id }));
      const onProgress = (/** @type {FineTuneProgress} */ event) => this.#progress(event);
      const tuned = await workspace.fineTune(items, { epochs: EPOCHS, folds: FOLDS, signal, onProgress });
      const milliseconds = performance.now() - start;
      try {
        const { losses, evaluation, keptOld, extractor } = tuned;
        const file = new File(
          [await tuned.exportModel({ dtype: extractor.info.dtype })],
          `${extractor.info.model}.safetensors`,
        );
        if (signal.aborted) return;
        this.#result = { losses, evaluation, keptOld, images: samples.length, milliseconds, file };
        this.#said.textContent = t("teach.said");
      } finally {
        tuned.dispose();
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(t("teach.failed"), error);
    } finally {
      this.#working = undefined;
      this.#render();
    }
  }

  /** @param {FineTuneProgress} event */
  #progress({ stage, loaded, total, loss, fraction }) {
    const counts = stage === "embed" && total ? `: ${t("collections.count", { done: loaded, total })}` : "";
    this.#bar.update(`${t(STAGES[stage] ?? "teach.prepare")}${counts}`, fraction);
    if (loss !== undefined) this.#loss.textContent = t("teach.lossNow", { loss: shortLoss(loss) });
  }

  /** @param {string} title @param {unknown} error */
  #fail(title, error) {
    fill(this.#problems, problem(title, asError(error)));
  }

  #render() {
    const hadFocus = this.#content.contains(document.activeElement);
    fill(
      this.#content,
      ...(this.#working
        ? [this.#progressCard()]
        : [this.#intake(), this.#samples.length > 0 && this.#classesCard(), this.#result && resultCard(this.#result)]),
    );
    // the focused element may have been replaced
    if (hadFocus && !this.contains(document.activeElement))
      /** @type {HTMLElement | null} */ (this.querySelector("[data-focus]"))?.focus();
  }

  #intake() {
    return h(
      "div",
      { className: "dataset-intake" },
      h(
        "div",
        { className: "intake" },
        h(
          "div",
          { className: "intake-text" },
          h("h1", {}, t("teach.title")),
          h("p", { className: "muted" }, t("teach.how")),
        ),
        h(
          "div",
          { className: "actions" },
          fileButton(t("action.chooseFolder"), {
            name: "fine-tune-folder",
            folder: true,
            className: "button primary",
            on: (files) => this.#take(Promise.resolve(pickedPaths(files)), files[0].webkitRelativePath.split("/")[0]),
          }),
        ),
      ),
    );
  }

  #classesCard() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { label } of this.#samples) counts.set(label, (counts.get(label) ?? 0) + 1);
    const classes = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const ready = workspace.model.state === "ready";
    const why = classes.length < 2 ? t("teach.twoClasses") : ready ? "" : t("teach.needsModel");
    const few = classes.filter(([, count]) => count < FEW).length;
    return h(
      "section",
      { className: "card", "aria-label": t("teach.classesName"), tabIndex: -1, "data-focus": true },
      h("h2", {}, t("teach.classes", { n: classes.length, images: this.#samples.length })),
      h(
        "ul",
        { className: "fine-tune-classes" },
        ...classes.slice(0, CLASSES_SHOWN).map(([label, count]) =>
          h(
            "li",
            {},
            h("span", { className: "file-name", title: label }, label),
            h("span", { className: "muted" }, t("search.pictures", { n: count })),
            h(
              "button",
              {
                type: "button",
                className: "button small",
                "aria-label": t("teach.leaveOutNamed", { label }),
                on: { click: () => this.#remove(label) },
              },
              t("teach.leaveOut"),
            ),
          ),
        ),
        classes.length > CLASSES_SHOWN &&
          h("li", { className: "muted" }, t("collections.more", { n: classes.length - CLASSES_SHOWN })),
      ),
      few > 0 && h("p", { className: "muted" }, t("teach.few", { n: few, least: FEW })),
      why !== "" && h("p", { className: "muted" }, why),
      h(
        "div",
        { className: "actions" },
        h(
          "button",
          { type: "button", className: "button primary", disabled: why !== "", on: { click: () => this.#tune() } },
          t("teach.start"),
        ),
      ),
    );
  }

  #progressCard() {
    return h(
      "section",
      { className: "card", "aria-label": t("collections.progress"), tabIndex: -1, "data-focus": true },
      h("h2", {}, t("teach.working")),
      this.#bar.element,
      this.#loss,
      h(
        "div",
        { className: "actions" },
        h(
          "button",
          { type: "button", className: "button", on: { click: () => this.#working?.abort() } },
          t("action.cancel"),
        ),
      ),
    );
  }
}

/**
 * The name of the folder that was dropped, if it is a single one.
 *
 * @param {DataTransfer} transfer
 */
function loneFolder({ items }) {
  const entry = items.length === 1 ? items[0].webkitGetAsEntry() : null;
  return entry?.isDirectory ? entry.name : undefined;
}

/**
 * Gives an image that lies directly in the dropped folder the class with the folder's name.
 *
 * @param {PathAndFile} one
 * @param {string} folder
 */
function inFolder({ path, file }, folder) {
  return { path: path.includes("/") || !isImage(file) ? path : `${folder}/${path}`, file };
}

/** Loads the tuned model. The one before can be had back. @param {File} file */
function useModel(file) {
  const { model } = workspace;
  const undo = () => model.state !== "empty" && workspace.loadModel(model.files);
  offerUndo({ words: t("teach.used"), undo });
  void workspace.loadModel([file]);
}

/** A loss in figures that say something, also when it is near zero. @param {number} loss */
function shortLoss(loss) {
  return loss === 0 || loss >= 0.01 ? loss.toFixed(2) : loss.toExponential(1);
}

/** @param {Result} result */
function resultCard({ losses, evaluation, keptOld, images, milliseconds, file }) {
  const figure = (/** @type {string} */ term, /** @type {string} */ value, /** @type {string} */ more) =>
    h("div", {}, h("dt", {}, term), h("dd", {}, value), h("dd", { className: "muted" }, more));
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(0)} %`;
  return h(
    "section",
    { className: "card", "aria-label": t("teach.result"), tabIndex: -1, "data-focus": true },
    h("h2", {}, t("teach.tuned")),
    h(
      "dl",
      { className: "report-figures" },
      evaluation && figure(t("teach.before"), percent(evaluation.before), t("teach.beforeHow")),
      evaluation && figure(t("teach.after"), percent(evaluation.after), t("teach.afterHow", { n: evaluation.queries })),
      figure(t("teach.loss"), shortLoss(losses[losses.length - 1]), t("teach.lossHow", { loss: shortLoss(losses[0]) })),
      figure(t("evaluate.took"), duration(milliseconds), t("search.pictures", { n: images })),
    ),
    keptOld && h("p", { className: "muted" }, t("teach.keptOld")),
    h(
      "div",
      { className: "actions" },
      h("button", { type: "button", className: "button primary", on: { click: () => useModel(file) } }, t("teach.use")),
      h(
        "button",
        { type: "button", className: "button", on: { click: () => download(file.name, file) } },
        t("teach.download", { bytes: bytes(file.size) }),
      ),
    ),
  );
}

customElements.define("fine-tune-view", FineTuneView);
