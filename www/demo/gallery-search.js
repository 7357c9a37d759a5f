import { ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { fileButton } from "./file-button.js";
import { entryCard, entryPicture, frame, scoreText } from "./gallery-card.js";
import { galleryGrid } from "./gallery-grid.js";
import { isImage } from "./gallery-pictures.js";
import { allows, problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { counted } from "./units.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 *
 * A query: an image of the user, or one of the gallery, which is then not among its own hits.
 *
 * @typedef {{ name: string, picture: () => HTMLElement, vector: (signal: AbortSignal) => Promise<Float32Array>,
 *   itself?: string }} Query
 */

const DEFAULT_K = 24;
/** Number of hits that vote for the label of a query. */
const VOTERS = 5;

/** The view of a search. The query is an image that is dropped, pasted or chosen, or one of the gallery. */
class GallerySearch extends Component {
  /** @type {Query | undefined} */
  #query;
  #asking = new AbortController();
  /** The object URL of the query. */
  #address = "";
  #answer = h("div", { className: "gallery-answer" });
  #said = h("p", { role: "status", className: "visually-hidden" });
  #k = h("input", {
    type: "number",
    id: "gallery-k",
    min: "1",
    max: "500",
    step: "1",
    value: String(DEFAULT_K),
    on: { change: () => this.#ask() },
  });
  #threshold = h("input", {
    type: "number",
    id: "gallery-threshold",
    step: "any",
    placeholder: "none",
    on: { change: () => this.#ask() },
  });
  #label = h("select", { id: "gallery-label", on: { change: () => this.#ask() } });

  /** @override */
  connect() {
    fill(
      this,
      this.#said,
      h(
        "div",
        { className: "gallery-ask" },
        h(
          "p",
          { className: "gallery-hint" },
          h("strong", {}, "Drop or paste an image"),
          h("span", { className: "muted" }, " to search with, or press one of the gallery's below."),
        ),
        fileButton("Choose an image", {
          name: "gallery-query",
          accept: "image/*,.qoi,.pnm,.ppm,.pgm,.pbm,.tif,.tiff",
          on: ([file]) => this.askFile(file),
        }),
        h(
          "div",
          { className: "dataset-fields" },
          h("label", { htmlFor: "gallery-k" }, h("span", {}, "Hits"), this.#k),
          h("label", { htmlFor: "gallery-threshold" }, h("span", {}, "Threshold"), this.#threshold),
          h("label", { htmlFor: "gallery-label" }, h("span", {}, "Label"), this.#label),
        ),
      ),
      this.#answer,
      h("h2", {}, "All images"),
      galleryGrid((entry) => this.#askEntry(entry)),
    );
    this.listen(galleryState, "gallery", () => this.#forget());
    this.listen(galleryState, "content", () => this.#renewLabels());
    void this.#renewLabels();
  }

  /** Removes the answer of the gallery before. */
  #forget() {
    this.#asking.abort();
    this.#query = undefined;
    URL.revokeObjectURL(this.#address);
    fill(this.#answer);
  }

  /** @param {File} file */
  askFile(file) {
    if (!isImage(file))
      return this.#show(problem("The search did not work", new ImageFeatureError("usage", `${file.name} is no image`)));
    URL.revokeObjectURL(this.#address);
    const address = (this.#address = URL.createObjectURL(file));
    const name = file.name || "pasted image";
    this.#query = {
      name,
      picture() {
        const showName = () =>
          picture.replaceChildren(
            h("span", { className: "ending" }, /\.(\w{1,5})$/.exec(name)?.[1].toUpperCase() ?? "?"),
          );
        const picture = frame(h("img", { src: address, alt: "", on: { error: showName } }));
        return picture;
      },
      async vector(signal) {
        const [vector] = await galleryState.vectorsOf([{ id: name, file }], { signal });
        if (vector instanceof Error) throw vector;
        return vector;
      },
    };
    return this.#ask();
  }

  /** @param {GalleryEntry} entry */
  #askEntry(entry) {
    this.#query = {
      name: entry.id,
      itself: entry.id,
      picture: () => entryPicture(entry),
      async vector(signal) {
        const vector = await galleryState.gallery?.vector(entry.id, { signal });
        if (!vector) throw new ImageFeatureError("usage", `${entry.id} is no longer in the gallery`);
        return vector;
      },
    };
    void this.#ask();
    this.#answer.scrollIntoView({ block: "nearest" });
  }

  async #ask() {
    const query = this.#query;
    const { gallery } = galleryState;
    if (!query || !gallery) return;
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    try {
      const k = Math.max(1, Math.floor(this.#k.valueAsNumber || DEFAULT_K));
      const threshold = Number.isNaN(this.#threshold.valueAsNumber) ? undefined : this.#threshold.valueAsNumber;
      const filter = this.#label.value === "" ? undefined : { label: this.#label.value.slice(1) };
      const vector = await query.vector(signal);
      const start = performance.now();
      const found = await gallery.search(vector, {
        k: query.itself === undefined ? k : k + 1,
        threshold,
        filter,
        signal,
        anyModel: galleryState.anyModel,
      });
      const milliseconds = performance.now() - start;
      const hits = found.filter(({ id }) => id !== query.itself).slice(0, k);
      const votes = new Map();
      for (const { label } of hits.slice(0, VOTERS))
        if (label !== undefined) votes.set(label, (votes.get(label) ?? 0) + 1);
      const [winner, count] = [...votes].sort((a, b) => b[1] - a[1])[0] ?? [];
      const verdict =
        winner === undefined
          ? ""
          : `${winner}: ${count} of the ${counted(Math.min(VOTERS, hits.length), "nearest image")}`;
      const words =
        hits.length === 0
          ? "Nothing is as near as the threshold."
          : `${counted(hits.length, "hit")} in ${milliseconds.toFixed(1)} ms`;
      this.#show(
        h(
          "div",
          { className: "gallery-query" },
          query.picture(),
          h(
            "div",
            { className: "gallery-asked" },
            h("h2", {}, query.name),
            h("p", { className: "gallery-verdict" }, verdict),
            h("p", { className: "muted" }, words),
          ),
        ),
        h(
          "ol",
          { className: "gallery-hits" },
          ...hits.map((hit) =>
            h("li", {}, entryCard(hit, { score: scoreText(hit.score, gallery.metric), on: () => this.#askEntry(hit) })),
          ),
        ),
      );
      this.#said.textContent = `${query.name}: ${words}. ${verdict}`;
    } catch (error) {
      if (signal.aborted) return;
      const anyway = () => {
        galleryState.anyModel = true;
        void this.#ask();
      };
      const words = "Search anyway";
      this.#show(
        problem(
          "The search did not work",
          asError(error),
          allows("anyModel", asError(error)) && { words, run: anyway },
        ),
      );
    }
  }

  /** @param {...import("../report/component.js").Child} parts */
  #show(...parts) {
    const hadFocus = this.#answer.contains(document.activeElement);
    fill(this.#answer, ...parts);
    if (hadFocus)
      /** @type {HTMLElement | null} */ (this.#answer.querySelector("button"))?.focus({ preventScroll: true });
  }

  async #renewLabels() {
    const { gallery } = galleryState;
    if (!gallery) return;
    try {
      const labels = (await gallery.labels()).flatMap(({ label, count }) => (label === null ? [] : [{ label, count }]));
      const chosen = this.#label.value;
      // each value begins with a sign, because a label may be empty
      fill(
        this.#label,
        h("option", { value: "" }, "any"),
        ...labels.map(({ label, count }) => h("option", { value: `=${label}` }, `${label} (${count})`)),
      );
      this.#label.value = labels.some(({ label }) => `=${label}` === chosen) ? chosen : "";
    } catch (error) {
      if (galleryState.gallery === gallery) this.#show(problem("The labels could not be listed", asError(error)));
    }
  }
}

customElements.define("gallery-search", GallerySearch);

/** @returns {GallerySearch} */
export function gallerySearch() {
  return /** @type {GallerySearch} */ (document.createElement("gallery-search"));
}
