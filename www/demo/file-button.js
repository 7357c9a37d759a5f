import { h } from "../report/component.js";

/**
 * A button that opens the browser's file dialogue. The same file can be chosen twice in a row.
 *
 * @param {string} label
 * @param {{ name: string, accept?: string, folder?: boolean, className?: string, on: (files: File[]) => void }} options
 * @returns {DocumentFragment}
 */
export function fileButton(label, { name, accept = "", folder = false, className = "button", on }) {
  const input = h("input", {
    type: "file",
    name,
    accept,
    multiple: true,
    webkitdirectory: folder,
    hidden: true,
    "aria-label": label,
    on: {
      change() {
        const files = [...(input.files ?? [])];
        input.value = "";
        if (files.length > 0) on(files);
      },
    },
  });
  const fragment = document.createDocumentFragment();
  fragment.append(h("button", { type: "button", className, on: { click: () => input.click() } }, label), input);
  return fragment;
}
