/** What `<image-search>` shows, apart from the results. Made without HTML texts, which Trusted Types refuse. */

/** @returns {HTMLElement[]} */
export function partsOf() {
  return [
    made("div", { class: "drop", part: "drop" }, [
      made("img", { class: "preview", part: "preview", hidden: "" }),
      made("span", { class: "hint", part: "hint" }),
      made("button", { class: "choose", part: "choose", type: "button" }),
      made("button", { class: "open-camera", part: "camera", type: "button", hidden: "" }),
      made("input", { type: "file", accept: "image/*", hidden: "" }),
    ]),
    made("p", { class: "status", part: "status", role: "status" }),
    made("p", { class: "error", part: "error", role: "alert", hidden: "" }),
    made("ul", { class: "results", part: "results", role: "listbox", hidden: "" }),
    made("dialog", { part: "dialog" }),
  ];
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {HTMLElement[]} [children]
 */
function made(tag, attributes, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
