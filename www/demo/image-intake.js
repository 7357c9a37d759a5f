import { ImageFeatureError } from "../image-feature/index.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { droppedFiles, isInOpenTab, isModelFile, takeDrops, unreadError } from "./file-drop.js";
import { problem } from "./gallery-problem.js";
import { IMAGE_FILES } from "./intake.js";
import { t } from "./language.js";
import { workspace } from "./workspace.js";

/**
 * Takes images that are picked, pasted, or dropped anywhere on the page while its tab is shown. Dropped model files are
 * loaded.
 */
class ImageIntake extends Component {
  #problems = h("div", {});

  /** @override */
  connect() {
    fill(
      this,
      h(
        "div",
        { className: "intake" },
        h(
          "div",
          { className: "intake-text" },
          h("h1", {}, t("vectors.title")),
          h("p", { className: "muted" }, t("vectors.how")),
        ),
        fileButton(t("vectors.choose"), {
          name: "images",
          accept: IMAGE_FILES,
          className: "button primary",
          on: (files) => workspace.addImages(files),
        }),
      ),
      this.#problems,
    );
    takeDrops(this, (transfer) => this.#take(transfer));
    this.listen(document, "paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (isInOpenTab(this) && files.length > 0) workspace.addImages(files);
    });
    this.listen(workspace, "images", () => this.#render());
    this.#render();
  }

  /** @param {DataTransfer} transfer */
  async #take(transfer) {
    /** @type {File[]} */
    let files;
    /** @type {string[]} */
    const unread = [];
    fill(this.#problems);
    try {
      files = await droppedFiles(transfer, unread);
    } catch (error) {
      const failed =
        error instanceof ImageFeatureError ? error : new ImageFeatureError("io", String(error), { cause: error });
      return fill(this.#problems, problem(t("vectors.notRead"), failed));
    }
    if (unread.length > 0) fill(this.#problems, problem(t("vectors.notAllRead"), unreadError(unread)));
    const model = files.filter(isModelFile);
    const images = files.filter((file) => !isModelFile(file));
    if (model.length > 0) void workspace.loadModel(model);
    if (images.length > 0) workspace.addImages(images);
  }

  #render() {
    this.toggleAttribute("data-slim", workspace.pictures.length > 0);
  }
}

customElements.define("image-intake", ImageIntake);
