import { Component, fill, h } from "../report/component.js";

/** A vector drawn as bars about a zero line, so that two vectors are easy to compare by eye. */
class VectorStrip extends Component {
  #canvas = h("canvas", { className: "strip", role: "img" });
  #readout = h("span", { className: "readout muted", "aria-hidden": "true" });
  /** @type {Float32Array} */
  #values = new Float32Array();

  /** @param {Float32Array} values */
  set values(values) {
    this.#values = values;
    if (this.isConnected) this.#draw();
  }

  /** @override */
  connect() {
    fill(this, this.#canvas, this.#readout);
    const redraw = () => this.#draw();
    const resized = new ResizeObserver(redraw);
    resized.observe(this.#canvas);
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", redraw);
    this.listen(this.#canvas, "pointermove", (event) => this.#point(event));
    this.listen(this.#canvas, "pointerleave", () => this.#summarise());
    this.#draw();
  }

  #draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const { length } = this.#values;
    if (!context || length === 0 || clientWidth === 0) return;
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio);
    const { width, height } = this.#canvas;
    const style = getComputedStyle(this);
    const colours = [style.getPropertyValue("--below"), style.getPropertyValue("--above")];
    const largest = this.#values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    const middle = height / 2;
    const step = width / length;
    const gap = step >= 3 ? step * 0.2 : 0;
    for (let index = 0; index < length; index++) {
      const size = (this.#values[index] / largest) * middle;
      context.fillStyle = colours[size > 0 ? 1 : 0];
      context.fillRect(
        index * step,
        size > 0 ? middle - size : middle,
        Math.max(step - gap, 1),
        Math.max(Math.abs(size), 0.5),
      );
    }
    this.#summarise();
  }

  #summarise() {
    const low = Math.min(...this.#values).toFixed(3);
    const high = Math.max(...this.#values).toFixed(3);
    const norm = Math.hypot(...this.#values).toFixed(4);
    this.#canvas.setAttribute("aria-label", `${this.#values.length} values from ${low} to ${high}`);
    this.#readout.textContent = `${this.#values.length} values, ${low} to ${high}, length ${norm}`;
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
