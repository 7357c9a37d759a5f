/** A search as one HTML file that needs no network and no script. */

import { language, LANGUAGES, t } from "./language.js";
import { labelOf, pictureAddress, scoreText } from "./gallery-card.js";
import { searchState } from "./search-state.js";

/** Number of results in the file. */
const MOST = 60;
/** The longer side of its pictures. */
const SIDE = 240;

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}ol{list-style:none;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:1rem}
img{max-width:100%;height:9rem;object-fit:contain;border-radius:8px}li{overflow-wrap:anywhere;font-size:.9rem}.query img{height:14rem}`;

/**
 * @param {HTMLImageElement | null} query the picture that is searched with
 * @returns {Promise<string>}
 */
export async function searchPage(query) {
  const { answer, query: asked, shelf } = searchState;
  const hits = answer && "hits" in answer ? answer.hits.slice(0, MOST) : [];
  const page = document.implementation.createHTMLDocument(t("share.title", { name: asked?.name ?? "" }));
  page.documentElement.lang = LANGUAGES[language()].code;
  const make = (/** @type {string} */ tag, text = "") => {
    const element = page.createElement(tag);
    element.textContent = text;
    return element;
  };
  const charset = make("meta");
  charset.setAttribute("charset", "utf-8");
  const viewport = make("meta");
  viewport.setAttribute("name", "viewport");
  viewport.setAttribute("content", "width=device-width, initial-scale=1");
  page.head.prepend(charset, viewport);
  const head = make("p");
  head.className = "query";
  await append(head, query);
  const list = make("ol");
  for (const hit of hits) {
    const { id, score } = hit;
    const item = make("li");
    const address = pictureAddress(hit);
    if (address) await append(item, Object.assign(new Image(), { src: address }));
    item.append(make("div", scoreText(score, shelf.metric, 3)), make("strong", labelOf(hit) ?? ""), make("div", id));
    list.append(item);
  }
  const made = t("share.made", { date: new Date().toLocaleDateString(LANGUAGES[language()].code) });
  page.body.append(make("h1", page.title), head, list, make("p", made));
  // as text: this page's policy has no styles in elements, and a document made here has the same policy
  const html = page.documentElement.outerHTML.replace("</head>", `<style>${STYLE}</style></head>`);
  return `<!doctype html>\n${html}\n`;
}

/**
 * Adds a picture, as data in the file.
 *
 * @param {HTMLElement} element
 * @param {HTMLImageElement | null} image
 */
async function append(element, image) {
  // a picture that the browser cannot decode is left out
  await image?.decode().catch(() => {});
  if (!image?.naturalWidth) return;
  const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const copy = element.ownerDocument.createElement("img");
  copy.src = canvas.toDataURL("image/webp", 0.8);
  copy.alt = "";
  element.append(copy);
}
