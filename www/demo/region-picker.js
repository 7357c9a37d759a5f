import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";
import { searchState } from "./search-state.js";

/** @typedef {import("./search-state.js").Region} Region */

/** A drag shorter than this share of the picture is a press. */
const SMALLEST = 0.08;
/** How far a key moves the region. */
const STEP = 0.05;
/** How long keys rest before the search. */
const REST_MS = 250;
/** The region that the first key makes. */
const MIDDLE = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };

/** A picture on which a part can be chosen, by dragging or by keys. */
class RegionPicker extends Component {
  /** @type {HTMLElement} */
  picture = h("span");
  #frame = h("span", { className: "region-frame", hidden: true });
  /** @type {Region | undefined} */
  #region;
  #resting = 0;

  /** @override */
  connect() {
    this.tabIndex = 0;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", t("search.region"));
    fill(this, this.picture, this.#frame);
    this.listen(this, "pointerdown", (event) => this.#drag(event));
    this.listen(this, "keydown", (event) => this.#key(event));
    this.listen(searchState, "answer", () => {
      if (!searchState.query?.region) this.#show(undefined);
    });
    this.#show(searchState.query?.region);
  }

  /** The picture itself, without the bars beside it. */
  #box() {
    const image = this.picture.querySelector("img");
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    if (!image?.naturalWidth) return { left, top, width, height };
    const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
    const [wide, high] = [image.naturalWidth * scale, image.naturalHeight * scale];
    return { left: left + (width - wide) / 2, top: top + (height - high) / 2, width: wide, height: high };
  }

  /** @param {PointerEvent} start */
  #drag(start) {
    if (start.button !== 0) return;
    start.preventDefault();
    this.focus({ preventScroll: true });
    this.setPointerCapture(start.pointerId);
    const from = this.#place(start);
    const stop = new AbortController();
    const move = (/** @type {PointerEvent} */ event) => this.#show(between(from, this.#place(event)));
    const end = () => {
      stop.abort();
      const region = this.#region;
      const large = region && region.width >= SMALLEST && region.height >= SMALLEST;
      if (!large) this.#show(searchState.query?.region);
      else void searchState.askRegion(region);
    };
    this.addEventListener("pointermove", move, { signal: stop.signal });
    for (const type of ["pointerup", "pointercancel"]) this.addEventListener(type, end, { signal: stop.signal });
  }

  /** @param {PointerEvent} event */
  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#box();
    return { x: within((clientX - left) / width), y: within((clientY - top) / height) };
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const [dx, dy] =
      { ArrowRight: [STEP, 0], ArrowLeft: [-STEP, 0], ArrowDown: [0, STEP], ArrowUp: [0, -STEP] }[event.key] ?? [];
    if (dx === undefined || dy === undefined) return;
    event.preventDefault();
    const { x, y, width, height } = this.#region ?? MIDDLE;
    const region = event.shiftKey
      ? { x, y, width: Math.min(Math.max(width + dx, 0.1), 1 - x), height: Math.min(Math.max(height + dy, 0.1), 1 - y) }
      : { x: Math.min(within(x + dx), 1 - width), y: Math.min(within(y + dy), 1 - height), width, height };
    this.#show(region);
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => void searchState.askRegion(region), REST_MS);
  }

  /** @param {Region | undefined} region */
  #show(region) {
    this.#region = region;
    this.#frame.hidden = !region;
    if (!region) return;
    const box = this.#box();
    const own = this.getBoundingClientRect();
    const px = (/** @type {string} */ name, /** @type {number} */ value) =>
      this.#frame.style.setProperty(name, `${value}px`);
    px("--x", box.left - own.left + region.x * box.width);
    px("--y", box.top - own.top + region.y * box.height);
    px("--w", region.width * box.width);
    px("--h", region.height * box.height);
  }
}

/** @param {number} share */
function within(share) {
  return Math.min(Math.max(share, 0), 1);
}

/**
 * @param {{ x: number, y: number }} a
 * @param {{ x: number, y: number }} b
 * @returns {Region}
 */
function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

customElements.define("region-picker", RegionPicker);

/** @param {HTMLElement} picture */
export function regionPicker(picture) {
  return Object.assign(/** @type {RegionPicker} */ (document.createElement("region-picker")), { picture });
}
