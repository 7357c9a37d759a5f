import "./collection-map.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { pickedPaths, takeDrops } from "./file-drop.js";
import { galleryHead } from "./gallery-head.js";
import { galleryKept } from "./gallery-kept.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { GALLERY_FILES, addToCollection, takeFiles, takeTransfer } from "./intake.js";
import { t } from "./language.js";
import { ProgressBar } from "./progress-bar.js";
import { sampleGallery } from "./sample-gallery.js";
import { searchState } from "./search-state.js";
import { workspace } from "./workspace.js";

/** The tab of collections: one is made from a folder of pictures or opened, extended, saved, and exported. */
class GalleryView extends Component {
  #bar = new ProgressBar();
  #said = h("p", { role: "status", className: "visually-hidden" });
  #content = h("div", { className: "gallery-content" });
  #problems = h("div", { className: "gallery-content" });
  #head = galleryHead();
  #kept = galleryKept();
  #map = document.createElement("collection-map");

  /** @override */
  connect() {
    this.#head.fail = (title, error, anyway) => this.#fail(title, error, anyway);
    this.#kept.fail = (title, error) => this.#fail(title, error);
    this.#head.say = this.#kept.say = (words) => void (this.#said.textContent = words);
    fill(this, this.#said, this.#problems, this.#content, this.#head, this.#kept, this.#map);
    takeDrops(this, (transfer) => void this.#take(() => takeTransfer(transfer)));
    this.listen(document, "paste", ({ clipboardData }) => {
      if (this.checkVisibility() && clipboardData?.files.length) void this.#take(() => takeTransfer(clipboardData));
    });
    this.listen(galleryState, "state gallery", () => this.#render());
    this.listen(galleryState, "progress", () => this.#renderProgress());
    this.listen(galleryState, "failed", ({ detail }) => this.#fail(t("collections.notMade"), detail));
    // a picture that was dropped here is searched with, and the answer is in another tab
    this.listen(searchState, "query", () => {
      if (searchState.query && this.checkVisibility()) location.hash = "search";
    });
    this.listen(sampleGallery, "content", () => {
      this.#map.hidden = galleryState.gallery === undefined && !sampleGallery.complete;
    });
    this.listen(workspace, "model", () => galleryState.state.what === "waiting" && this.#render());
    this.#render();
  }

  /** @param {() => Promise<unknown>} take */
  async #take(take) {
    fill(this.#problems);
    try {
      await take();
    } catch (error) {
      this.#fail(t("collections.unread"), error);
    }
  }

  /**
   * @param {string} title
   * @param {unknown} error
   * @param {Parameters<typeof problem>[2]} [anyway]
   */
  #fail(title, error, anyway = false) {
    fill(this.#problems, problem(title, asError(error), anyway));
  }

  #renderProgress() {
    const { state } = galleryState;
    if (state.what !== "building") return;
    const { done, total } = state;
    this.#bar.update(t("collections.count", { done, total }), total ? done / total : 0);
  }

  #render() {
    const hadFocus = this.#content.contains(document.activeElement);
    const { state, gallery } = galleryState;
    this.dataset.state = state.what;
    if (state.what !== "nothing") fill(this.#problems, ...[...this.#problems.childNodes].slice(0, 1));
    this.#renderProgress();
    fill(this.#content, ...this.#parts());
    // hidden, and not removed: its fields keep what was typed
    this.#head.hidden = !gallery;
    this.#map.hidden = gallery === undefined && !sampleGallery.complete;
    this.#kept.hidden = state.what === "opening" || state.what === "building";
    this.#said.textContent = {
      nothing: "",
      opening: t("collections.opening", { name: galleryState.title }),
      building: t("collections.adding"),
      waiting: t("collections.chooseModel"),
      open: t("collections.inIt", { n: gallery?.size ?? 0 }),
      stopped: t("vectors.stopped"),
    }[state.what];
    // the focused element may have been replaced
    if (hadFocus && !this.contains(document.activeElement))
      /** @type {HTMLElement | null} */ (this.querySelector("[data-focus]"))?.focus();
  }

  /** @returns {import("../report/component.js").Child[]} */
  #parts() {
    const { state } = galleryState;
    const cancel = button(t("action.cancel"), () => galleryState.cancel());
    switch (state.what) {
      case "nothing":
        return [this.#intake()];
      case "opening":
        return [card(t("collections.opening", { name: state.name }), actions(cancel))];
      case "waiting": {
        const words = t(workspace.model.state === "loading" ? "collections.modelComes" : "collections.chooseModel");
        return [
          card(t("collections.waiting", { n: state.total }), h("p", { className: "muted" }, words), actions(cancel)),
        ];
      }
      case "building":
        return [card(t("collections.adding"), this.#bar.element, actions(cancel))];
      case "stopped": {
        const goOn = button(t("action.resume"), () => galleryState.resume(), "button primary");
        return [card(t("collections.stopped", { done: state.done, total: state.total }), actions(goOn))];
      }
      case "open":
        return [];
    }
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
          h("h1", { tabIndex: -1, "data-focus": true }, t("collections.title")),
          h("p", { className: "muted" }, t("collections.how")),
        ),
        actions(
          fileButton(t("action.chooseFolder"), {
            name: "gallery-folder",
            folder: true,
            className: "button primary",
            on: (files) => this.#take(() => addToCollection(pickedPaths(files))),
          }),
          fileButton(t("collections.openFile"), {
            name: "gallery-file",
            accept: GALLERY_FILES,
            on: (files) => this.#take(() => takeFiles(pickedPaths(files))),
          }),
        ),
      ),
    );
  }
}

/**
 * @param {string} title
 * @param {...import("../report/component.js").Child} more
 */
function card(title, ...more) {
  return h(
    "section",
    { className: "card", "aria-label": t("collections.progress"), tabIndex: -1, "data-focus": true },
    h("h2", {}, title),
    ...more,
  );
}

/** @param {...Node} buttons */
function actions(...buttons) {
  return h("div", { className: "actions" }, ...buttons);
}

/**
 * @param {string} label
 * @param {() => void} on
 * @param {string} [className]
 */
function button(label, on, className = "button") {
  return h("button", { type: "button", className, on: { click: on } }, label);
}

customElements.define("gallery-view", GalleryView);
