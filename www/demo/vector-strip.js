import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";

/** A vector drawn as bars about a zero line, so that two vectors are easy to compare by eye. */
class VectorStrip extends Component {
  #canvas = h("canvas", { className: "strip", role: "img" });
  #readout = h("span", { className: "readout muted", "aria-hidden": "true" });
  /** @type {Float32Array} */
  #values = new Float32Array();

  /** To be set before it is in the page. @param {Float32Array} values */
  set values(values) {
    this.#values = values;
  }

  /** @override */
  connect() {
    fill(this, this.#canvas, this.#readout);
    // the observer is told the size, also at first: asking the element would force a layout for each strip
    const resized = new ResizeObserver(([{ contentRect }]) => this.#draw(contentRect));
    this.observe(resized, this.#canvas);
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => {
      resized.unobserve(this.#canvas);
      resized.observe(this.#canvas);
    });
    this.listen(this.#canvas, "pointermove", (event) => this.#point(event));
    this.listen(this.#canvas, "pointerleave", () => this.#summarise());
    this.#summarise();
  }

  /** @param {{ width: number, height: number }} size */
  #draw(size) {
    const context = this.#canvas.getContext("2d");
    const { length } = this.#values;
    if (!context || length === 0 || size.width === 0) return;
    const width = (this.#canvas.width = Math.round(size.width * devicePixelRatio));
    const height = (this.#canvas.height = Math.round(size.height * devicePixelRatio));
    const style = getComputedStyle(this);
    const largest = this.#values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    const middle = height / 2;
    const step = width / length;
    const bar = Math.max(step >= 3 ? step * 0.8 : step, 1);
    for (const [name, sign] of /** @type {const} */ ([
      ["--above", 1],
      ["--below", -1],
    ])) {
      context.fillStyle = style.getPropertyValue(name);
      context.beginPath();
      for (let index = 0; index < length; index++) {
        const size = ((sign * this.#values[index]) / largest) * middle;
        if (size >= 0) context.rect(index * step, middle, bar, -sign * Math.max(size, 0.5));
      }
      context.fill();
    }
  }

  #summarise() {
    const { length } = this.#values;
    const low = Math.min(...this.#values).toFixed(3);
    const high = Math.max(...this.#values).toFixed(3);
    const norm = Math.hypot(...this.#values).toFixed(4);
    const n = String(length);
    this.#canvas.setAttribute("aria-label", t("vectors.strip", { n, low, high }));
    this.#readout.textContent = t("vectors.readout", { n, low, high, norm });
  }

  /** @param {PointerEvent} event */
  #point({ offsetX }) {
    const { length } = this.#values;
    const index = Math.min(Math.max(Math.floor((offsetX / this.#canvas.clientWidth) * length), 0), length - 1);
    this.#readout.textContent = `[${index}] ${this.#values[index].toFixed(6)}`;
  }
}

customElements.define("vector-strip", VectorStrip);

/** @param {Float32Array} values */
export function vectorStrip(values) {
  const strip = /** @type {VectorStrip} */ (document.createElement("vector-strip"));
  strip.values = values;
  return strip;
}
