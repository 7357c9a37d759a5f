import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";
import { cosineMatrix, rankedPairs } from "./similarity.js";
import { thumbnail } from "./thumbnail.js";
import { digitsFor } from "./units.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./workspace.js").Picture & { feature: Float32Array<ArrayBuffer> }} Done */

/** The largest number of images in the table. Of more, the first ones are compared, and the view says so. */
const MOST_COMPARED = 40;
const PAIRS_SHOWN = 10;
/** While vectors arrive, the view is drawn this often at most. */
const REST_MS = 1000;
/** Number of the table's rows that are drawn in one frame. */
const ROWS_A_FRAME = 4;
/** From this share of the accent colour on, the text has the colour for that background. */
const STRONG = 0.7;

/** The view of similarities: the most similar pairs, and a table of all pairs. */
class SimilarityView extends Component {
  #stale = true;
  #resting = 0;
  /** The images that are drawn. */
  #drawn = "";

  /** @override */
  connect() {
    this.listen(workspace, "image images", () => this.#invalidate());
    // the size changes when the tab is opened
    this.observe(new ResizeObserver(() => this.#refresh()));
    this.#drawn = "";
    this.#stale = true;
    this.#refresh();
  }

  /** A hidden view is drawn when its tab is opened, and a visible one not with every image. */
  #invalidate() {
    this.#stale = true;
    this.#resting ||= setTimeout(() => this.#refresh(), workspace.busy ? REST_MS : 0);
  }

  #refresh() {
    clearTimeout(this.#resting);
    this.#resting = 0;
    if (!this.#stale || !this.checkVisibility()) return;
    this.#stale = false;
    const done = /** @type {Done[]} */ (workspace.done);
    const compared = done.slice(0, MOST_COMPARED);
    const shown = `${compared.map(({ id }) => id)} of ${done.length > compared.length ? done.length : 0}`;
    if (shown === this.#drawn) return;
    this.#drawn = shown;
    if (done.length < 2) return fill(this, emptyState(done.length));
    const matrix = cosineMatrix(compared.map(({ feature }) => feature));
    const pairs = rankedPairs(matrix);
    const low = pairs[pairs.length - 1].cosine;
    const high = pairs[0].cosine;
    const digits = digitsFor(low, high);
    fill(
      this,
      done.length > compared.length &&
        h("p", { className: "notice" }, t("similarity.first", { count: compared.length, n: done.length })),
      h("h2", {}, t("similarity.pairs")),
      pairList(compared, pairs.slice(0, PAIRS_SHOWN), digits, low, high),
      h("h2", {}, t("similarity.table")),
      h("p", { className: "muted" }, t("similarity.how", { low: low.toFixed(digits), high: high.toFixed(digits) })),
      h(
        "div",
        { className: "matrix-scroll", tabIndex: 0, role: "region", "aria-label": t("similarity.region") },
        matrixTable(compared, matrix, digits, low, high),
      ),
    );
  }
}

/** @param {number} count */
function emptyState(count) {
  const words = count === 1 ? t("similarity.one") : t("similarity.none");
  return h("div", { className: "empty" }, h("p", {}, words), h("p", { className: "muted" }, t("similarity.drop")));
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
  const drawRow = (/** @type {Done} */ picture, /** @type {number} */ row) => {
    const best = bestMatch(matrix[row], row);
    const cells = pictures.map((other, column) => {
      const value = matrix[row][column];
      const cell = h(
        "td",
        { title: t("similarity.and", { a: picture.name, b: other.name }) },
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
  };
  const body = h("tbody");
  let next = 0;
  // some rows at a time, so that the page stays quick
  const drawSome = () => {
    const some = pictures.slice(next, next + ROWS_A_FRAME);
    body.append(...some.map((picture, at) => drawRow(picture, next + at)));
    next += ROWS_A_FRAME;
    if (next < pictures.length) requestAnimationFrame(drawSome);
  };
  drawSome();
  return h("table", { className: "matrix" }, h("thead", {}, h("tr", {}, h("td", {}), ...columns)), body);
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
