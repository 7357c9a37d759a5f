import { Gallery } from "../image-feature/index.js";
import { Component, fill, h } from "../report/component.js";
import { galleryState } from "./gallery-state.js";
import { LANGUAGES, language, t } from "./language.js";
import { offerUndo } from "./undo-bar.js";
import { bytes } from "./units.js";

/** @typedef {import("../image-feature/index.js").KeptGallery} KeptGallery */

/** The collections that this browser keeps. The list is read when it is seen for the first time. */
class GalleryKept extends Component {
  /** Shows an error. @type {(title: string, error: unknown) => void} */
  fail = () => {};
  /** Tells screen readers. @type {(words: string) => void} */
  say = () => {};
  #seen = false;

  /** @override */
  connect() {
    this.listen(galleryState, "kept state", () => this.#seen && this.#render());
    this.observe(
      new ResizeObserver(() => {
        if (this.#seen || !this.checkVisibility()) return;
        this.#seen = true;
        void this.#render();
      }),
      /** @type {Element} */ (this.parentElement),
    );
    if (this.#seen) void this.#render();
  }

  async #render() {
    try {
      const kept = await Gallery.list();
      const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") : "";
      const rows = kept.map((one) => this.#row(one));
      fill(
        this,
        rows.length > 0 &&
          h(
            "section",
            { className: "card", "aria-label": t("collections.kept") },
            h("h2", {}, t("collections.kept")),
            h("ul", { className: "gallery-kept" }, ...rows),
          ),
      );
      if (focused) this.#focus(focused);
    } catch (error) {
      this.fail(t("collections.notListed"), error);
    }
  }

  /** The button with this name again, or else one that is there. @param {string} name */
  #focus(name) {
    const same = [...this.querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === name);
    const other = this.querySelector("button") ?? this.parentElement?.querySelector("button");
    (same ?? other)?.focus();
  }

  /** @param {KeptGallery} kept */
  #row({ name, count, bytes: size, saved }) {
    const facts = [
      count === null ? t("collections.damaged") : t("collections.pictures", { n: count }),
      bytes(size),
      saved.toLocaleString(LANGUAGES[language()].code, { dateStyle: "medium", timeStyle: "short" }),
    ];
    const button = (/** @type {string} */ words, /** @type {string} */ described, /** @type {() => unknown} */ on) =>
      h("button", { type: "button", className: "button small", "aria-label": described, on: { click: on } }, words);
    const others = galleryState.gallery && galleryState.saved.name !== name;
    return h(
      "li",
      {},
      h("span", { className: "file-name" }, name),
      h("span", { className: "muted" }, facts.join(" · ")),
      h(
        "span",
        { className: "row-actions" },
        button(t("collections.open"), t("collections.openNamed", { name }), () => galleryState.openKept(name)),
        others && button(t("collections.merge"), t("collections.mergeNamed", { name }), () => this.#merge(name)),
        button(t("collections.rename"), t("collections.renameNamed", { name }), () => this.#askName(name)),
        button(t("collections.delete"), t("collections.deleteNamed", { name }), () => this.#delete(name)),
      ),
    );
  }

  /** @param {string} name */
  async #delete(name) {
    try {
      const gone = await galleryState.deleteKept(name);
      const words = t("collections.deleted", { name });
      if (gone) offerUndo({ words, undo: gone.restore, settle: gone.settle });
      this.say(words);
    } catch (error) {
      this.fail(t("collections.notDeleted"), error);
    }
  }

  /** @param {string} name */
  async #merge(name) {
    try {
      const n = await galleryState.merge(name);
      this.say(t("collections.merged", { n, name }));
    } catch (error) {
      this.fail(t("collections.notMerged"), error);
    }
  }

  /** Puts a field for another name in the place of the name. @param {string} name */
  #askName(name) {
    const row = [...this.querySelectorAll("li")].find((row) => row.querySelector(".file-name")?.textContent === name);
    const field = h("input", {
      type: "text",
      required: true,
      maxLength: 60,
      value: name,
      "aria-label": t("collections.name"),
    });
    const rename = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const other = field.value.trim();
      try {
        if (other !== name) await galleryState.rename(name, other);
        this.say(t("collections.renamed", { name, other }));
        await this.#render();
      } catch (error) {
        this.fail(t("collections.notSavable"), error);
      }
    };
    const giveUp = (/** @type {KeyboardEvent} */ { key }) => key === "Escape" && void this.#render();
    const words = t("collections.rename");
    const form = h(
      "form",
      { className: "gallery-tool", on: { submit: rename, keydown: giveUp } },
      field,
      h("button", { type: "submit", className: "button small" }, words),
    );
    row?.querySelector(".file-name")?.replaceWith(form);
    field.select();
  }
}

customElements.define("gallery-kept", GalleryKept);

export function galleryKept() {
  return /** @type {GalleryKept} */ (document.createElement("gallery-kept"));
}
