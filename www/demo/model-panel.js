import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { droppedFiles, holdsFiles, unreadError } from "./file-drop.js";
import { ProgressBar } from "./progress-bar.js";
import { bytes, duration } from "./units.js";
import { workspace } from "./workspace.js";

const OFFICIAL =
  "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2/PP-ShiTuV2_rec_infer.tar";

const STAGES = {
  download: "Reading the model",
  verify: "Checking the model",
  compile: "Preparing the code",
  upload: "Copying to the GPU",
  warmup: "First run",
  embed: "Working",
  learn: "Learning",
  evaluate: "Evaluating",
  check: "Working",
  pack: "Working",
};

/** Advice for each kind of error. */
const ADVICE = {
  decode: "",
  unsupported: "Choose a PP-ShiTuV2_rec model. Below is where to get one.",
  limit: "Choose a smaller model.",
  model: "Choose the archive of a PP-ShiTuV2_rec model, or all files of its inference folder together.",
  gallery: "",
  io: "Choose the file again. If this goes on, reload the page.",
  device: "Choose another device below.",
  usage: "",
  cancelled: "",
  internal: "This is a fault of the page. Reload it and try again; the browser's console says more.",
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
    fill(this, h("h2", {}, "Model"), ...this.#content());
  }

  #renderProgress() {
    const { model } = workspace;
    if (model.state !== "loading") return;
    const { stage = "download", fraction = 0 } = model.progress ?? {};
    this.#bar.update(STAGES[stage], fraction);
  }

  /** @returns {import("../report/component.js").Child[]} */
  #content() {
    const { model } = workspace;
    switch (model.state) {
      case "empty":
        return [
          h("p", {}, "Drop a PP-ShiTuV2_rec model here, or choose it."),
          h("div", { className: "actions" }, this.#choose("Choose a model", "button primary"), useDefault()),
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
              "Cancel",
            ),
            this.#choose("Choose another model"),
          ),
        ];
      case "failed":
        return [
          h(
            "div",
            { className: "error", role: "alert" },
            h(
              "strong",
              {},
              model.error.kind === "device" ? "The device could not be used" : "The model could not be loaded",
            ),
            h("p", { className: "error-message" }, model.error.message),
            h("p", {}, ADVICE[model.error.kind]),
          ),
          h("div", { className: "actions" }, this.#choose("Choose another model", "button primary"), useDefault()),
          this.#help(),
        ];
      case "ready":
        return [
          h(
            "dl",
            { className: "facts" },
            ...fact("Name", model.info.model),
            ...fact("Vector", `${model.info.dimension} numbers`),
            ...fact("Loaded in", duration(model.milliseconds)),
          ),
          this.#files(model.files),
          h("div", { className: "actions" }, this.#choose("Choose another model")),
          ...(model.files === "default" ? [this.#help()] : []),
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
    if (files === "default") {
      return h(
        "p",
        { className: "muted" },
        "A small model that comes with this page, for a first look. PP-ShiTuV2_rec knows far more.",
      );
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
      h("summary", {}, "Where do I get PP-ShiTuV2_rec?"),
      h(
        "p",
        {},
        "The official archive is on ",
        h("a", { href: OFFICIAL, rel: "noreferrer" }, "PaddleX's server"),
        ". Download it, then drop it here as it is.",
      ),
      h("p", {}, "Any of these will do:"),
      h(
        "ul",
        {},
        h("li", {}, "an archive: .tar, .tar.gz, .zip"),
        h(
          "li",
          {},
          "the files of an inference folder together: inference.json or inference.pdmodel, inference.pdiparams, inference.yml",
        ),
        h("li", {}, "training weights: .pdparams"),
        h("li", {}, "our own .safetensors"),
      ),
    );
  }
}

function useDefault() {
  return h(
    "button",
    { type: "button", className: "button", on: { click: () => workspace.loadModel("default") } },
    "Use the small model",
  );
}

/**
 * @param {string} term
 * @param {string} value
 */
function fact(term, value) {
  return [h("dt", {}, term), h("dd", {}, value)];
}

customElements.define("model-panel", ModelPanel);
