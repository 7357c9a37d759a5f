import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { droppedFiles, holdsFiles, unreadError } from "./file-drop.js";
import { t } from "./language.js";
import { ProgressBar } from "./progress-bar.js";
import { bytes, duration } from "./units.js";
import { workspace } from "./workspace.js";

const OFFICIAL =
  "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2/PP-ShiTuV2_rec_infer.tar";

const STAGES = /** @type {const} */ ({
  download: "model.download",
  verify: "model.verify",
  compile: "model.compile",
  upload: "model.upload",
  warmup: "model.warmup",
  embed: "model.working",
  learn: "model.working",
  evaluate: "model.working",
  check: "model.working",
  pack: "model.working",
  compare: "model.working",
});

/** Advice for each kind of error, as a text's key. @type {Partial<Record<string, import("./language.js").TextKey>>} */
const ADVICE = {
  unsupported: "model.adviceUnsupported",
  limit: "model.adviceLimit",
  model: "model.adviceModel",
  io: "model.adviceIo",
  device: "model.adviceDevice",
  internal: "advice.internal",
};

/** The state of the model: none, loading, ready, or failed. */
class ModelPanel extends Component {
  #bar = new ProgressBar();

  /** @override */
  connect() {
    this.listen(workspace, "model", () => this.#render());
    this.listen(workspace, "progress", () => this.#renderProgress());
    this.listen(this, "dragover", (event) => {
      if (!holdsFiles(event.dataTransfer)) return;
      event.preventDefault();
      this.classList.add("drop-here");
    });
    this.listen(this, "dragleave drop", () => this.classList.remove("drop-here"));
    this.listen(this, "drop", (event) => {
      event.preventDefault();
      // files that are dropped on this element are a model, with any name
      event.stopPropagation();
      /** @type {string[]} */
      const unread = [];
      const coming = droppedFiles(event.dataTransfer, unread);
      // a model whose files are not all read would be another one
      void workspace.loadDropped(
        coming.then((files) => (unread.length > 0 ? Promise.reject(unreadError(unread, false)) : files)),
      );
    });
    this.#render();
  }

  #render() {
    this.dataset.state = workspace.model.state;
    this.#renderProgress();
    fill(this, h("h2", {}, t("model.title")), ...this.#content());
  }

  #renderProgress() {
    const { model } = workspace;
    if (model.state !== "loading") return;
    const { stage = "download", fraction = 0 } = model.progress ?? {};
    this.#bar.update(t(STAGES[stage]), fraction);
  }

  /** @returns {import("../report/component.js").Child[]} */
  #content() {
    const { model } = workspace;
    switch (model.state) {
      case "empty":
        return [
          h("p", {}, t("model.drop")),
          h("div", { className: "actions" }, this.#choose(t("model.choose"), "button primary"), use("tiny")),
          this.#help(),
        ];
      case "loading":
        return [
          this.#files(model.files),
          this.#bar.element,
          h(
            "div",
            { className: "actions" },
            h(
              "button",
              { type: "button", className: "button", on: { click: () => workspace.cancelLoading() } },
              t("action.cancel"),
            ),
            this.#choose(t("model.other")),
          ),
        ];
      case "failed": {
        const advice = ADVICE[model.error.kind];
        return [
          h(
            "div",
            { className: "error", role: "alert" },
            h("strong", {}, t(model.error.kind === "device" ? "model.noDevice" : "model.failed")),
            h("p", { className: "error-message" }, model.error.message),
            advice && h("p", {}, t(advice)),
          ),
          h("div", { className: "actions" }, this.#choose(t("model.other"), "button primary"), use("tiny")),
          model.error.kind !== "device" && this.#help(),
        ];
      }
      case "ready":
        return [
          h(
            "dl",
            { className: "facts" },
            ...fact(t("model.name"), model.info.model),
            ...fact(t("model.vector"), t("model.numbers", { n: model.info.dimension })),
            ...fact(t("model.loadedIn"), duration(model.milliseconds)),
          ),
          this.#files(model.files),
          h(
            "div",
            { className: "actions" },
            ...(model.files === "tiny" ? [use("default", "button primary")] : []),
            ...(model.files === "default" ? [use("tiny")] : []),
            this.#choose(t("model.other")),
          ),
          ...(typeof model.files === "string" ? [this.#help()] : []),
        ];
    }
  }

  /**
   * @param {string} label
   * @param {string} [className]
   */
  #choose(label, className) {
    return fileButton(label, { name: "model", className, on: (files) => workspace.loadModel(files) });
  }

  /** @param {import("./workspace.js").ModelFiles} files */
  #files(files) {
    if (typeof files === "string") {
      return h("p", { className: "muted" }, t(`model.${files}`));
    }
    const items = files.map(({ name, size }) =>
      h("li", {}, h("span", { className: "file-name" }, name), h("span", { className: "muted" }, bytes(size))),
    );
    return h("ul", { className: "files" }, ...items);
  }

  #help() {
    return h(
      "details",
      {},
      h("summary", {}, t("model.where")),
      h("p", {}, h("a", { href: OFFICIAL, rel: "noreferrer" }, t("model.official")), ` ${t("model.officialHow")}`),
      h("p", {}, t("model.kinds")),
      h(
        "ul",
        {},
        h("li", {}, t("model.archive")),
        h("li", {}, t("model.files")),
        h("li", {}, t("model.weights")),
        h("li", {}, t("model.safetensors")),
      ),
    );
  }
}

/**
 * A button that loads a model that comes with the page.
 *
 * @param {"default" | "tiny"} name
 * @param {string} [className]
 */
function use(name, className = "button") {
  const label = t(name === "tiny" ? "model.useTiny" : "model.useDefault");
  return h("button", { type: "button", className, on: { click: () => workspace.loadModel(name) } }, label);
}

/**
 * @param {string} term
 * @param {string} value
 */
function fact(term, value) {
  return [h("dt", {}, term), h("dd", {}, value)];
}

customElements.define("model-panel", ModelPanel);
