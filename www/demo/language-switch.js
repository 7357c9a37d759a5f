import { Component, fill, h } from "../report/component.js";
import { LANGUAGES, language, setLanguage, t } from "./language.js";

/** The choice of the language. It also sets the texts of the page's own markup, which has them in English. */
class LanguageSwitch extends Component {
  /** @override */
  connect() {
    const options = Object.entries(LANGUAGES).map(([value, { name, code }]) =>
      h("option", { value, lang: code }, name),
    );
    const select = h("select", { "aria-label": t("frame.language"), className: "language" }, ...options);
    select.value = language();
    const hadFocus = this.contains(document.activeElement);
    fill(this, select);
    this.listen(select, "change", () => setLanguage(/** @type {import("./language.js").Language} */ (select.value)));
    if (hadFocus) select.focus();
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-text]")))
      element.textContent = t(/** @type {import("./language.js").TextKey} */ (element.dataset.text));
  }
}

customElements.define("language-switch", LanguageSwitch);
