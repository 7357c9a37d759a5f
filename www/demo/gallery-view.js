import { Gallery, ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { droppedPaths, isInOpenTab, isModelFile, pickedPaths, takeDrops, unreadError } from "./file-drop.js";
import "./gallery-duplicates.js";
import "./gallery-evaluation.js";
import { isImage, sourcesAmong } from "./gallery-pictures.js";
import { allows, problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { gallerySearch } from "./gallery-search.js";
import { ProgressBar } from "./progress-bar.js";
import { download } from "./results.js";
import { bytes, counted } from "./units.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("./file-drop.js").PathAndFile} PathAndFile
 * @typedef {import("../image-feature/index.js").KeptGallery} KeptGallery
 */

const FORMATS = {
  gallery: "one file (.safetensors)",
  paddlex: "PaddleX's index (two files)",
  npy: ".npy and entries (two files)",
  jsonl: "JSON lines (.jsonl)",
};
const GALLERY_FILES = ".safetensors,.jsonl,.npy,.txt,.index,.yaml,.yml";
const GALLERY_FILE = /\.(safetensors|jsonl|npy|index)$/i;
const FAILURES_SHOWN = 8;

/** The tab of galleries: a gallery is made from a folder of images or opened, searched, evaluated, and saved. */
class GalleryView extends Component {
  #bar = new ProgressBar();
  #said = h("p", { role: "status", className: "visually-hidden" });
  #content = h("div", { className: "gallery-content" });
  #problems = h("div", { className: "gallery-content" });
  #kept = h("div", {});
  #head = h("section", { className: "card", "aria-label": "This gallery" });
  #search = gallerySearch();
  #views = galleryTabs(this.#search);
  /** Whether the tab was opened. The list of saved galleries is read only then. */
  #looked = false;

  /** @override */
  connect() {
    fill(this, this.#said, this.#problems, this.#content, this.#head, this.#views);
    takeDrops(this, (transfer) => {
      /** @type {string[]} */
      const unread = [];
      void this.#take(droppedPaths(transfer, unread), unread);
    });
    this.listen(document, "paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (isInOpenTab(this) && files.length > 0) void this.#take(Promise.resolve(pickedPaths(files)));
    });
    this.listen(galleryState, "state", () => this.#render());
    this.listen(galleryState, "progress", () => this.#renderProgress());
    this.listen(galleryState, "gallery", () => this.#render());
    this.listen(galleryState, "content", () => this.#renderHead());
    this.listen(galleryState, "kept", () => this.#renderKept());
    this.listen(galleryState, "failed", ({ detail }) => this.#fail("That gallery could not be made", detail));
    this.listen(workspace, "model", () => this.#renderWaiting());
    new ResizeObserver(() => {
      if (this.#looked || !this.checkVisibility()) return;
      this.#looked = true;
      void this.#renderKept();
    }).observe(this);
    this.#render();
  }

  /**
   * Takes files that were dropped, pasted or picked: a query, a gallery's file, or images for a gallery.
   *
   * @param {Promise<PathAndFile[]>} coming
   * @param {readonly string[]} [unread] has the paths of what could not be read, once the files are there
   */
  async #take(coming, unread = []) {
    try {
      const files = await coming;
      const images = files.filter(({ file }) => isImage(file));
      // of a model or gallery, all files are needed
      if (unread.length > 0 && images.length === 0) throw unreadError(unread, false);
      if (images.length === 0 && files.some(({ file }) => GALLERY_FILE.test(file.name)))
        return this.#openFiles(files.map(({ file }) => file));
      if (files.length > 0 && files.every(({ file }) => isModelFile(file)))
        return void workspace.loadModel(files.map(({ file }) => file));
      if (galleryState.gallery && files.length === 1 && images.length === 1)
        return void this.#search.askFile(files[0].file);
      await this.#add(files, unread);
    } catch (error) {
      this.#fail("What was dropped could not be read", error);
    }
  }

  /**
   * @param {PathAndFile[]} files
   * @param {readonly string[]} [unread]
   */
  async #add(files, unread = []) {
    fill(this.#problems);
    const { images, queries, missing } = await sourcesAmong(files);
    if (images.length === 0)
      return this.#fail("There is nothing to add", new ImageFeatureError("usage", "no image is among these files"));
    if (unread.length > 0) this.#fail("Not all could be read", unreadError(unread));
    else if (missing > 0)
      this.#fail(
        "The lists name images that are not there",
        new ImageFeatureError(
          "usage",
          `${counted(missing, "image")} of gallery.txt and query.txt ${missing === 1 ? "is" : "are"} missing; the others are taken`,
        ),
      );
    const name = galleryState.state.what === "nothing" ? "gallery" : galleryState.state.name;
    await galleryState.add(name, images, queries).catch((error) => this.#fail("They are not added", error));
  }

  /** @param {File[]} files */
  #openFiles(files) {
    fill(this.#problems);
    return galleryState.openFiles(files);
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
    this.#bar.update(
      `${state.done.toLocaleString("en")} of ${counted(state.total, "image")}`,
      state.total ? state.done / state.total : 0,
    );
  }

  #renderWaiting() {
    if (galleryState.state.what === "waiting") this.#render();
  }

  #render() {
    const hadFocus = this.#content.contains(document.activeElement);
    const { state, gallery } = galleryState;
    this.dataset.state = state.what;
    this.#renderProgress();
    fill(this.#content, ...this.#parts());
    // hidden, and not removed: their contents stay
    this.#head.hidden = this.#views.hidden = !gallery;
    this.#renderHead();
    if (state.what === "nothing") void this.#renderKept();
    if (state.what !== "nothing")
      this.#said.textContent = {
        opening: "Opening",
        building: "Adding images",
        waiting: "Waiting for a model",
        open: `${counted(gallery?.size ?? 0, "image")} in the gallery`,
        stopped: "Stopped",
      }[state.what];
    // the focused element may have been replaced
    if (hadFocus && !this.contains(document.activeElement))
      /** @type {HTMLElement | null} */ (this.querySelector("[data-focus]"))?.focus();
  }

  /** @returns {import("../report/component.js").Child[]} */
  #parts() {
    const { state } = galleryState;
    const working = (/** @type {string} */ title, /** @type {...import("../report/component.js").Child} */ ...more) =>
      h(
        "section",
        { className: "card", "aria-label": "Progress", tabIndex: -1, "data-focus": true },
        h("h2", {}, title),
        ...more,
        h(
          "div",
          { className: "actions" },
          button("Cancel", () => galleryState.cancel()),
        ),
      );
    switch (state.what) {
      case "nothing":
        return [this.#intake(), this.#kept];
      case "opening":
        return [working(`Opening ${state.name}`)];
      case "waiting":
        return [
          working(
            `${counted(state.total, "image")} wait for a model`,
            h(
              "p",
              { className: "muted" },
              workspace.model.state === "loading"
                ? "It is being loaded."
                : "Choose a model: it makes the vectors that are compared.",
            ),
          ),
        ];
      case "building":
        return [working("Adding images", this.#bar.element)];
      case "stopped":
        return [
          h(
            "section",
            { className: "card", "aria-label": "Stopped", tabIndex: -1, "data-focus": true },
            h("h2", {}, `Stopped: ${state.done.toLocaleString("en")} of ${counted(state.total, "image")} looked at`),
            h(
              "div",
              { className: "actions" },
              button("Go on", () => galleryState.resume(), "button primary"),
            ),
          ),
        ];
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
          h("h1", {}, "Drop a folder of images here"),
          h(
            "p",
            { className: "muted" },
            "its folders become labels. Or a gallery's file, or PaddleX's index. Then search it with an image.",
          ),
        ),
        h(
          "div",
          { className: "actions" },
          fileButton("Choose a folder", {
            name: "gallery-folder",
            folder: true,
            className: "button primary",
            on: (files) => this.#add(pickedPaths(files)),
          }),
          fileButton("Open a gallery's file", {
            name: "gallery-file",
            accept: GALLERY_FILES,
            on: (files) => this.#openFiles(files),
          }),
        ),
      ),
    );
  }

  /** The list of the galleries that the browser keeps. */
  async #renderKept() {
    if (!this.#looked) return;
    try {
      const kept = await Gallery.list();
      const hadFocus = this.#kept.contains(document.activeElement);
      fill(
        this.#kept,
        kept.length > 0 &&
          h(
            "section",
            { className: "card", "aria-label": "Kept in this browser" },
            h("h2", {}, "Kept in this browser"),
            h("ul", { className: "gallery-kept" }, ...kept.map((one) => this.#keptRow(one))),
          ),
      );
      if (hadFocus)
        /** @type {HTMLElement | null} */ (
          this.#kept.querySelector("button") ?? this.#content.querySelector("button")
        )?.focus();
    } catch (error) {
      fill(this.#kept, problem("The galleries kept in this browser could not be listed", asError(error)));
    }
  }

  /** @param {KeptGallery} kept */
  #keptRow({ name, count, bytes: size, saved }) {
    const remove = async () => {
      try {
        await galleryState.deleteKept(name);
        this.#said.textContent = `${name} is deleted`;
      } catch (error) {
        this.#fail("It could not be deleted", error);
      }
    };
    const facts = [
      count === null ? "damaged" : counted(count, "image"),
      bytes(size),
      saved.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }),
    ];
    const open = () => {
      fill(this.#problems);
      void galleryState.openKept(name);
    };
    return h(
      "li",
      {},
      h("span", { className: "file-name" }, name),
      h("span", { className: "muted" }, facts.join(" · ")),
      h(
        "span",
        { className: "row-actions" },
        button("Open", open, "button small", `Open ${name}`),
        button("Delete", remove, "button small", `Delete ${name}`),
      ),
    );
  }

  #renderHead() {
    const { gallery, state, saved, failures } = galleryState;
    if (!gallery || state.what === "nothing") return fill(this.#head);
    // text that the user has typed stays
    const written = /** @type {HTMLInputElement | null} */ (this.#head.querySelector("#gallery-name"))?.value;
    const chosen =
      /** @type {HTMLSelectElement | null} */ (this.#head.querySelector("#gallery-format"))?.value ?? "gallery";
    const focused = this.#head.contains(document.activeElement) ? document.activeElement : null;
    if (focused instanceof HTMLInputElement && state.what === "building") return;
    const name = h("input", {
      type: "text",
      id: "gallery-name",
      required: true,
      maxLength: 60,
      value: written || saved.name || (state.name === "gallery" ? "" : state.name),
      placeholder: "a name",
    });
    const format = h(
      "select",
      { id: "gallery-format" },
      ...Object.entries(FORMATS).map(([value, words]) => h("option", { value }, words)),
    );
    format.value = chosen;
    const saveAs = async (/** @type {string} */ name, /** @type {boolean} */ replace) => {
      fill(this.#problems);
      try {
        await galleryState.save(name, { replace });
        this.#said.textContent = `Saved as ${name}`;
      } catch (error) {
        const anyway = allows("replace", asError(error)) && { words: "Replace it", run: () => saveAs(name, true) };
        this.#fail("The gallery could not be saved", error, anyway);
      }
    };
    const save = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void saveAs(name.value, false);
    };
    const write = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      fill(this.#problems);
      try {
        const options = {
          format: /** @type {"gallery"} */ (format.value),
          name: saved.name.replace(/[^\p{L}\p{N}._-]+/gu, "_") || "gallery",
        };
        const files = await gallery.toFile(options);
        for (const file of [files].flat()) download(file.name, file);
      } catch (error) {
        this.#fail("The gallery could not be written", error);
      }
    };
    const add = (/** @type {File[]} */ files) => this.#add(pickedPaths(files));
    const close = () => {
      fill(this.#problems);
      galleryState.close();
    };
    const busy = state.what === "building" || state.what === "waiting";
    const title = saved.name || (state.name === "gallery" ? "A new gallery" : state.name);
    fill(
      this.#head,
      h(
        "div",
        { className: "gallery-title", tabIndex: -1, "data-focus": true },
        h("h1", {}, title),
        h(
          "p",
          { className: "muted" },
          `${counted(gallery.size, "image")} · ${gallery.metric}, ${gallery.dtype}, ${gallery.dimension} values · ${saved.current ? "saved" : "not saved"}`,
        ),
      ),
      h(
        "div",
        { className: "gallery-tools" },
        h(
          "form",
          { className: "gallery-tool", on: { submit: save } },
          h("label", { className: "visually-hidden", htmlFor: "gallery-name" }, "Name"),
          name,
          h("button", { type: "submit", className: "button primary" }, "Save in this browser"),
        ),
        h(
          "form",
          { className: "gallery-tool", on: { submit: write } },
          h("label", { className: "visually-hidden", htmlFor: "gallery-format" }, "Form of the file"),
          format,
          h("button", { type: "submit", className: "button" }, "Save as a file"),
        ),
        h(
          "div",
          { className: "gallery-tool" },
          !busy && fileButton("Add a folder", { name: "gallery-more", folder: true, on: add }),
          !busy && button("Close", close),
        ),
      ),
      failures.length > 0 &&
        h(
          "details",
          {},
          h("summary", {}, `${counted(failures.length, "image")} could not be added`),
          h(
            "ul",
            {},
            ...failures.slice(0, FAILURES_SHOWN).map(({ name, error }) => h("li", {}, `${name}: ${error.message}`)),
            failures.length > FAILURES_SHOWN && h("li", {}, `and ${failures.length - FAILURES_SHOWN} more`),
          ),
        ),
    );
    if (!focused) return;
    // focus the new element that replaces the focused one
    const again = [
      .../** @type {NodeListOf<HTMLElement>} */ (
        this.#head.querySelectorAll("[data-focus], summary, button, input, select")
      ),
    ];
    (
      again.find(
        ({ tagName, id, textContent }) =>
          tagName === focused.tagName && id === focused.id && textContent === focused.textContent,
      ) ?? again[0]
    ).focus({ preventScroll: true });
  }
}

/** @param {HTMLElement} search */
function galleryTabs(search) {
  const section = (/** @type {string} */ id, /** @type {string} */ label, /** @type {HTMLElement} */ inside) =>
    h("section", { id, "data-tab": label }, inside);
  const tabs = document.createElement("tab-view");
  tabs.className = "views";
  tabs.ariaLabel = "Views of the gallery";
  fill(
    tabs,
    section("gallery-search", "Search", search),
    section("gallery-duplicates", "Duplicates", document.createElement("gallery-duplicates")),
    section("gallery-evaluation", "Evaluation", document.createElement("gallery-evaluation")),
  );
  return tabs;
}

/**
 * @param {string} label
 * @param {() => void} on
 * @param {string} [className]
 * @param {string} [description]
 */
function button(label, on, className = "button", description = undefined) {
  return h("button", { type: "button", className, "aria-label": description, on: { click: on } }, label);
}

customElements.define("gallery-view", GalleryView);
