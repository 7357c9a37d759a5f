import { Component, fill, h } from "../report/component.js";

/** Number of rows that are drawn above and below the visible ones. */
const MARGIN_ROWS = 3;

/**
 * A grid of items in the page's own scroll. Only those that are near the window are elements, and an element stays as
 * long as its item is the same. The tab key reaches the buttons of one item; the arrow keys go to the others.
 *
 * @template Item
 */
export class PictureGrid extends Component {
  /** The smallest width and the height of a cell, in pixels. */
  cell = { width: 150, height: 196 };
  /** @type {(from: number, to: number) => Promise<Item[]>} */
  load = async () => [];
  /** The element of an item. @type {(item: Item) => HTMLElement} */
  draw = () => h("span");
  /** Says what an item's element shows: with another key it is drawn again. @type {(item: Item) => string} */
  key = (item) => JSON.stringify(item);
  /** Called when the visitor has come near the end. */
  onEnd = () => {};
  #count = 0;
  /** The place that the tab key reaches. */
  #current = 0;
  #columns = 1;
  #list = h("ul", { className: "picture-grid" });
  /** The drawn cells, by place and key. @type {Map<string, HTMLLIElement>} */
  #cells = new Map();
  #wanted = "";
  #generation = 0;
  #waiting = 0;

  /** @override */
  connect() {
    this.#cells.clear();
    fill(this.#list);
    fill(this, this.#list);
    this.listen(window, "scroll resize", () => this.#later());
    this.listen(this.#list, "keydown", (event) => this.#press(event));
    this.listen(this.#list, "focusin", (event) => this.#remember(event.target));
    this.observe(new ResizeObserver(() => this.#later()));
    this.show(this.#count);
  }

  /**
   * Shows these many items, which `load` gives.
   *
   * @param {number} count
   * @param {{ anew?: boolean, label?: string }} [options] `anew`: the keyboard is at the first again
   */
  show(count, { anew = false, label } = {}) {
    this.#count = count;
    if (anew) this.#current = 0;
    if (label) this.#list.setAttribute("aria-label", label);
    this.#generation++;
    this.#later();
  }

  /** Puts the focus on the item at a place, once it is drawn. @param {number} at */
  async focusAt(at) {
    this.#current = Math.min(Math.max(at, 0), this.#count - 1);
    await this.#render();
    this.#button(this.#current)?.focus();
  }

  #later() {
    if (this.#waiting) return;
    this.#waiting = requestAnimationFrame(() => {
      this.#waiting = 0;
      void this.#render();
    });
  }

  async #render() {
    const { top, width } = this.#list.getBoundingClientRect();
    if (width === 0) return;
    this.#columns = Math.max(1, Math.floor(width / this.cell.width));
    const rows = Math.ceil(this.#count / this.#columns);
    const first = Math.min(rows, Math.max(0, Math.floor(-top / this.cell.height) - MARGIN_ROWS));
    const last = Math.min(rows, Math.max(0, Math.ceil((innerHeight - top) / this.cell.height)) + MARGIN_ROWS);
    const [from, to] = [first * this.#columns, Math.min(last * this.#columns, this.#count)];
    const wanted = `${from} ${to} ${this.#columns} ${this.#generation}`;
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    const items = from < to ? await this.load(from, to) : [];
    // another part may be wanted now
    if (this.#wanted !== wanted) return;
    const { style } = this.#list;
    style.setProperty("--columns", String(this.#columns));
    style.setProperty("--row", `${this.cell.height}px`);
    style.setProperty("--before", `${first * this.cell.height}px`);
    style.setProperty("--all", `${rows * this.cell.height}px`);
    this.#place(items, from);
    if (to === this.#count && this.#count > 0) this.onEnd();
  }

  /**
   * @param {Item[]} items
   * @param {number} from the place of the first
   */
  #place(items, from) {
    const focused = this.#list.contains(document.activeElement);
    const before = this.#cells;
    this.#cells = new Map();
    for (const [index, item] of items.entries()) {
      const key = `${from + index} ${this.key(item)}`;
      const cell = before.get(key) ?? this.#cell(item, from + index);
      if (cell.ariaSetSize !== String(this.#count)) cell.ariaSetSize = String(this.#count);
      before.delete(key);
      this.#cells.set(key, cell);
    }
    for (const gone of before.values()) gone.remove();
    // a cell that is in its place stays untouched
    let next = this.#list.firstElementChild;
    for (const cell of this.#cells.values()) {
      if (cell === next) next = next.nextElementSibling;
      else this.#list.insertBefore(cell, next);
    }
    this.#reach(Math.min(Math.max(this.#current, from), Math.max(from + items.length - 1, from)));
    if (focused && !this.#list.contains(document.activeElement))
      (this.#button(this.#current) ?? this.#list.querySelector("button"))?.focus({ preventScroll: true });
  }

  /**
   * @param {Item} item
   * @param {number} at
   */
  #cell(item, at) {
    const cell = h("li", { "data-at": at, "aria-posinset": at + 1 }, this.draw(item));
    for (const button of cell.querySelectorAll("button")) button.tabIndex = -1;
    return cell;
  }

  /** Lets the tab key reach the item at this place, and no other. @param {number} at */
  #reach(at) {
    for (const button of this.#list.querySelectorAll("button"))
      button.tabIndex = button.closest("li")?.dataset.at === String(at) ? 0 : -1;
  }

  /** @param {number} at @param {number} [index] of the button in the item */
  #button(at, index = 0) {
    const buttons = this.#list.querySelectorAll(`[data-at="${at}"] button`);
    return /** @type {HTMLButtonElement | undefined} */ (buttons[index] ?? buttons[0]);
  }

  /** @param {EventTarget | null} target */
  #remember(target) {
    const cell = /** @type {HTMLElement | null} */ (target)?.closest("li");
    if (!cell) return;
    this.#current = Number(cell.dataset.at);
    this.#reach(this.#current);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const row = this.#columns;
    const steps = /** @type {Record<string, number>} */ ({
      ArrowDown: row,
      ArrowUp: -row,
      ArrowRight: 1,
      ArrowLeft: -1,
    });
    const ends = /** @type {Record<string, number>} */ ({ Home: 0, End: this.#count - 1 });
    const to = ends[event.key] ?? this.#current + (steps[event.key] ?? 0);
    if (to === this.#current || to < 0 || to >= this.#count) return;
    event.preventDefault();
    const cell = /** @type {Element} */ (event.target).closest("li");
    const index = [...(cell?.querySelectorAll("button") ?? [])].indexOf(/** @type {any} */ (event.target));
    this.#current = to;
    const { top } = this.#list.getBoundingClientRect();
    const above = top + Math.floor(to / row) * this.cell.height;
    const below = above + this.cell.height - innerHeight;
    if (above < 0) scrollBy({ top: above, behavior: "instant" });
    else if (below > 0) scrollBy({ top: below, behavior: "instant" });
    const focus = () => this.#button(to, Math.max(index, 0))?.focus({ preventScroll: true });
    focus();
    // one that was not near the window is drawn after the scroll
    void this.#render().then(focus);
  }
}

customElements.define("picture-grid", PictureGrid);

/**
 * @template Item
 * @param {Partial<Pick<PictureGrid<Item>, "cell" | "load" | "draw" | "key" | "onEnd">>} options
 * @returns {PictureGrid<Item>}
 */
export function pictureGrid(options) {
  return Object.assign(/** @type {PictureGrid<Item>} */ (document.createElement("picture-grid")), options);
}
