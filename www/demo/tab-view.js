import { Component, h } from "../report/component.js";
import { t } from "./language.js";

/** @typedef {import("./language.js").TextKey} TextKey */

/**
 * Tabs, one for each `<section id data-tab="KEY">` inside; the key is of the label in the table of texts. A section may
 * hold other tabs. The page's address names the open tab, for links and reloads.
 */
class TabView extends Component {
  /** @type {{ tab: HTMLButtonElement, panel: HTMLElement }[]} */
  #tabs = [];

  /** @override */
  connect() {
    const panels = /** @type {HTMLElement[]} */ ([...this.querySelectorAll(":scope > section[data-tab]")]);
    this.#tabs = panels.map((panel, index) => {
      const tab = h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `${panel.id}-tab`,
          "aria-controls": panel.id,
          on: { click: () => this.#open(index) },
        },
        t(/** @type {TextKey} */ (panel.dataset.tab)),
      );
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      return { tab, panel };
    });
    this.querySelector(":scope > .tabs")?.remove();
    const list = h(
      "div",
      { role: "tablist", className: "tabs", "aria-label": t(/** @type {TextKey} */ (this.dataset.name)) },
      ...this.#tabs.map(({ tab }) => tab),
    );
    this.prepend(list);
    this.listen(list, "keydown", (event) => this.#move(event));
    this.listen(window, "hashchange", () => this.#openFromAddress());
    this.#openFromAddress();
  }

  #openFromAddress() {
    const wanted = document.getElementById(location.hash.slice(1));
    const index = this.#tabs.findIndex(({ panel }) => panel.contains(wanted));
    this.#show(Math.max(index, 0));
  }

  /** @param {number} index */
  #open(index) {
    history.replaceState(null, "", `#${this.#tabs[index].panel.id}`);
    this.#show(index);
  }

  /** @param {number} shown */
  #show(shown) {
    this.#tabs.forEach(({ tab, panel }, index) => {
      const open = index === shown;
      tab.setAttribute("aria-selected", String(open));
      tab.tabIndex = open ? 0 : -1;
      panel.hidden = !open;
      // on narrow screens the row of tabs scrolls
      if (open) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { length } = this.#tabs;
    const current = this.#tabs.findIndex(({ tab }) => tab === document.activeElement);
    const steps = /** @type {Record<string, number>} */ ({
      ArrowRight: current + 1,
      ArrowLeft: current - 1 + length,
      Home: 0,
      End: length - 1,
    });
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = steps[event.key] % length;
    this.#open(next);
    this.#tabs[next].tab.focus();
  }
}

customElements.define("tab-view", TabView);
