import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";

/** How long a message stays, unless the pointer or the focus is on it. */
const STAYS_MS = 12_000;

/**
 * @typedef {{ words: string, undo: () => unknown, settle?: () => void, back?: HTMLElement | null }} Done something that
 *   was done, and how it is undone; `settle` is called when it can no longer be undone; `back` gets the focus
 */

/** A message about the last thing that was done, with a button that undoes it. */
class UndoBar extends Component {
  /** @type {Done | undefined} */
  #done;
  #timer = 0;

  /** @override */
  connect() {
    this.setAttribute("role", "status");
    this.listen(this, "pointerenter focusin", () => clearTimeout(this.#timer));
    this.listen(this, "pointerleave focusout", () => this.#wait());
    this.listen(window, "pagehide", () => this.#end());
    this.#render();
  }

  /** @param {Done} done */
  show(done) {
    this.#end();
    this.#done = done;
    this.#render();
    this.#wait();
  }

  #render() {
    const done = this.#done;
    this.hidden = !done;
    if (!done) return fill(this);
    const undo = async () => {
      this.#done = undefined;
      await done.undo();
      this.#render();
      /** @type {HTMLElement | null} */ (done.back ?? document.querySelector("main"))?.focus();
    };
    fill(
      this,
      h("span", {}, done.words),
      h("button", { type: "button", className: "button small", on: { click: undo } }, t("undo.undo")),
      h(
        "button",
        { type: "button", className: "button small", "aria-label": t("undo.close"), on: { click: () => this.#end() } },
        "×",
      ),
    );
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), STAYS_MS);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#done?.settle?.();
    this.#done = undefined;
    this.#render();
  }
}

customElements.define("undo-bar", UndoBar);

/**
 * Says what was done, and offers to undo it.
 *
 * @param {Done} done
 */
export function offerUndo(done) {
  /** @type {UndoBar | null} */ (document.querySelector("undo-bar"))?.show(done);
}
