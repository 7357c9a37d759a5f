import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { closestPairs } from "./closest.js";
import { entryPicture, labelOf, scoreText } from "./gallery-card.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { t } from "./language.js";
import { download } from "./results.js";
import { sampleGallery } from "./sample-gallery.js";
import { searchState } from "./search-state.js";
import { digitsFor } from "./units.js";
import { offerUndo } from "./undo-bar.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").GalleryPair} GalleryPair
 *
 * @typedef {{ entries: GalleryEntry[], nearest: number }} Group pictures each of which is near another of them, and the
 *   score of the nearest two
 */

const GROUPS_AT_ONCE = 20;
/** The largest number of cards of one group. With a low threshold all images are one group. */
const MOST_CARDS = 24;
const REST_MS = 200;

/** The tab of near duplicates. It looks for them when it is opened; they can be taken out. */
class GalleryDuplicates extends Component {
  #slider = h("input", { type: "range", id: "near", min: "0", max: "1", step: "any" });
  #value = h("output", {});
  #head = h("div", { className: "duplicates-head" });
  #answer = h("div", { className: "gallery-answer" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #finding = new AbortController();
  #resting = 0;
  /** Whether the collection has changed since the answer. */
  #stale = true;
  /** The threshold that the visitor has chosen for this collection. @type {number | undefined} */
  #chosen;
  /** @type {Group[]} */
  #groups = [];

  /** @override */
  connect() {
    fill(this, this.#said, this.#head, this.#answer);
    this.listen(this.#slider, "input", () => {
      this.#chosen = this.#slider.valueAsNumber;
      this.#renderValue();
      clearTimeout(this.#resting);
      this.#resting = setTimeout(() => void this.#find(), REST_MS);
    });
    this.listen(galleryState, "gallery", () => {
      this.#chosen = undefined;
      this.#invalidate();
    });
    this.listen(galleryState, "content", () => this.#invalidate());
    this.listen(sampleGallery, "content", () => searchState.shelf === sampleGallery && this.#invalidate());
    // the size changes when the tab is opened
    this.observe(new ResizeObserver(() => this.#refresh()));
    this.#stale = true;
    this.#renderHead(0);
    this.#refresh();
  }

  #invalidate() {
    this.#stale = true;
    this.#refresh();
  }

  #refresh() {
    if (!this.#stale || !this.checkVisibility()) return;
    this.#stale = false;
    void this.#find();
  }

  /** @param {number} pairs */
  #renderHead(pairs) {
    fill(
      this.#head,
      h("div", {}, h("h1", {}, t("duplicates.title")), h("p", { className: "muted" }, t("duplicates.how"))),
      h(
        "div",
        { className: "field" },
        h("label", { htmlFor: "near" }, t("search.threshold"), " ", this.#value),
        this.#slider,
      ),
      pairs > 0 &&
        h("button", { type: "button", className: "button", on: { click: () => this.#save() } }, t("duplicates.csv")),
    );
  }

  /** Lets the slider go some way below the threshold. @param {number} threshold */
  #fit(threshold) {
    this.#slider.min = String(threshold - 3 * Math.max(1 - threshold, 1e-6));
    this.#slider.value = String(threshold);
    this.#renderValue();
    return threshold;
  }

  #renderValue() {
    const { min, valueAsNumber } = this.#slider;
    this.#value.textContent = valueAsNumber.toFixed(digitsFor(Number(min), 1) - 1);
  }

  async #find() {
    const { shelf } = searchState;
    this.#finding.abort();
    const { signal } = (this.#finding = new AbortController());
    if (shelf === sampleGallery && !sampleGallery.complete)
      return fill(this.#answer, h("p", { className: "empty" }, t("duplicates.wait")));
    if (this.#groups.length === 0) fill(this.#answer, h("p", { className: "muted" }, t("duplicates.finding")));
    try {
      const threshold = (this.#chosen ??= this.#fit((await closestPairs(shelf, { signal })).threshold));
      const pairs = await shelf.duplicates({ threshold, signal });
      if (signal.aborted) return;
      const larger = shelf.metric === "cosine" || shelf.metric === "ip";
      this.#groups = grouped(pairs, larger);
      this.#render(pairs.length);
    } catch (error) {
      if (!signal.aborted) fill(this.#answer, problem(t("duplicates.failed"), asError(error)));
    }
  }

  /** @param {number} pairs */
  #render(pairs) {
    const groups = this.#groups;
    const n = groups.reduce((sum, { entries }) => sum + entries.length, 0);
    const words =
      groups.length === 0 ? t("duplicates.none") : t("duplicates.found", { n, groups: groups.length, pairs });
    this.#said.textContent = words;
    this.#renderHead(pairs);
    fill(this.#answer, h("p", { className: "counts" }, words), ...this.#list(groups));
  }

  /** @param {Group[]} groups */
  #list(groups) {
    const list = h("ol", { className: "gallery-groups" });
    const more = h("button", { type: "button", className: "button", on: { click: () => show() } });
    let shown = 0;
    const show = () => {
      list.append(...groups.slice(shown, (shown += GROUPS_AT_ONCE)).map((group) => this.#group(group)));
      more.textContent = t("duplicates.more", { n: groups.length - shown });
      more.hidden = shown >= groups.length;
    };
    show();
    return [list, more];
  }

  /** @param {Group} group */
  #group({ entries, nearest }) {
    const { metric } = searchState.shelf;
    const cards = entries.slice(0, MOST_CARDS).map((entry) =>
      h(
        "li",
        {},
        entryPicture(entry),
        h("span", { className: "gallery-label" }, labelOf(entry) ?? ""),
        h("span", { className: "gallery-id muted", title: entry.id }, entry.id),
        h(
          "button",
          {
            type: "button",
            className: "button small",
            "aria-label": t("duplicates.takeOutNamed", { name: entry.id }),
            on: { click: () => this.#takeOut(entry) },
          },
          t("duplicates.takeOut"),
        ),
      ),
    );
    const rest = entries.length - cards.length;
    return h(
      "li",
      { className: "card duplicates-group" },
      h("p", {}, h("strong", {}, t("duplicates.alike", { score: scoreText(nearest, metric, 3) }))),
      h("ul", { className: "duplicates-pictures" }, ...cards),
      rest > 0 && h("p", { className: "muted" }, t("duplicates.rest", { n: rest })),
    );
  }

  /** @param {GalleryEntry} entry */
  async #takeOut({ id }) {
    try {
      const undo = await galleryState.takeOut([id]);
      offerUndo({ words: t("duplicates.taken", { name: id }), undo });
      this.#said.textContent = t("duplicates.taken", { name: id });
      // the cards are drawn again; the focus goes to the head, which stays
      this.#slider.focus({ preventScroll: true });
    } catch (error) {
      this.#answer.prepend(problem(t("duplicates.notTaken"), asError(error)));
    }
  }

  #save() {
    const quoted = (/** @type {string} */ text) => `"${text.replaceAll('"', '""')}"`;
    const rows = this.#groups.flatMap(({ entries, nearest }, group) =>
      entries.map(({ id, label = "" }) => [group + 1, quoted(id), quoted(label), nearest.toFixed(4)].join(",")),
    );
    const text = `\ufeff${["group,picture,label,closest_score", ...rows].join("\r\n")}\r\n`;
    download("duplicates.csv", new Blob([text], { type: "text/csv" }));
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
