/**
 * The element `<image-search>`: search by a picture, in one line of HTML.
 *
 * ```html
 * <script type="module" src="/image-feature/element.js"></script>
 * <image-search gallery="/shop.safetensors" k="8"></image-search>
 * ```
 *
 * Attributes:
 *
 * - `gallery`: the address of a gallery's file. `kept`: in its place, the name of a gallery that this browser keeps
 * - `model`: as for `FeatureExtractor.load`; by default the model that comes with the package
 * - `k`: the largest number of results, 10 by default
 * - `threshold`: the least score of a result. Without it, all or none: the gallery's own threshold decides
 * - `lang`: `en` or `zh`; `ImageSearch.texts` takes other languages
 *
 * A page that has a `FeatureExtractor` or a `Gallery` already gives it as the property `extractor` or `gallery`. A `<template>`
 * inside of the element is the form of a result: `data-text="label"`, `data-src="meta.image"`, `data-href="meta.page"`.
 *
 * Events, which bubble: `search-start` with `{ picture }`, `search-results` with `{ picture, feature, hits }`,
 * `search-select` with `{ hit }`, `search-error` with `{ error }`.
 *
 * Parts: `drop`, `choose`, `camera`, `preview`, `status`, `error`, `results`, `card`, `picture`, `label`, `score`. Custom
 * properties: `--image-search-` with `ink`, `muted`, `panel`, `line`, `accent`, `accent-ink`, `bad`, `radius`, `card` (the least
 * width of a card).
 *
 * @module image-feature/element
 */

import { cardOf, scoreText } from "./element-card.js";
import { takePicture } from "./element-camera.js";
import { partsOf } from "./element-parts.js";
import { STYLE } from "./element-style.js";
import { texts, textsOf } from "./element-texts.js";
import { FeatureExtractor, Gallery, ImageFeatureError } from "./index.js";

/**
 * @typedef {import("./gallery-types.js").GalleryHit} GalleryHit
 * @typedef {import("./element-texts.js").ImageSearchTexts} ImageSearchTexts
 */

const DEFAULT_K = 10;
// a server that renders the page has no elements
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

export class ImageSearch extends Base {
  /** The texts of each language. @type {Record<string, ImageSearchTexts>} */
  static texts = texts;
  static observedAttributes = ["gallery", "kept", "model", "lang"];

