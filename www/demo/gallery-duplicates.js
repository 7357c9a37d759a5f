import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { entryCard, scoreText } from "./gallery-card.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { counted } from "./units.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").GalleryPair} GalleryPair
 *
 * @typedef {{ entries: GalleryEntry[], nearest: number }} Group images each of which is near another of them, and the
 *   score of the nearest two
 */

const GROUPS_AT_ONCE = 20;
/** The largest number of cards of one group. With a low threshold all images are one group. */
const MOST_CARDS = 24;

/** The view of near duplicates, which can be removed. */
class GalleryDuplicates extends Component {
  #threshold = h("input", { type: "number", id: "gallery-near", step: "any", required: true, value: "0.95" });
  #answer = h("div", { className: "gallery-answer" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #finding = new AbortController();

  /** @override */
  connect() {
    const send = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void this.#find();
    };
    fill(
      this,
      this.#said,
      h(
        "form",
        { className: "gallery-ask", on: { submit: send } },
        h(
          "p",
          { className: "gallery-hint" },
          h("strong", {}, "Images that are nearly the same"),
          h("span", { className: "muted" }, ": groups in which each is as near another as the threshold."),
        ),
        h(
          "div",
          { className: "dataset-fields" },
          h("label", { htmlFor: "gallery-near" }, h("span", {}, "Threshold"), this.#threshold),
        ),
        h("button", { type: "submit", className: "button primary" }, "Find duplicates"),
      ),
      this.#answer,
    );
    this.listen(galleryState, "gallery", () => {
      this.#finding.abort();
      fill(this.#answer);
    });
  }

  async #find() {
    const { gallery } = galleryState;
    if (!gallery) return;
    this.#finding.abort();
    const { signal } = (this.#finding = new AbortController());
    fill(this.#answer, h("p", { className: "muted" }, "Comparing each image with each …"));
    try {
      const pairs = await gallery.duplicates({ threshold: this.#threshold.valueAsNumber, signal });
      const larger = gallery.metric === "cosine" || gallery.metric === "ip";
      const groups = grouped(pairs, larger);
      const all = groups.reduce((sum, { entries }) => sum + entries.length, 0);
      const words =
        groups.length === 0
          ? "No two images are that near each other."
          : `${counted(all, "image")} in ${counted(groups.length, "group")}, ${counted(pairs.length, "pair")}`;
      this.#said.textContent = words;
      fill(this.#answer, h("p", { className: "counts" }, words), ...this.#list(groups));
    } catch (error) {
      if (!signal.aborted) fill(this.#answer, problem("The duplicates could not be found", asError(error)));
    }
  }

  /** @param {Group[]} groups */
  #list(groups) {
    const list = h("ol", { className: "gallery-groups" });
    const more = h("button", { type: "button", className: "button", on: { click: () => show() } });
    let shown = 0;
    const show = () => {
      list.append(...groups.slice(shown, (shown += GROUPS_AT_ONCE)).map((group) => this.#group(group)));
      more.textContent = `Show more of ${counted(groups.length - shown, "group")}`;
      more.hidden = shown >= groups.length;
    };
    show();
    return [list, more];
  }

  /** @param {Group} group */
  #group({ entries, nearest }) {
    const metric = galleryState.gallery?.metric ?? "cosine";
    const cards = entries.slice(0, MOST_CARDS).map((entry) => {
      const takeOut = async () => {
        try {
          await galleryState.remove([entry.id]);
          const next = item.nextElementSibling ?? item.previousElementSibling;
          item.remove();
          /** @type {HTMLElement | null} */ (next?.querySelector("button") ?? null)?.focus();
          this.#said.textContent = `${entry.id} is taken out`;
        } catch (error) {
          item.append(problem("It could not be taken out", asError(error)));
        }
      };
      const item = h(
        "li",
        {},
        entryCard(entry),
        h(
          "button",
          {
            type: "button",
            className: "button small",
            "aria-label": `Take ${entry.id} out of the gallery`,
            on: { click: takeOut },
          },
          "Take out",
        ),
      );
      return item;
    });
    const rest = entries.length - cards.length;
    return h(
      "li",
      { className: "card" },
      h(
        "p",
        { className: "muted" },
        `${counted(entries.length, "image")}, the nearest two ${scoreText(nearest, metric)}`,
      ),
      h("ul", { className: "gallery-hits" }, ...cards),
      rest > 0 && h("p", { className: "muted" }, `and ${rest} more`),
    );
  }
}

/**
 * Joins pairs to groups, sorted by their nearest pair.
 *
 * @param {GalleryPair[]} pairs
 * @param {boolean} larger whether a larger score is nearer
 * @returns {Group[]}
 */
export function grouped(pairs, larger) {
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const { first, second, score } of pairs) {
    const a = groups.get(first.id) ?? { entries: [first], nearest: score };
    const b = groups.get(second.id) ?? { entries: [second], nearest: score };
    groups.set(first.id, a).set(second.id, b);
    const [kept, gone] = a.entries.length >= b.entries.length ? [a, b] : [b, a];
    kept.nearest = larger ? Math.max(a.nearest, b.nearest, score) : Math.min(a.nearest, b.nearest, score);
    if (kept === gone) continue;
    // the smaller group joins the larger one, so that each entry moves only a few times
    for (const entry of gone.entries) {
      kept.entries.push(entry);
      groups.set(entry.id, kept);
    }
  }
  return [...new Set(groups.values())].sort((a, b) => (larger ? b.nearest - a.nearest : a.nearest - b.nearest));
}

customElements.define("gallery-duplicates", GalleryDuplicates);
