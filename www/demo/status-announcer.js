import { Component } from "../report/component.js";
import { counted } from "./units.js";
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
    if (model.state === "loading") this.textContent = "Loading the model";
    if (model.state === "ready")
      this.textContent = `Model ${model.info.model} loaded, running on ${model.info.device === "webgpu" ? "WebGPU" : "the CPU"}`;
    // a failure is shown as an alert, which screen readers announce
  }

  #images() {
    const { busy, pictures, done } = workspace;
    if (busy === this.#wasBusy) return;
    this.#wasBusy = busy;
    if (busy) return void (this.textContent = `Working on ${counted(pictures.length, "image")}`);
    const failed = pictures.filter(({ state }) => state === "failed").length;
    this.textContent = `${counted(done.length, "vector")} ready${failed ? `, ${counted(failed, "image")} failed` : ""}`;
  }
}

customElements.define("status-announcer", StatusAnnouncer);