  /** @type {ShadowRoot} */
  #root;
  #connection = new AbortController();
  #search = new AbortController();
  /** Given by the page. @type {FeatureExtractor | undefined} */
  #givenExtractor;
  /** @type {Gallery | undefined} */
  #givenGallery;
  /** Opened by the element, which disposes of them. @type {Promise<FeatureExtractor> | undefined} */
  #extractor;
  /** @type {Promise<Gallery> | undefined} */
  #gallery;
  /** @type {GalleryHit[]} */
  #hits = [];

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(...partsOf());
  }

  /** The extractor that the page gave; it is not disposed of. */
  get extractor() {
    return this.#givenExtractor;
  }

  set extractor(extractor) {
    this.#givenExtractor = extractor;
  }

  /** The gallery that the page gave, or the address of one. @returns {Gallery | string | null} */
  get gallery() {
    return this.#givenGallery ?? this.getAttribute("gallery");
  }

  set gallery(gallery) {
    this.#givenGallery = gallery instanceof Object ? gallery : undefined;
    if (typeof gallery === "string") this.setAttribute("gallery", gallery);
    else if (!gallery) this.removeAttribute("gallery");
  }

  /** The results that are shown. */
  get hits() {
    return this.#hits;
  }

  connectedCallback() {
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    const listen = (
      /** @type {EventTarget} */ target,
      /** @type {string} */ type,
      /** @type {(event: any) => void} */ on,
    ) => target.addEventListener(type, on, { signal });
    const drop = this.#part(".drop");
    const input = /** @type {HTMLInputElement} */ (this.#part("input"));
    listen(this.#part(".choose"), "click", () => input.click());
    listen(input, "change", () => {
      if (input.files?.[0]) void this.search(input.files[0]);
      input.value = "";
    });
    listen(this.#part(".open-camera"), "click", () => void this.#useCamera());
    listen(drop, "dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    listen(drop, "dragleave", () => drop.classList.remove("over"));
    listen(drop, "drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#take(event.dataTransfer);
    });
    listen(document, "paste", (event) => this.#paste(event));
    listen(this.#part(".results"), "keydown", (event) => this.#walk(event));
    this.#part(".open-camera").hidden = !navigator.mediaDevices?.getUserMedia;
    this.#speak();
  }

  disconnectedCallback() {
    this.#connection.abort();
    this.#search.abort();
    const dialog = /** @type {HTMLDialogElement} */ (this.#part("dialog"));
    if (dialog.open) dialog.close("");
    // frameworks move elements: they are out of the document for a moment
    queueMicrotask(() => {
      if (!this.isConnected) this.#dispose();
    });
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === "model") this.#disposeOf("extractor");
    else if (name === "lang") this.#speak();
    else this.#disposeOf("gallery");
  }

  /**
   * Searches with a picture, and shows the results. Another search stops this one. Errors are shown and told by
   * `search-error`.
   *
   * @param {Blob} picture
   * @returns {Promise<GalleryHit[] | undefined>} `undefined` after an error or another search
   */
  async search(picture) {
    this.#search.abort();
    this.#search = new AbortController();
    const { signal } = this.#search;
    this.#show([]);
    this.#preview(picture);
    this.#tell("search-start", { picture });
    try {
      this.#say(this.#texts.preparing);
      const [extractor, gallery] = await Promise.all([this.#openExtractor(), this.#openGallery()]);
      if (signal.aborted) return undefined;
      this.#say(this.#texts.searching);
      const { feature } = await extractor.embed(picture, { signal });
      const k = Number(this.getAttribute("k") ?? DEFAULT_K);
      const threshold = this.hasAttribute("threshold") ? Number(this.getAttribute("threshold")) : undefined;
      const hits = await (threshold === undefined
        ? gallery.recognize(feature, { k, signal })
        : gallery.search(feature, { k, threshold, signal }));
      if (signal.aborted) return undefined;
      this.#show(hits);
      this.#say(this.#summary(hits));
      this.#tell("search-results", { picture, feature, hits });
      return hits;
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
      return undefined;
    }
  }

  get #texts() {
    return textsOf(this);
  }

  /** @param {string} selector @returns {HTMLElement} */
  #part(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }

  /** Writes the texts in the element's language. */
  #speak() {
    if (!this.isConnected) return;
    const { drop, choose, camera, results, query } = this.#texts;
    this.#part(".hint").textContent = drop;
    this.#part(".choose").textContent = choose;
    this.#part(".open-camera").textContent = camera;
    this.#part(".results").setAttribute("aria-label", results);
    /** @type {HTMLImageElement} */ (this.#part(".preview")).alt = query;
  }

  /** @param {string} text */
  #say(text) {
    this.#part(".status").textContent = text;
    this.#part(".error").hidden = true;
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#say("");
    const shown = this.#part(".error");
    shown.textContent = error instanceof Error ? error.message : String(error);
    shown.hidden = false;
    this.#tell("search-error", { error });
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  /** @param {GalleryHit[]} hits */
  #summary([first, ...others]) {
    const { none, found } = this.#texts;
    if (!first) return none;
    const label = first.label ?? first.id;
    return found
      .replace("{n}", String(others.length + 1))
      .replace("{score}", scoreText(first.score))
      .replace("{label}", () => label);
  }

  /** @param {Blob} picture */
  #preview(picture) {
    const image = /** @type {HTMLImageElement} */ (this.#part(".preview"));
    const address = URL.createObjectURL(picture);
    image.onload = image.onerror = () => URL.revokeObjectURL(address);
    image.onload = () => {
      image.hidden = false;
      URL.revokeObjectURL(address);
    };
    image.hidden = true;
    image.src = address;
  }

  /** @param {GalleryHit[]} hits */
  #show(hits) {
    this.#hits = hits;
    const template = this.querySelector("template");
    const list = this.#part(".results");
    list.replaceChildren(...hits.map((hit, at) => this.#card(hit, at, template)));
    list.hidden = hits.length === 0;
  }

  /**
   * @param {GalleryHit} hit
   * @param {number} at
   * @param {HTMLTemplateElement | null} template
   */
  #card(hit, at, template) {
    const card = document.createElement("li");
    card.className = "card";
    card.setAttribute("part", "card");
    card.setAttribute("role", "option");
    card.setAttribute("aria-selected", "false");
    card.tabIndex = at === 0 ? 0 : -1;
    card.append(cardOf(hit, template));
    card.addEventListener("click", () => this.#select(at));
    return card;
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const cards = /** @type {HTMLElement[]} */ ([...this.#part(".results").children]);
    const at = cards.indexOf(/** @type {HTMLElement} */ (this.#root.activeElement));
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: cards.length - 1,
    };
    const key = /** @type {keyof typeof to} */ (event.key);
    if (at >= 0 && (event.key === "Enter" || event.key === " ")) this.#select(at);
    else if (key in to) this.#focus(cards, Math.min(Math.max(to[key], 0), cards.length - 1));
    else return;
    event.preventDefault();
  }

  /**
   * @param {HTMLElement[]} cards
   * @param {number} to
   */
  #focus(cards, to) {
    for (const [at, card] of cards.entries()) card.tabIndex = at === to ? 0 : -1;
    cards[to].focus();
  }

  /** @param {number} at */
  #select(at) {
    for (const [place, card] of [...this.#part(".results").children].entries())
      card.setAttribute("aria-selected", String(place === at));
    this.#tell("search-select", { hit: this.#hits[at] });
  }

  /** @param {DataTransfer | null} data */
  #take(data) {
    const picture = [...(data?.files ?? [])].find(({ type }) => type.startsWith("image/")) ?? data?.files[0];
    if (picture) void this.search(picture);
    else this.#fail(new ImageFeatureError("usage", this.#texts.noPicture));
  }

  /** Of several elements on a page, the one with the focus takes what is pasted, else the first. @param {ClipboardEvent} event */
  #paste(event) {
    const target = /** @type {Element | null} */ (
      event.composedPath()[0] instanceof Element ? event.composedPath()[0] : null
    );
    if (target?.closest("input, textarea, [contenteditable]") || !event.clipboardData?.files.length) return;
    const focused = document.activeElement?.closest("image-search");
    if ((focused ?? document.querySelector("image-search") ?? this) === this) this.#take(event.clipboardData);
  }

  async #useCamera() {
    try {
      const picture = await takePicture(/** @type {HTMLDialogElement} */ (this.#part("dialog")), this.#texts);
      if (picture) await this.search(picture);
    } catch (error) {
      this.#fail(new ImageFeatureError("unsupported", this.#texts.noCamera, { cause: error }));
    }
  }

  async #openExtractor() {
    if (this.#givenExtractor) return this.#givenExtractor;
    const opening = (this.#extractor ??= FeatureExtractor.load(this.getAttribute("model") ?? "default"));
    return this.#orForget("extractor", opening);
  }

  async #openGallery() {
    if (this.#givenGallery) return this.#givenGallery;
    const opening = (this.#gallery ??= openGallery(this.getAttribute("gallery"), this.getAttribute("kept")));
    return this.#orForget("gallery", opening);
  }

  /**
   * The result of an opening; if that failed, the next search tries again.
   *
   * @template T
   * @param {"extractor" | "gallery"} which
   * @param {Promise<T>} opening
   */
  async #orForget(which, opening) {
    try {
      return await opening;
    } catch (error) {
      this.#disposeOf(which, opening);
      throw error;
    }
  }

  /**
   * @param {"extractor" | "gallery"} which
   * @param {Promise<unknown>} [only] if it is this one
   */
  #disposeOf(which, only) {
    const opened = which === "extractor" ? this.#extractor : this.#gallery;
    if (!opened || (only && only !== opened)) return;
    opened.then((one) => one.dispose()).catch(() => {});
    if (which === "extractor") this.#extractor = undefined;
    else this.#gallery = undefined;
  }

  #dispose() {
    this.#disposeOf("extractor");
    this.#disposeOf("gallery");
  }
}

/**
 * @param {string | null} address
 * @param {string | null} kept
 * @returns {Promise<Gallery>}
 */
async function openGallery(address, kept) {
  if (kept) return Gallery.open(kept);
  if (!address)
    throw new ImageFeatureError(
      "usage",
      "<image-search> needs a gallery: the attribute `gallery` has its file's address",
    );
  const { pathname } = new URL(address, document.baseURI);
  const response = await fetch(address).catch((error) => {
    throw new ImageFeatureError("io", `${address}: the gallery could not be fetched`, { cause: error });
  });
  if (!response.ok)
    throw new ImageFeatureError("io", `${address}: the gallery could not be fetched: ${response.status}`);
  return Gallery.fromFile(new File([await response.blob()], pathname.split("/").pop() || "gallery.safetensors"));
}

if (globalThis.customElements && !customElements.get("image-search"))
  customElements.define("image-search", ImageSearch);
