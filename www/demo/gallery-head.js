import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { pickedPaths } from "./file-drop.js";
import { allows } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { addToCollection } from "./intake.js";
import { t } from "./language.js";
import { download } from "./results.js";
import { offerUndo } from "./undo-bar.js";

const FORMATS = /** @type {const} */ (["gallery", "paddlex", "npy", "jsonl"]);
const FAILURES_SHOWN = 8;

/** What is known of the open collection, and what can be done with it. */
class GalleryHead extends Component {
  /** Shows an error. @type {(title: string, error: unknown, anyway?: { words: string, run: () => unknown } | false) => void} */
  fail = () => {};
  /** Tells screen readers. @type {(words: string) => void} */
  say = () => {};
  #name = h("input", { type: "text", id: "gallery-name", required: true, maxLength: 60 });
  #format = h("select", { id: "gallery-format" });
  #facts = h("p", { className: "muted" });
  #title = h("h1", {});
  #changes = h("div", { className: "gallery-tool" });
  #failures = h("div", {});
  /** The gallery whose name is in the field. @type {unknown} */
  #named;

  /** @override */
  connect() {
    this.className = "card";
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", t("collections.this"));
    const chosen = this.#format.value || "gallery";
    fill(this.#format, ...FORMATS.map((value) => h("option", { value }, t(`format.${value}`))));
    this.#format.value = chosen;
    this.#name.placeholder = t("collections.aName");
    this.#failures.replaceChildren();
    fill(
      this,
      h("div", { className: "gallery-title", tabIndex: -1, "data-focus": true }, this.#title, this.#facts),
      h(
        "div",
        { className: "gallery-tools" },
        h(
          "div",
          { className: "gallery-tool" },
          h("a", { className: "button primary", href: "#search" }, t("collections.search")),
        ),
        this.#form(t("collections.name"), this.#name, t("collections.save"), () => this.#save(this.#name.value, false)),
        this.#form(t("collections.form"), this.#format, t("collections.toFile"), () => this.#write()),
        this.#changes,
      ),
      this.#failures,
    );
    this.listen(galleryState, "state gallery content", () => this.#render());
    this.#render();
  }

  /**
   * @param {string} label
   * @param {HTMLElement} field
   * @param {string} words
   * @param {() => void} submit
   */
  #form(label, field, words, submit) {
    const send = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      submit();
    };
    return h(
      "form",
      { className: "gallery-tool", on: { submit: send } },
      h("label", { className: "visually-hidden", htmlFor: field.id }, label),
      field,
      h("button", { type: "submit", className: "button" }, words),
    );
  }

  #render() {
    const { gallery, state, saved } = galleryState;
    if (!gallery || state.what === "nothing") return;
    if (this.#named !== gallery) {
      this.#named = gallery;
      this.#name.value = saved.name || (state.name === "gallery" ? "" : state.name);
    }
    this.#title.textContent = galleryState.title;
    const { size: n, metric, dtype, dimension } = gallery;
    const kept = t(saved.current ? "collections.saved" : "collections.notSaved");
    this.#facts.textContent = t("collections.facts", { n, metric, dtype, dimension: String(dimension), saved: kept });
    this.#renderChanges(state.what === "building" || state.what === "waiting");
    this.#renderFailures();
  }

  /** @param {boolean} busy */
  #renderChanges(busy) {
    if (this.#changes.dataset.busy === String(busy) && this.#changes.lang === document.documentElement.lang) return;
    this.#changes.dataset.busy = String(busy);
    this.#changes.lang = document.documentElement.lang;
    const add = (/** @type {File[]} */ files) =>
      addToCollection(pickedPaths(files)).catch((error) => this.fail(t("collections.unread"), error));
    fill(
      this.#changes,
      !busy && fileButton(t("collections.add"), { name: "gallery-more", folder: true, on: add }),
      !busy &&
        h(
          "button",
          { type: "button", className: "button", on: { click: () => this.#close() } },
          t("collections.close"),
        ),
    );
  }

  #renderFailures() {
    const { failures } = galleryState;
    const shown = failures.slice(0, FAILURES_SHOWN).map(({ name, error }) => h("li", {}, `${name}: ${error.message}`));
    const open = this.#failures.querySelector("details")?.open;
    fill(
      this.#failures,
      failures.length > 0 &&
        h(
          "details",
          { open },
          h("summary", {}, t("collections.failures", { n: failures.length })),
          h(
            "ul",
            {},
            ...shown,
            failures.length > shown.length && h("li", {}, t("collections.more", { n: failures.length - shown.length })),
          ),
        ),
    );
  }

  /** @param {string} name @param {boolean} replace */
  async #save(name, replace) {
    try {
      await galleryState.save(name, { replace });
      this.say(t("collections.savedAs", { name }));
    } catch (error) {
      const run = () => this.#save(name, true);
      const anyway = allows("replace", asError(error)) && { words: t("collections.replace"), run };
      this.fail(t("collections.notSavable"), error, anyway);
    }
  }

  async #write() {
    const { gallery, saved } = galleryState;
    if (!gallery) return;
    try {
      const format = /** @type {"gallery"} */ (this.#format.value);
      const name = saved.name.replace(/[^\p{L}\p{N}._-]+/gu, "_") || "gallery";
      const files = await gallery.toFile({ format, name });
      for (const file of [files].flat()) download(file.name, file);
    } catch (error) {
      this.fail(t("collections.notWritable"), error);
    }
  }

  #close() {
    const { title } = galleryState;
    const { restore, settle } = galleryState.setAside();
    offerUndo({ words: t("collections.closed", { name: title }), undo: restore, settle });
    /** @type {HTMLElement | null} */ (document.querySelector("gallery-view [data-focus]"))?.focus();
  }
}

customElements.define("gallery-head", GalleryHead);

export function galleryHead() {
  return /** @type {GalleryHead} */ (document.createElement("gallery-head"));
}
