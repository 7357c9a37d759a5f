import { Component, fill, h } from "../report/component.js";
import { ProgressBar } from "./progress-bar.js";
import { downloadAllJson, downloadAllNpy, downloadJson, downloadNpy, toJsonText } from "./results.js";
import { thumbnail } from "./thumbnail.js";
import { counted, duration } from "./units.js";
import { vectorStrip } from "./vector-strip.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./workspace.js").Picture} Picture */

const STEPS = [
  ["Add images", "Drop, paste or choose as many as you like. They stay in this tab."],
  ["Use the vectors", "See which images are alike; copy the numbers, or save them as JSON or .npy."],
  ["Bring a better model", "The official PP-ShiTuV2_rec archive, or one you have trained: drop it here as it is."],
];

/** The images and their vectors. */
class VectorList extends Component {
  #empty = h(
    "ol",
    { className: "steps" },
    ...STEPS.map(([title, text]) => h("li", {}, h("h2", {}, title), h("p", { className: "muted" }, text))),
  );
  #counts = h("p", { className: "counts" });
  #toolbar = h("div", { className: "toolbar" });
  #bar = new ProgressBar();
  #rows = h("ul", { className: "rows" });
  /** @type {Map<number, { row: HTMLLIElement, title: HTMLDivElement, actions: HTMLDivElement, body: HTMLDivElement }>} */
  #byId = new Map();

  /** @override */
  connect() {
    fill(this, this.#empty, this.#toolbar, this.#bar.element, this.#rows);
    this.listen(workspace, "images model", () => this.#renderList());
    this.listen(workspace, "image", ({ detail }) => {
      this.#renderRow(detail);
      this.#renderProgress();
    });
    this.#renderList();
  }

  #renderList() {
    const { pictures } = workspace;
    const present = new Set(pictures.map(({ id }) => id));
    for (const [id, { row }] of this.#byId) {
      if (present.has(id)) continue;
      row.remove();
      this.#byId.delete(id);
    }
    for (const picture of pictures) {
      if (!this.#byId.has(picture.id)) this.#addRow(picture);
      // the text of a waiting image depends on the model
      else if (picture.state === "waiting") this.#renderRow(picture);
    }
    this.#empty.hidden = pictures.length > 0;
    this.#toolbar.hidden = pictures.length === 0;
    this.#renderToolbar();
    this.#renderProgress();
  }

  #renderToolbar() {
    const { done, pictures, busy } = workspace;
    const stopped = pictures.some(({ state }) => state === "stopped");
    fill(
      this.#toolbar,
      this.#counts,
      busy && button("Stop", () => workspace.stop()),
      !busy && stopped && button("Resume", () => workspace.resume()),
      done.length > 0 && button("Save all as JSON", () => downloadAllJson(workspace.done)),
      done.length > 0 && button("Save all as .npy", () => downloadAllNpy(workspace.done)),
      button("Remove all", () => workspace.clearImages()),
    );
  }

  #renderProgress() {
    const { pictures, busy } = workspace;
    const count = (/** @type {Picture["state"]} */ state) =>
      pictures.filter((picture) => picture.state === state).length;
    const done = count("done");
    const failed = count("failed");
    const settled = done + failed;
    const counts = [counted(pictures.length, "image"), counted(done, "vector"), failed > 0 && `${failed} failed`];
    this.#counts.textContent = counts.filter(Boolean).join(" · ");
    this.#bar.element.hidden = !busy || settled === pictures.length;
    this.#bar.update(
      `${settled} of ${counted(pictures.length, "image")}`,
      pictures.length ? settled / pictures.length : 0,
    );
  }

  /** @param {Picture} picture */
  #addRow(picture) {
    const title = h("div", { className: "row-title" });
    const actions = h("div", { className: "row-actions" });
    const body = h("div", { className: "row-body" });
    const row = h("li", { className: "row" }, thumbnail(picture), title, actions, body);
    this.#byId.set(picture.id, { row, title, actions, body });
    this.#rows.append(row);
    this.#renderRow(picture);
  }

  /** @param {Picture} picture */
  #renderRow(picture) {
    const found = this.#byId.get(picture.id);
    if (!found) return;
    const { row, title, actions, body } = found;
    const { name, feature } = picture;
    row.dataset.state = picture.state;
    fill(
      title,
      h("span", { className: "file-name", title: name }, name),
      h("span", { className: "muted" }, describe(picture)),
    );
    fill(
      actions,
      feature && copyButton(() => toJsonText({ name, feature }), name),
      feature && button("JSON", () => downloadJson({ name, feature }), `Save the vector of ${name} as JSON`),
      feature && button(".npy", () => downloadNpy({ name, feature }), `Save the vector of ${name} as .npy`),
      button("Remove", () => workspace.removeImage(picture.id), `Remove ${name}`),
    );
    fill(body, this.#content(picture));
  }

  /** @param {Picture} picture */
  #content(picture) {
    switch (picture.state) {
      case "done":
        return vectorStrip(/** @type {Float32Array} */ (picture.feature));
      case "failed":
        return h("p", { className: "error-message" }, picture.error?.message ?? "");
      case "working":
        return h("div", { className: "strip skeleton" });
      default:
        return h("div", { className: "strip placeholder" });
    }
  }
}

/** @param {Picture} picture */
function describe({ state, milliseconds = 0, decoder }) {
  switch (state) {
    case "done":
      return decoder === "browser" ? `${duration(milliseconds)}, decoded by the browser` : duration(milliseconds);
    case "failed":
      return "not readable";
    case "working":
      return "working";
    case "stopped":
      return "stopped";
    default:
      return workspace.model.state === "ready" ? "waiting" : "waiting for a model";
  }
}

/**
 * @param {string} label
 * @param {() => void} on
 * @param {string} [description]
 */
function button(label, on, description) {
  return h(
    "button",
    { type: "button", className: "button small", "aria-label": description, on: { click: on } },
    label,
  );
}

/**
 * @param {() => string} text
 * @param {string} name
 */
function copyButton(text, name) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      element.textContent = "Copied";
    } catch {
      element.textContent = "Not allowed";
    }
    setTimeout(() => (element.textContent = "Copy"), 2000);
  };
  const element = button("Copy", copy, `Copy the vector of ${name} as JSON`);
  return element;
}

customElements.define("vector-list", VectorList);
