import { Component } from "../report/component.js";
import { t } from "./language.js";
import { workspace } from "./workspace.js";

/** Tells screen readers when a model is loaded and when images are done. */
class StatusAnnouncer extends Component {
  #lastModel = "";
  #wasBusy = false;

  /** @override */
  connect() {
    this.listen(workspace, "model", () => this.#model());
    this.listen(workspace, "image images", () => this.#images());
  }

  #model() {
    const { model } = workspace;
    if (model.state === this.#lastModel) return;
    this.#lastModel = model.state;
    if (model.state === "loading") this.textContent = t("said.loading");
    if (model.state === "ready")
      this.textContent = t("said.loaded", {
        model: model.info.model,
        device: model.info.device === "webgpu" ? "WebGPU" : "CPU",
      });
    // a failure is shown as an alert, which screen readers announce
  }

  #images() {
    const { busy, pictures, done } = workspace;
    if (busy === this.#wasBusy) return;
    this.#wasBusy = busy;
    if (busy) return void (this.textContent = t("said.working", { n: pictures.length }));
    const failed = pictures.filter(({ state }) => state === "failed").length;
    this.textContent = [t("said.ready", { n: done.length }), failed > 0 && t("said.failed", { n: failed })]
      .filter(Boolean)
      .join(", ");
  }
}

customElements.define("status-announcer", StatusAnnouncer);
