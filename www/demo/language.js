/**
 * The language of the page: the visitor's choice, else the browser's. `t` gives a text of the table. After a change the
 * window has the event `texts`, and each component is drawn again.
 */

import { TEXTS } from "./texts/index.js";

/**
 * @typedef {keyof typeof LANGUAGES} Language
 * @typedef {keyof typeof TEXTS} TextKey
 */

/** The languages, in the order of the table's columns, each with its own name and its code for `lang`. */
export const LANGUAGES = /** @type {const} */ ({
  en: { name: "English", code: "en", column: 0 },
  zh: { name: "中文", code: "zh-Hans", column: 1 },
});

const KEY = "image-feature-language";

/** @type {Language} */
let current = wanted();
document.documentElement.lang = LANGUAGES[current].code;

export function language() {
  return current;
}

/** @param {Language} chosen */
export function setLanguage(chosen) {
  current = chosen;
  document.documentElement.lang = LANGUAGES[chosen].code;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // a browser that keeps nothing: the choice holds until the page is closed
  }
  window.dispatchEvent(new Event("texts"));
}

/**
 * A text in the page's language.
 *
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values] for the places in braces
 */
export function t(key, values = {}) {
  return TEXTS[key][LANGUAGES[current].column].replace(
    /\{(\w+)(?::([^:}]*):([^}]*))?\}/g,
    (_, /** @type {string} */ name, one, many) => {
      const value = values[name];
      const shown = typeof value === "number" ? number(value) : String(value);
      return one === undefined ? shown : `${shown} ${value === 1 ? one : many}`;
    },
  );
}

/**
 * The label of a picture of the sample collection, in the page's language.
 *
 * @param {string} label
 */
export function sampleLabel(label) {
  const key = `sample.${label}`;
  return Object.hasOwn(TEXTS, key) ? t(/** @type {TextKey} */ (key)) : label;
}

/** @param {number} value */
export function number(value) {
  return value.toLocaleString(LANGUAGES[current].code);
}

/** @returns {Language} */
function wanted() {
  const asked = new URLSearchParams(location.search).get("lang") ?? kept();
  if (asked !== null && Object.hasOwn(LANGUAGES, asked)) return /** @type {Language} */ (asked);
  const known = navigator.languages.map((code) => code.slice(0, 2).toLowerCase());
  return /** @type {Language} */ (known.find((code) => Object.hasOwn(LANGUAGES, code)) ?? "en");
}

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
