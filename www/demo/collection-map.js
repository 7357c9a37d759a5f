import { asError } from "./as-error.js";
import { Component, fill, h } from "../report/component.js";
import { labelOf, pictureAddress } from "./gallery-card.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { t } from "./language.js";
import { mapOf } from "./map-data.js";
import { sampleGallery } from "./sample-gallery.js";
import { searchState } from "./search-state.js";

/** @typedef {import("./map-data.js").MapData} MapData */

/** Of more pictures than this, only dots are drawn. */
const MOST_PICTURES = 400;
const PICTURE = 34;
const DOT = 4;
/** The pointer is on a picture within this distance of its middle. */
const REACH = 18;
/** One step of zooming. */
const ZOOM = 1.4;

/** A map of a collection: pictures that are alike are near each other. */
class CollectionMap extends Component {
  #canvas = h("canvas", { className: "map", role: "img" });
  #name = h("p", { className: "muted map-name", "aria-hidden": "true" });
  #body = h("div", { className: "map-body" });
  #details = h("details", {});
  #view = { zoom: 1, x: 0, y: 0 };
  #size = { width: 0, height: 0 };
  /** @type {MapData | undefined} */
  #data;
  /** @type {(HTMLImageElement | undefined)[]} */
  #pictures = [];
  /** @type {Map<string, string>} */
  #colours = new Map();
  #making = new AbortController();
  #drawing = 0;

