import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { entryCard } from "./gallery-card.js";
import { galleryState } from "./gallery-state.js";

/** @typedef {import("../image-feature/index.js").GalleryEntry} GalleryEntry */

/** The sizes in the style sheet. */
const CELL_WIDTH = 128;
const CELL_HEIGHT = 152;
/** Number of rows that are drawn above and below the visible ones. */
const MARGIN_ROWS = 3;
/** Number of entries of a page, which are requested together, and number of pages that are kept. */
const PAGE = 120;
const MOST_PAGES = 12;

/**
 * All images of the gallery. Only those that are visible are elements. `choose` is called with the entry that was
 * pressed.
 */
class GalleryGrid extends Component {
  /** @type {(entry: GalleryEntry) => void} */
  choose = () => {};
  #scroller = h("div", { className: "gallery-scroller", tabIndex: 0, role: "region", "aria-label": "All images" });
  #window = h("ul", { className: "gallery-grid" });
  #problem = h("p", { className: "error-message", hidden: true });
  /** @type {Map<number, Promise<GalleryEntry[]>>} */
  #pages = new Map();
  /** The drawn part, as text: from, to, columns, and the pages' generation. */
  #drawn = "";
  #generation = 0;

  /** @override */
  connect() {
    fill(this.#scroller, this.#window);
    fill(this, this.#problem, this.#scroller);
    this.listen(this.#scroller, "scroll", () => this.#draw());
    this.listen(galleryState, "content", () => this.#renew());
    new ResizeObserver(() => this.#draw()).observe(this.#scroller);
    this.#renew();
  }

  #renew() {
    this.#pages.clear();
    this.#generation++;
    requestAnimationFrame(() => this.#draw());
  }

  async #draw() {
    const { clientWidth, clientHeight, scrollTop } = this.#scroller;
    const { gallery } = galleryState;
    if (!gallery || clientWidth === 0) return;
    const columns = Math.max(1, Math.floor(clientWidth / CELL_WIDTH));
    const rows = Math.ceil(gallery.size / columns);
    const first = Math.max(0, Math.floor(scrollTop / CELL_HEIGHT) - MARGIN_ROWS);
    const last = Math.min(rows, Math.ceil((scrollTop + clientHeight) / CELL_HEIGHT) + MARGIN_ROWS);
    const [from, to] = [first * columns, Math.min(last * columns, gallery.size)];
    const wanted = `${from} ${to} ${columns} ${this.#generation}`;
    if (wanted === this.#drawn) return;
    this.#drawn = wanted;
    this.#window.style.setProperty("--columns", String(columns));
    this.#window.style.setProperty("--above", `${first * CELL_HEIGHT}px`);
    this.#window.style.setProperty("--all", `${rows * CELL_HEIGHT}px`);
    try {
      const entries = await this.#entries(from, to);
      // another part may be wanted now
      if (this.#drawn !== wanted) return;
      const focused = this.#window.contains(document.activeElement)
        ? document.activeElement?.getAttribute("title")
        : undefined;
      fill(this.#window, ...entries.map((entry) => h("li", {}, entryCard(entry, { on: () => this.choose(entry) }))));
      const again = focused && [...this.#window.querySelectorAll("button")].find(({ title }) => title === focused);
      if (again) again.focus({ preventScroll: true });
      else if (focused !== undefined) this.#scroller.focus({ preventScroll: true });
      this.#problem.hidden = true;
    } catch (error) {
      if (this.#drawn !== wanted || galleryState.gallery !== gallery) return;
      this.#problem.hidden = false;
      this.#problem.textContent = asError(error).message;
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  async #entries(from, to) {
    const pages = [];
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page++) pages.push(this.#page(page));
    const start = Math.floor(from / PAGE) * PAGE;
    return (await Promise.all(pages)).flat().slice(from - start, to - start);
  }

  /** @param {number} page */
  #page(page) {
    const known = this.#pages.get(page);
    if (known) return known;
    const { gallery } = galleryState;
    const asked = gallery ? gallery.entries({ first: page * PAGE, count: PAGE }) : Promise.resolve([]);
    this.#pages.set(page, asked);
    // a page that failed is requested again
    asked.catch(() => this.#pages.get(page) === asked && this.#pages.delete(page));
    for (const old of this.#pages.keys()) {
      if (this.#pages.size <= MOST_PAGES) break;
      this.#pages.delete(old);
    }
    return asked;
  }
}

customElements.define("gallery-grid", GalleryGrid);

/** @param {(entry: GalleryEntry) => void} choose */
export function galleryGrid(choose) {
  const grid = /** @type {GalleryGrid} */ (document.createElement("gallery-grid"));
  grid.choose = choose;
  return grid;
}
