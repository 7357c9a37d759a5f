import { Component, fill, h } from "../report/component.js";
import { cosineMatrix, rankedPairs } from "./similarity.js";
import { thumbnail } from "./thumbnail.js";
import { counted, digitsFor } from "./units.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./workspace.js").Picture & { feature: Float32Array<ArrayBuffer> }} Done */

/** The largest number of images in the table. Of more, the first ones are compared, and the view says so. */
const MOST_COMPARED = 64;
const PAIRS_SHOWN = 10;
/** From this share of the accent colour on, the text has the colour for that background. */
const STRONG = 0.7;

/** The view of similarities: the most similar pairs, and a table of all pairs. */
class SimilarityView extends Component {
  #stale = true;

  /** @override */
  connect() {
    this.listen(workspace, "image images", () => this.#invalidate());
    // the size changes when the tab is opened
    new ResizeObserver(() => this.#refresh()).observe(this);
    this.#invalidate();
  }

  /** A hidden view is drawn when its tab is opened, and not with every image. */
  #invalidate() {
    this.#stale = true;
    requestAnimationFrame(() => this.#refresh());
  }

  #refresh() {
    if (!this.#stale || !this.checkVisibility()) return;
    this.#stale = false;
    const done = /** @type {Done[]} */ (workspace.done);
    if (done.length < 2) return fill(this, emptyState(done.length));
    const compared = done.slice(0, MOST_COMPARED);
    const matrix = cosineMatrix(compared.map(({ feature }) => feature));
    const pairs = rankedPairs(matrix);
    const low = pairs[pairs.length - 1].cosine;
    const high = pairs[0].cosine;
    const digits = digitsFor(low, high);
    fill(
      this,
      done.length > compared.length &&
        h(
          "p",
          { className: "notice" },
          `The first ${compared.length} of ${counted(done.length, "vector")} are compared.`,
        ),
      h("h2", {}, "Most alike"),
      pairList(compared, pairs.slice(0, PAIRS_SHOWN), digits, low, high),
      h("h2", {}, "Each with each"),
      h(
        "p",
        { className: "muted" },
        `Cosine of the vectors: 1 is the same image. The colour runs from ${low.toFixed(digits)} to ${high.toFixed(digits)}; each row's best match is framed.`,
      ),
      h(
        "div",
        { className: "matrix-scroll", tabIndex: 0, role: "region", "aria-label": "Cosine of each image with each" },
        matrixTable(compared, matrix, digits, low, high),
      ),
    );
  }
}

/** @param {number} count */
function emptyState(count) {
  const words =
    count === 1
      ? "One more image with a vector, and there is something to compare."
      : "Two images with vectors are needed to compare.";
  return h(
    "div",
    { className: "empty" },
    h("p", {}, words),
    h("p", { className: "muted" }, "Drop images on this page."),
  );
}

/**
 * @param {Done[]} pictures
 * @param {{ i: number, j: number, cosine: number }[]} pairs
 * @param {number} digits
 * @param {number} low
 * @param {number} high
 */
function pairList(pictures, pairs, digits, low, high) {
  const items = pairs.map(({ i, j, cosine }) => {
    const fillBar = h("span", { className: "pair-fill" });
    fillBar.style.setProperty("--fraction", String(share(cosine, low, high)));
    return h(
      "li",
      { className: "pair" },
      thumbnail(pictures[i]),
      thumbnail(pictures[j]),
      h(
        "span",
        { className: "pair-names" },
        h("span", { className: "file-name" }, pictures[i].name),
        h("span", { className: "file-name" }, pictures[j].name),
      ),
      h("span", { className: "pair-bar", "aria-hidden": "true" }, fillBar),
      h("span", { className: "pair-value" }, cosine.toFixed(digits)),
    );
  });
  return h("ol", { className: "pairs" }, ...items);
}

/**
 * @param {Done[]} pictures
 * @param {Float32Array[]} matrix
 * @param {number} digits
 * @param {number} low
 * @param {number} high
 */
function matrixTable(pictures, matrix, digits, low, high) {
  const columns = pictures.map((picture) =>
    h(
      "th",
      { scope: "col", title: picture.name },
      thumbnail(picture),
      h("span", { className: "visually-hidden" }, picture.name),
    ),
  );
  const rows = pictures.map((picture, row) => {
    const best = bestMatch(matrix[row], row);
    const cells = pictures.map((other, column) => {
      const value = matrix[row][column];
      const cell = h(
        "td",
        { title: `${picture.name} and ${other.name}` },
        row === column ? "1" : value.toFixed(digits),
      );
      if (row === column) {
        cell.className = "self";
      } else {
        const part = share(value, low, high);
        cell.style.setProperty("--part", `${Math.round(part * 100)}%`);
        if (part > STRONG) cell.classList.add("strong");
        if (column === best) cell.classList.add("best");
      }
      return cell;
    });
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row", title: picture.name },
        h("span", { className: "row-head" }, thumbnail(picture), h("span", { className: "file-name" }, picture.name)),
      ),
      ...cells,
    );
  });
  return h(
    "table",
    { className: "matrix" },
    h("thead", {}, h("tr", {}, h("td", {}), ...columns)),
    h("tbody", {}, ...rows),
  );
}

/**
 * @param {Float32Array} row
 * @param {number} self
 */
function bestMatch(row, self) {
  let best = -1;
  row.forEach((value, column) => {
    if (column !== self && (best < 0 || value > row[best])) best = column;
  });
  return best;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function share(value, low, high) {
  return high > low ? (value - low) / (high - low) : 1;
}

customElements.define("similarity-view", SimilarityView);
