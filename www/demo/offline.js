/**
 * Keeps the page for use without a network, by a service worker, which also counts what is sent. It has the event
 * `change`.
 */

const WORKER = new URL("../service-worker.js", import.meta.url);

/** What the page may need later, and has not read yet: the parts that are loaded with a collection or a data set. */
const LATER = ["gallery", "dataset"].flatMap((core) => [
  `../image-feature/wasm/${core}/image_feature.js`,
  `../image-feature/wasm/${core}/image_feature_bg.wasm`,
]);

class Offline extends EventTarget {
  /** @type {"keeping" | "kept" | "none"} */
  state = "keeping";
  /** Bytes that the page and its workers have sent. */
  sent = 0;
  /** Requests of the page and its workers to other hosts. */
  others = 0;

  /**
   * Keeps all that the page has read until now. To be called after the first result, which it would delay.
   *
   * @param {string[]} more further addresses
   */
  async keep(more) {
    try {
      const { serviceWorker } = navigator;
      serviceWorker.addEventListener("message", ({ data }) => this.#hear(data));
      await serviceWorker.register(WORKER, { scope: "./" });
      const { active } = await serviceWorker.ready;
      const read = performance.getEntriesByType("resource").map(({ name }) => name);
      const later = LATER.map((path) => new URL(path, import.meta.url).href);
      const own = [location.href.replace(/[?#].*$/, ""), ...read, ...later, ...more].filter(
        (address) => new URL(address).origin === location.origin,
      );
      active?.postMessage({ keep: [...new Set(own)] });
    } catch {
      // no service worker in this browser or on this site
      this.#change({ state: "none" });
    }
  }

  /** @param {{ kept?: number, sent?: number, others?: number }} message */
  #hear({ kept, sent = this.sent, others = this.others }) {
    this.#change({ sent, others, state: kept === undefined ? this.state : "kept" });
  }

  /** @param {Partial<Pick<Offline, "state" | "sent" | "others">>} change */
  #change(change) {
    Object.assign(this, change);
    this.dispatchEvent(new Event("change"));
  }
}

export const offline = new Offline();