  /** @override */
  connect() {
    const zoom = (/** @type {string} */ words, /** @type {number} */ factor) =>
      h("button", { type: "button", className: "button small", on: { click: () => this.#zoom(factor) } }, words);
    const buttons = [zoom(t("map.in"), ZOOM), zoom(t("map.out"), 1 / ZOOM), zoom(t("map.all"), 0)];
    fill(this.#details, h("summary", {}, t("map.title")), this.#body);
    fill(
      this.#body,
      h("p", {}, t("map.how")),
      h("div", { className: "actions" }, ...buttons),
      this.#canvas,
      this.#name,
    );
    fill(this, this.#details);
    this.className = "card";
    this.listen(this.#details, "toggle", () => void this.#make());
    this.listen(galleryState, "gallery content", () => this.#forget());
    this.listen(sampleGallery, "content", () => searchState.shelf === sampleGallery && this.#forget());
    this.listen(this.#canvas, "pointerdown", (event) => this.#drag(event));
    this.listen(this.#canvas, "pointermove", (event) => this.#point(event));
    this.listen(this.#canvas, "wheel", (event) => this.#turn(event));
    const resized = new ResizeObserver(([{ contentRect }]) => {
      this.#size = { width: contentRect.width, height: contentRect.height };
      this.#later();
    });
    this.observe(resized, this.#canvas);
  }

  #forget() {
    this.#making.abort();
    this.#data = undefined;
    if (this.#details.open) void this.#make();
  }

  async #make() {
    if (!this.#details.open || this.#data) return;
    this.#making.abort();
    const { signal } = (this.#making = new AbortController());
    this.#name.textContent = t("map.making");
    try {
      const data = await mapOf(await galleryState.whole(), signal);
      if (signal.aborted) return;
      this.#data = data;
      this.#view = { zoom: 1, x: 0, y: 0 };
      this.#prepare(data);
      this.#name.textContent = "";
      this.#canvas.setAttribute("aria-label", t("map.label", { n: data.entries.length }));
      this.#later();
    } catch (error) {
      if (!signal.aborted) this.#body.append(problem(t("map.failed"), asError(error)));
    }
  }

  /** Gives each label a colour, and fetches the pictures of a small collection. @param {MapData} data */
  #prepare({ entries }) {
    const labels = [...new Set(entries.map(({ label = "" }) => label))].sort();
    const colour = (/** @type {number} */ at) => `hsl(${Math.round((360 * at) / labels.length)} 65% 50%)`;
    this.#colours = new Map(labels.map((label, at) => [label, colour(at)]));
    this.#pictures = entries.map((entry) => {
      const src = entries.length > MOST_PICTURES ? undefined : pictureAddress(entry);
      if (!src) return undefined;
      const image = new Image();
      image.addEventListener("load", () => this.#later());
      image.src = src;
      return image;
    });
  }

  #later() {
    this.#drawing ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawing = 0;
    const { width, height } = this.#size;
    const context = this.#canvas.getContext("2d");
    if (!this.#data || !context || width === 0) return;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    for (const [at, { label = "" }] of this.#data.entries.entries()) {
      const [x, y] = this.#placeOf(at);
      if (x < -PICTURE || y < -PICTURE || x > width + PICTURE || y > height + PICTURE) continue;
      const image = this.#pictures[at];
      context.fillStyle = this.#colours.get(label) ?? "";
      if (!image?.naturalWidth) {
        context.fillRect(x - DOT / 2, y - DOT / 2, DOT, DOT);
        continue;
      }
      const scale = PICTURE / Math.max(image.naturalWidth, image.naturalHeight);
      const [wide, high] = [image.naturalWidth * scale, image.naturalHeight * scale];
      context.fillRect(x - wide / 2 - 2, y - high / 2 - 2, wide + 4, high + 4);
      context.drawImage(image, x - wide / 2, y - high / 2, wide, high);
    }
  }

  /** Where a picture is on the canvas. @param {number} at @returns {[x: number, y: number]} */
  #placeOf(at) {
    const { zoom, x, y } = this.#view;
    const places = /** @type {MapData} */ (this.#data).places;
    const half = (/** @type {number} */ size) => size / 2 - PICTURE;
    return [
      this.#size.width / 2 + x + places[2 * at] * half(this.#size.width) * zoom,
      this.#size.height / 2 + y + places[2 * at + 1] * half(this.#size.height) * zoom,
    ];
  }

  /** The picture that is nearest to a place, if one is near. @param {PointerEvent} event */
  #nearest({ offsetX, offsetY }) {
    let [nearest, least] = [-1, REACH];
    for (let at = 0; at < (this.#data?.entries.length ?? 0); at++) {
      const [x, y] = this.#placeOf(at);
      const distance = Math.hypot(x - offsetX, y - offsetY);
      if (distance < least) [nearest, least] = [at, distance];
    }
    return this.#data?.entries[nearest];
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const entry = this.#nearest(event);
    this.#name.textContent = entry ? `${entry.id} · ${labelOf(entry) ?? ""}` : "";
    this.#canvas.style.cursor = entry ? "pointer" : "grab";
  }

  /** @param {PointerEvent} start */
  #drag(start) {
    this.#canvas.setPointerCapture(start.pointerId);
    const { x, y } = this.#view;
    let moved = false;
    const stop = new AbortController();
    const move = (/** @type {PointerEvent} */ { clientX, clientY }) => {
      const [dx, dy] = [clientX - start.clientX, clientY - start.clientY];
      moved ||= Math.hypot(dx, dy) > 4;
      if (moved) Object.assign(this.#view, { x: x + dx, y: y + dy });
      this.#later();
    };
    const end = () => {
      stop.abort();
      const entry = moved ? undefined : this.#nearest(start);
      // the answer is in the tab of the search, which the collections' tab opens
      if (entry) void searchState.askEntry(entry);
    };
    this.#canvas.addEventListener("pointermove", move, { signal: stop.signal });
    for (const type of ["pointerup", "pointercancel"])
      this.#canvas.addEventListener(type, end, { signal: stop.signal });
  }

  /** @param {WheelEvent} event */
  #turn(event) {
    // without the key the page scrolls
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM);
  }

  /** @param {number} factor 0 shows all */
  #zoom(factor) {
    const { zoom, x, y } = this.#view;
    const next = Math.min(Math.max(zoom * factor, 1), 40);
    this.#view = factor === 0 ? { zoom: 1, x: 0, y: 0 } : { zoom: next, x: (x * next) / zoom, y: (y * next) / zoom };
    this.#later();
  }
}

customElements.define("collection-map", CollectionMap);
