import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";
import { offline } from "./offline.js";
import { bytes } from "./units.js";

/**
 * Counts what this page has sent: requests to other hosts, and bytes that are not the mere request of a file. The page
 * sees its own requests; the service worker sees those of the page's workers, too.
 */
class TrafficMeter extends Component {
  #own = { files: 0, bytes: 0 };
  #others = 0;
  #summary = h("summary", { className: "promise" });
  #more = h("div", { className: "card traffic-more" });

  /** @override */
  connect() {
    fill(this, h("details", {}, this.#summary, this.#more));
    this.listen(offline, "change", () => this.#render());
    this.listen(document, "click", ({ target }) => {
      if (!this.contains(target)) this.querySelector("details")?.removeAttribute("open");
    });
    this.listen(this, "keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.querySelector("details")?.removeAttribute("open");
      this.#summary.focus();
    });
    this.#own = { files: 0, bytes: 0 };
    this.#others = 0;
    const observer = new PerformanceObserver((list) => this.#count(list.getEntries()));
    observer.observe({ type: "resource", buffered: true });
    this.listen(window, "texts", () => observer.disconnect());
    this.#render();
  }

  /** @param {PerformanceEntryList} entries */
  #count(entries) {
    for (const entry of /** @type {PerformanceResourceTiming[]} */ (entries)) {
      const { protocol, origin } = new URL(entry.name);
      if (!/^https?:$/.test(protocol)) continue;
      if (origin !== location.origin) this.#others++;
      else {
        this.#own.files++;
        this.#own.bytes += entry.encodedBodySize;
      }
    }
    this.#render();
  }

  #render() {
    const { sent, others, state } = offline;
    const foreign = Math.max(others, this.#others);
    const quiet = sent === 0 && foreign === 0;
    this.dataset.quiet = String(quiet);
    fill(
      this.#summary,
      h("strong", {}, quiet ? t("traffic.promise") : t("traffic.title")),
      h(
        "span",
        { className: "traffic-counts" },
        `${t("traffic.sent", { bytes: bytes(sent) })} · ${t("traffic.others", { n: foreign })}`,
      ),
    );
    fill(
      this.#more,
      h("h2", {}, t("traffic.title")),
      h("p", {}, t("traffic.how")),
      h("p", { className: "muted" }, t("traffic.own", { n: this.#own.files, bytes: bytes(this.#own.bytes) })),
      h(
        "p",
        { className: "muted", "data-offline": state },
        t(state === "kept" ? "traffic.offline" : state === "none" ? "traffic.noWorker" : "traffic.online"),
      ),
    );
  }
}

customElements.define("traffic-meter", TrafficMeter);
