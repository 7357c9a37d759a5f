import { h } from "../report/component.js";

/**
 * A progress bar with its label. Its elements are kept and updated, so that it moves smoothly.
 */
export class ProgressBar {
  #label = h("span", { className: "progress-label" });
  #percent = h("span", { className: "progress-percent" });
  #fill = h("div", { className: "progress-fill" });
  #bar = h("div", { className: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.#fill);
  element = h(
    "div",
    { className: "progress-block" },
    h("div", { className: "progress-line" }, this.#label, this.#percent),
    this.#bar,
  );

  /**
   * @param {string} label
   * @param {number} fraction
   */
  update(label, fraction) {
    const percent = Math.floor(fraction * 100);
    this.#label.textContent = label;
    this.#percent.textContent = `${percent} %`;
    this.#fill.style.setProperty("--fraction", String(fraction));
    this.#bar.setAttribute("aria-valuenow", String(percent));
    this.#bar.setAttribute("aria-label", label);
  }
}
