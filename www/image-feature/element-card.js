/** The cards of the hits of `<image-search>`. */

/** @typedef {import("./gallery-types.js").GalleryHit} GalleryHit */

/** Metadata that may have the address of a picture. */
const PICTURES = ["thumbnail", "image", "url"];

/**
 * What a card shows: a copy of the page's template, or the picture, the label and the score.
 *
 * @param {GalleryHit} hit
 * @param {HTMLTemplateElement | null} template
 * @returns {Node}
 */
export function cardOf(hit, template) {
  return template ? fromTemplate(hit, template) : usual(hit);
}

/** @param {number} score as text: of a cosine, in percent */
export function scoreText(score) {
  return score >= -1 && score <= 1 ? `${(100 * score).toFixed(1)} %` : String(Number(score.toPrecision(4)));
}

/** @param {GalleryHit} hit */
function usual(hit) {
  const parts = document.createDocumentFragment();
  const address = PICTURES.map((key) => safeAddress(hit.meta?.[key])).find(Boolean);
  if (address) {
    const picture = part("img", "picture");
    picture.alt = "";
    picture.loading = "lazy";
    picture.src = address;
    parts.append(picture);
  }
  const label = part("div", "label");
  label.textContent = hit.label ?? hit.id;
  const score = part("div", "score");
  score.textContent = scoreText(hit.score);
  parts.append(label, score);
  return parts;
}

/**
 * @template {"div" | "img"} Tag
 * @param {Tag} tag
 * @param {string} name
 */
function part(tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  element.setAttribute("part", name);
  return element;
}

/**
 * A copy of a template. `data-text="label"` fills in a text, `data-src="meta.image"` and `data-href="meta.page"` addresses.
 *
 * @param {GalleryHit} hit
 * @param {HTMLTemplateElement} template
 */
function fromTemplate(hit, template) {
  const copy = /** @type {DocumentFragment} */ (document.importNode(template.content, true));
  for (const element of copy.querySelectorAll("[data-text], [data-src], [data-href]")) {
    const { text, src, href } = /** @type {HTMLElement} */ (element).dataset;
    if (text) element.textContent = text === "score" ? scoreText(hit.score) : String(fieldOf(hit, text) ?? "");
    const addresses = { src: src && safeAddress(fieldOf(hit, src)), href: href && safeAddress(fieldOf(hit, href)) };
    for (const [name, address] of Object.entries(addresses)) if (address) element.setAttribute(name, address);
  }
  return copy;
}

/**
 * @param {GalleryHit} hit
 * @param {string} path such as `meta.price`
 * @returns {unknown}
 */
function fieldOf(hit, path) {
  const step = (/** @type {any} */ value, /** @type {string} */ key) =>
    value && Object.hasOwn(value, key) ? value[key] : undefined;
  return path.split(".").reduce(step, hit);
}

/**
 * An address out of a gallery, which may come from others: no script.
 *
 * @param {unknown} value
 */
function safeAddress(value) {
  if (typeof value !== "string" || value === "") return undefined;
  try {
    const { protocol } = new URL(value, document.baseURI);
    return ["http:", "https:", "blob:"].includes(protocol) || value.startsWith("data:image/") ? value : undefined;
  } catch {
    return undefined;
  }
}
