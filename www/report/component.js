/**
 * The base class of custom elements, and the functions with which they make elements. Text is always text, never HTML.
 */

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 */

/**
 * Creates an element. Properties that the element has are set; the rest become attributes. `on` holds listeners.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown> & { on?: Record<string, (event: any) => void> }} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, { on = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) Object.assign(element, { [name]: value });
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  fill(element, ...children);
  return element;
}

/**
 * Replaces what an element holds.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  const shown = children.filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...shown.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * A custom element. Its event listeners are removed when it leaves the document. When the window has the event `texts`,
 * the page's language has changed, and `connect` is called again.
 */
export class Component extends HTMLElement {
  #connection = new AbortController();

  connectedCallback() {
    this.#connection.abort();
    this.#connection = new AbortController();
    this.listen(window, "texts", () => this.connectedCallback());
    this.connect();
  }

  disconnectedCallback() {
    this.#connection.abort();
  }

  /** Builds the element and starts listening. */
  connect() {}

  /**
   * @param {EventTarget} target
   * @param {string} types one or several, with spaces between
   * @param {(event: any) => void} listener
   */
  listen(target, types, listener) {
    for (const type of types.split(" ")) target.addEventListener(type, listener, { signal: this.#connection.signal });
  }

  /**
   * Observes an element, by default this one, as long as this one is in the document.
   *
   * @param {ResizeObserver} observer
   * @param {Element} [element]
   */
  observe(observer, element = this) {
    observer.observe(element);
    this.#connection.signal.addEventListener("abort", () => observer.disconnect());
  }
}
