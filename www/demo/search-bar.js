import { Component, fill, h } from "../report/component.js";
import { closestPairs } from "./closest.js";
import { asError } from "./as-error.js";
import { galleryState } from "./gallery-state.js";
import { sampleLabel, t } from "./language.js";
import { sampleGallery } from "./sample-gallery.js";
import { searchState } from "./search-state.js";
import { digitsFor } from "./units.js";

/** How long a visitor's typing rests before it is looked for. */
const REST_MS = 150;

/** The bar above the pictures: what the collection is, and the filters by words, label and likeness. */
class SearchBar extends Component {
  /** What the collection is. @type {Node[]} */
  facts = [];
  #words = h("input", { type: "search", id: "search-words" });
  #label = h("select", { id: "search-label" });
  #slider = h("input", { type: "range", id: "search-threshold", min: "0", max: "1", step: "any", value: "0" });
  #value = h("output", { className: "search-threshold-value" });
  #mark = h("datalist", { id: "search-marks" });
  #likeness = h("div", { className: "field" });
  #resting = 0;

  /** @override */
  connect() {
    const field = (/** @type {HTMLElement} */ input, /** @type {string} */ words) =>
      h("div", { className: "field" }, h("label", { htmlFor: input.id }, words), input);
    fill(
      this.#likeness,
      h("label", { htmlFor: "search-threshold" }, t("search.threshold"), " ", this.#value),
      this.#slider,
      this.#mark,
    );
    fill(
      this,
      h("div", { className: "search-facts" }, ...this.facts),
      field(this.#words, t("search.find")),
      field(this.#label, t("search.label")),
      this.#likeness,
    );
    this.#slider.setAttribute("list", "search-marks");
    this.listen(this.#words, "input", () => {
      clearTimeout(this.#resting);
      this.#resting = setTimeout(() => searchState.filter({ words: this.#words.value.trim() }), REST_MS);
    });
    this.listen(this.#label, "change", () => {
      const { value } = this.#label;
      void searchState.filter({ label: value === "" ? undefined : value.slice(1) });
    });
    this.listen(this.#slider, "input", () => {
      const { value, min } = this.#slider;
      void searchState.filter({ threshold: value === min ? -Infinity : Number(value) });
      this.#render();
    });
    this.listen(galleryState, "content gallery", () => this.#renewLabels());
    this.listen(sampleGallery, "content", () => {
      if (sampleGallery.complete || sampleGallery.done === 0) void this.#renewLabels();
      if (sampleGallery.complete) void this.#findMark();
    });
    this.listen(searchState, "query", () => this.#render());
    this.listen(searchState, "answer", () => this.#fit());
    this.#render();
    void this.#renewLabels();
  }

  #render() {
    const { query, shelf } = searchState;
    // a slider from 0 to 1 fits cosines only
    this.#likeness.hidden = !query || shelf.metric !== "cosine";
    const { min, max, valueAsNumber } = this.#slider;
    this.#value.textContent = valueAsNumber.toFixed(digitsFor(Number(min), Number(max)) - 1);
  }

  /** Lets the slider go from the lowest score to the highest: models differ in the range that they use. */
  #fit() {
    const { answer, threshold, label, words, query } = searchState;
    if (!query || !answer || "error" in answer || answer.hits.length < 2) return;
    if (threshold !== -Infinity || label !== undefined || words !== "") return;
    this.#slider.min = String(answer.hits[answer.hits.length - 1].score);
    this.#slider.max = String(answer.hits[0].score);
    this.#slider.value = this.#slider.min;
    this.#render();
  }

  /** Marks on the slider from where on pictures of this collection are nearly the same. */
  async #findMark() {
    const { shelf } = searchState;
    if (shelf !== sampleGallery) return fill(this.#mark);
    const { threshold } = await closestPairs(shelf);
    fill(this.#mark, h("option", { value: String(threshold) }));
    this.#slider.title = t("search.mark", { score: threshold.toFixed(3) });
  }

  async #renewLabels() {
    const { shelf } = searchState;
    try {
      const labels = await shelf.labels();
      const chosen = searchState.label;
      // each value begins with a sign, because a label may be empty
      fill(
        this.#label,
        h("option", { value: "" }, t("search.anyLabel")),
        ...labels.flatMap(({ label, count }) =>
          label === null
            ? []
            : [
                h(
                  "option",
                  { value: `=${label}` },
                  `${shelf === sampleGallery ? sampleLabel(label) : label} (${count})`,
                ),
              ],
        ),
      );
      this.#label.value = chosen === undefined ? "" : `=${chosen}`;
    } catch (error) {
      if (shelf === searchState.shelf) searchState.fail(asError(error));
    }
  }
}

customElements.define("search-bar", SearchBar);

/** @param {...Node} facts what the collection is */
export function searchBar(...facts) {
  return Object.assign(/** @type {SearchBar} */ (document.createElement("search-bar")), { facts });
}
