import { Component, fill, h } from "../report/component.js";
import { cameraButton } from "./camera-dialog.js";
import { fileButton } from "./file-button.js";
import { takeDrops } from "./file-drop.js";
import { problem, allows } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { IMAGE_FILES, takeFiles, takeTransfer } from "./intake.js";
import { t } from "./language.js";
import { linkedGallery } from "./linked-gallery.js";
import { pictureGrid } from "./picture-grid.js";
import { ProgressBar } from "./progress-bar.js";
import { queryPanel } from "./query-panel.js";
import { sampleGallery } from "./sample-gallery.js";
import { searchBar } from "./search-bar.js";
import { contains, searchState } from "./search-state.js";
import { searchTile } from "./search-tile.js";
import { duration } from "./units.js";
import { workspace } from "./workspace.js";

/**
 * @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry
 * @typedef {import("../image-feature/index.js").GalleryHit} GalleryHit
 */

/** The number of pictures that are read at a time to find words among them. */
const PAGE = 1000;

/** The tab of the search: a collection as a grid, ordered by likeness to the picture that is searched with. */
class SearchView extends Component {
  #said = h("p", { role: "status", className: "visually-hidden" });
  #status = h("p", { className: "search-status" });
  #bar = new ProgressBar();
  #copies = h("p", { className: "notice search-copies", hidden: true });
  #problems = h("div", {});
  #empty = h("p", { className: "empty", hidden: true });
  #grid = pictureGrid({
    load: (from, to) => this.#load(from, to),
    draw: (/** @type {GalleryEntry | GalleryHit} */ item) =>
      searchTile(item, searchState.shelf.metric, () => this.#askEntry(item)),
    key: (/** @type {GalleryEntry & { score?: number }} */ { id, score }) => `${id} ${score ?? ""}`,
    onEnd: () => {
      const { answer } = searchState;
      if (answer && "more" in answer && answer.more) void searchState.more();
    },
  });
  /** The entries that have the words of the filter. @type {GalleryEntry[] | undefined} */
  #matching;
  #drawnFor = "";
  /** The collection in the grid. @type {{ shelf: unknown, size: number }} */
  #shown = { shelf: undefined, size: 0 };

  /** @override */
  connect() {
    const query = queryPanel();
    fill(
      this,
      this.#said,
      h(
        "header",
        { className: "search-head" },
        h("div", {}, h("h1", {}, t("search.title")), h("p", { className: "muted search-how" }, t("search.how"))),
        h(
          "div",
          { className: "actions" },
          fileButton(t("search.choose"), {
            name: "query",
            accept: IMAGE_FILES,
            className: "button primary",
            on: (files) => void this.#take(() => takeFiles(files.map((file) => ({ path: file.name, file })))),
          }),
          cameraButton((file) => void searchState.askFile(file)),
        ),
      ),
      linkedGallery(),
      this.#problems,
      query,
      searchBar(this.#status, this.#bar.element),
      this.#copies,
      this.#empty,
      this.#grid,
    );
    takeDrops(this, (transfer) => void this.#take(() => takeTransfer(transfer)));
    this.listen(document, "paste", (event) => {
      if (this.checkVisibility() && event.clipboardData?.files.length)
        void this.#take(() => takeTransfer(event.clipboardData));
    });
    this.listen(searchState, "query", () => this.#renderQuery());
    this.listen(searchState, "answer", () => void this.#renderGrid());
    this.listen(sampleGallery, "content", () => this.#renew());
    this.listen(galleryState, "state progress content gallery", () => this.#renew());
    this.listen(workspace, "model", () => this.#renderStatus());
    this.observe(new ResizeObserver(() => void this.#renderGrid()));
    this.#renderStatus();
    void this.#renderGrid();
  }

  /** @param {() => Promise<unknown>} take */
  async #take(take) {
    fill(this.#problems);
    try {
      await take();
    } catch (error) {
      fill(this.#problems, problem(t("search.dragged"), /** @type {any} */ (error)));
    }
  }

  /** @param {GalleryEntry | GalleryHit} entry */
  #askEntry(entry) {
    // a hit has a score, an entry has none
    const { id, label, meta } = entry;
    void searchState.askEntry({ id, label, meta });
  }

  #renderQuery() {
    fill(this.#problems);
    this.#drawnFor = "";
    if (searchState.query) scrollTo({ top: 0 });
    void this.#renderGrid();
  }

  #renderStatus() {
    const { shelf } = searchState;
    const { state } = galleryState;
    const building = state.what === "building";
    const sampling = shelf === sampleGallery && workspace.model.state !== "failed" && !sampleGallery.complete;
    const working = building || (sampling && sampleGallery.busy);
    const [done, total] = building ? [state.done, state.total] : [sampleGallery.done, sampleGallery.size];
    this.#bar.element.hidden = !working;
    this.#status.hidden = working;
    this.#bar.update(t("search.looking", { done, total }), total ? done / total : 0);
    this.#status.textContent = this.#statusText();
    this.#copies.hidden = shelf !== sampleGallery || !sampleGallery.complete || searchState.query !== undefined;
    fill(this.#copies, t("search.copies"), " ", h("a", { href: "#duplicates" }, t("search.showCopies")));
  }

  /** Draws the grid, if the collection is another one, or has other pictures. */
  #renew() {
    this.#renderStatus();
    const { shelf, query } = searchState;
    if (query || (this.#shown.shelf === shelf && this.#shown.size === shelf.size)) return;
    this.#shown = { shelf, size: shelf.size };
    void this.#renderGrid();
  }

  #statusText() {
    const { shelf } = searchState;
    if (shelf !== sampleGallery)
      return `${galleryState.state.what === "nothing" ? "" : galleryState.title}: ${t("search.pictures", { n: shelf.size })}`;
    const n = sampleGallery.size;
    const words = sampleGallery.complete
      ? sampleGallery.milliseconds > 0
        ? t("search.looked", { n, time: duration(sampleGallery.milliseconds) })
        : t("search.remembered", { n })
      : {
          loading: t("said.loading"),
          ready: t("search.looking", { done: sampleGallery.done, total: n }),
          empty: t("search.noModel"),
          failed: t("search.noModel"),
        }[workspace.model.state];
    return `${t("search.sample")}: ${words}`;
  }

  async #renderGrid() {
    const { answer, query, words, label, shelf } = searchState;
    const anew = this.#drawnFor !== (query?.name ?? "");
    this.#drawnFor = query?.name ?? "";
    this.#copies.hidden = this.#copies.hidden || query !== undefined;
    this.dataset.query = String(query !== undefined);
    if (answer && "error" in answer) return this.#renderError(answer.error);
    this.#matching = query || (words === "" && label === undefined) ? undefined : await this.#find(words, label);
    const count = answer ? answer.hits.length : query ? 0 : (this.#matching?.length ?? shelf.size);
    this.#empty.hidden = count > 0 || (query !== undefined && !answer) || shelf.size === 0;
    this.#empty.textContent = query ? t("search.nothing") : t("search.noMatch");
    this.#grid.show(count, { anew, label: t("search.grid") });
    if (answer)
      this.#said.textContent = `${query?.name}: ${t("search.results", { n: count, time: duration(answer.milliseconds) })}`;
  }

  /** @param {import("../image-feature/index.js").ImageFeatureError} error */
  #renderError(error) {
    const run = () => {
      galleryState.anyModel = true;
      void searchState.ask();
    };
    this.#empty.hidden = true;
    this.#grid.show(0);
    fill(
      this.#problems,
      problem(t("search.failed"), error, allows("anyModel", error) && { words: t("search.anyway"), run }),
    );
  }

  /**
   * The pictures with these words and this label.
   *
   * @param {string} words
   * @param {string | undefined} label
   */
  async #find(words, label) {
    const { shelf } = searchState;
    /** @type {GalleryEntry[]} */
    const found = [];
    for (let first = 0; first < shelf.size; first += PAGE) {
      for (const entry of await shelf.entries({ first, count: PAGE }))
        if (contains(entry, words) && (label === undefined || entry.label === label)) found.push(entry);
    }
    return found;
  }

  /**
   * @param {number} from
   * @param {number} to
   * @returns {Promise<(GalleryEntry | GalleryHit)[]>}
   */
  async #load(from, to) {
    const { answer, shelf } = searchState;
    if (answer && "hits" in answer) return answer.hits.slice(from, to);
    return this.#matching?.slice(from, to) ?? shelf.entries({ first: from, count: to - from });
  }
}

customElements.define("search-view", SearchView);
