import { Component, fill, h } from "../report/component.js";
import { agreement } from "./agreement.js";
import { entryPicture, frame, labelOf } from "./gallery-card.js";
import { problem } from "./gallery-problem.js";
import { asError } from "./as-error.js";
import { t } from "./language.js";
import { regionPicker } from "./region-picker.js";
import { download } from "./results.js";
import { searchState } from "./search-state.js";
import { searchPage } from "./share.js";
import { duration } from "./units.js";

/** Number of hits that vote for the label of a query. */
const VOTERS = 5;

/** The picture that is searched with, and what the answer says of it. */
class QueryPanel extends Component {
  #picture = h("div", { className: "query-picture" });
  #words = h("div", { className: "query-words" });
  #problems = h("div", {});

  /** @override */
  connect() {
    this.className = "card query-panel";
    fill(this, this.#picture, this.#words);
    this.listen(searchState, "query", () => this.#renderQuery());
    this.listen(searchState, "answer", () => this.#renderWords());
    this.#renderQuery();
  }

  #renderQuery() {
    const { query } = searchState;
    this.hidden = !query;
    fill(this.#problems);
    if (query) fill(this.#picture, query.file ? regionPicker(pictureOf(query)) : pictureOf(query));
    this.#renderWords();
  }

  #renderWords() {
    const { query, answer, shelf } = searchState;
    if (!query) return;
    const hadFocus = this.#words.contains(document.activeElement) ? document.activeElement?.id : "";
    const hits = answer && "hits" in answer ? answer.hits : [];
    fill(
      this.#words,
      h("p", { className: "muted" }, query.region ? t("search.regionNow") : t("search.query")),
      h("h2", { className: "query-name", title: query.name }, query.name),
      verdict(hits),
      answer && "hits" in answer && found(hits.length, answer.milliseconds),
      h(
        "div",
        { className: "actions" },
        button("query-all", t("search.all"), () => searchState.clear()),
        query.region && button("query-whole", t("search.regionOff"), () => void searchState.askRegion(undefined)),
        hits.length > 0 &&
          shelf.metric === "cosine" &&
          button("query-agree", t("search.agree"), () => this.#do(() => agreement(hits))),
        hits.length > 0 && button("query-save", t("search.save"), () => this.#do(() => this.#save())),
      ),
      this.#problems,
      query.file && h("p", { className: "muted query-hint" }, t("search.region")),
    );
    if (hadFocus) document.getElementById(hadFocus)?.focus();
  }

  async #save() {
    const { name } = searchState.query ?? { name: "" };
    const page = await searchPage(this.#picture.querySelector("img"));
    download(`${name.replace(/\.\w+$/, "")}-search.html`, new Blob([page], { type: "text/html" }));
  }

  /** @param {() => Promise<unknown>} work */
  async #do(work) {
    fill(this.#problems);
    try {
      await work();
    } catch (error) {
      fill(this.#problems, problem(t("search.failed"), asError(error)));
    }
  }
}

/** @param {import("./search-state.js").Query} query */
function pictureOf({ entry, address, name }) {
  if (entry) return entryPicture(entry);
  const ending = () => h("span", { className: "ending" }, /\.(\w{1,5})$/.exec(name)?.[1].toUpperCase() ?? "?");
  const picture = frame(h("img", { src: address, alt: "", on: { error: () => fill(picture, ending()) } }));
  return picture;
}

/** @param {number} n @param {number} milliseconds */
function found(n, milliseconds) {
  return h("p", { className: "muted" }, t("search.results", { n, time: duration(milliseconds) }));
}

/** What most labels of the nearest pictures say. @param {import("../image-feature/index.js").GalleryHit[]} hits */
function verdict(hits) {
  /** @type {Map<string, number>} */
  const votes = new Map();
  const voters = hits.slice(0, VOTERS);
  for (const label of voters.map(labelOf)) if (label !== undefined) votes.set(label, (votes.get(label) ?? 0) + 1);
  const [winner] = [...votes].sort((a, b) => b[1] - a[1]);
  // fewer than half say nothing
  if (!winner || winner[1] <= voters.length / 2) return;
  const [label, count] = winner;
  return h("p", { className: "query-verdict" }, t("search.verdict", { label, count, of: voters.length }));
}

/** @param {string} id @param {string} words @param {() => unknown} on */
function button(id, words, on) {
  return h("button", { type: "button", id, className: "button", on: { click: on } }, words);
}

customElements.define("query-panel", QueryPanel);

export function queryPanel() {
  return /** @type {QueryPanel} */ (document.createElement("query-panel"));
}
