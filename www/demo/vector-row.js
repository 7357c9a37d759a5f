import { fill, h } from "../report/component.js";
import { t } from "./language.js";
import { downloadJson, downloadNpy, toJsonText } from "./results.js";
import { thumbnail } from "./thumbnail.js";
import { duration } from "./units.js";
import { vectorStrip } from "./vector-strip.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./workspace.js").Picture} Picture */

/**
 * An image with its vector, or with what has become of it.
 *
 * @param {Picture} picture
 * @param {() => void} onRemove
 */
export function vectorRow(picture, onRemove) {
  const { name, feature } = picture;
  return h(
    "div",
    { className: "row", "data-state": picture.state },
    thumbnail(picture),
    h(
      "div",
      { className: "row-title" },
      h("span", { className: "file-name", title: name }, name),
      h("span", { className: "muted" }, describe(picture)),
    ),
    h(
      "div",
      { className: "row-actions" },
      button(t("vectors.remove"), onRemove, t("vectors.removeNamed", { name })),
      feature && copyButton(() => toJsonText({ name, feature }), name),
      feature && button("JSON", () => downloadJson({ name, feature }), t("vectors.saveJson", { name })),
      feature && button(".npy", () => downloadNpy({ name, feature }), t("vectors.saveNpy", { name })),
    ),
    h("div", { className: "row-body" }, content(picture)),
  );
}

/** What a row shows. @param {Picture} picture */
export function rowKey({ id, state, milliseconds }) {
  return `${id} ${state} ${milliseconds ?? ""} ${state === "waiting" ? workspace.model.state : ""}`;
}

/** @param {Picture} picture */
function content({ state, feature, error }) {
  if (feature) return vectorStrip(feature);
  if (state === "failed") return h("p", { className: "error-message" }, error?.message ?? "");
  return h("div", { className: state === "working" ? "strip skeleton" : "strip placeholder" });
}

/** @param {Picture} picture */
function describe({ state, milliseconds = 0, decoder }) {
  switch (state) {
    case "done": {
      const time = duration(milliseconds);
      return decoder === "browser" ? t("vectors.byBrowser", { time }) : time;
    }
    case "failed":
      return t("vectors.unreadable");
    case "working":
      return t("vectors.working");
    case "stopped":
      return t("vectors.stoppedOne");
    default:
      return t(workspace.model.state === "ready" ? "vectors.waiting" : "vectors.waitingForModel");
  }
}

/**
 * @param {string} label
 * @param {() => void} on
 * @param {string} [description]
 */
export function button(label, on, description) {
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
      fill(element, t("vectors.copied"));
    } catch {
      fill(element, t("vectors.notAllowed"));
    }
    setTimeout(() => fill(element, t("vectors.copy")), 2000);
  };
  const element = button(t("vectors.copy"), copy, t("vectors.copyNamed", { name }));
  return element;
}
