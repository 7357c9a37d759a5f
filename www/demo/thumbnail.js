import { h } from "../report/component.js";

/**
 * A small picture of an image. If the browser cannot show its format, the ending of its name.
 *
 * @param {import("./workspace.js").Picture} picture
 * @returns {HTMLElement}
 */
export function thumbnail({ url, name }) {
  const frame = h("span", { className: "thumbnail" });
  const showEnding = () =>
    frame.replaceChildren(h("span", { className: "ending" }, /\.(\w{1,5})$/.exec(name)?.[1].toUpperCase() ?? "?"));
  frame.append(h("img", { src: url, alt: "", decoding: "async", loading: "lazy", on: { error: showEnding } }));
  return frame;
}
