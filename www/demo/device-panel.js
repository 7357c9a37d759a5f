import { Component, fill, h } from "../report/component.js";
import { duration } from "./units.js";
import { workspace } from "./workspace.js";

/** @type {[import("./workspace.js").DeviceChoice, string, string][]} */
const CHOICES = [
  ["auto", "Auto", "A graphics card that passes a self-test, else the CPU"],
  ["webgpu", "WebGPU", "The graphics card, or an error that says why not"],
  ["cpu", "CPU", "The processor: works everywhere"],
];

/** The choice of the device, the device in use, and why no other is used. */
class DevicePanel extends Component {
  #status = h("div", { className: "device-status" });
  #hint = h("p", { className: "muted" });

  /** @override */
  connect() {
    const radios = CHOICES.map(([value, label, hint]) => {
      const input = h("input", {
        type: "radio",
        name: "device",
        value,
        checked: value === workspace.device,
        className: "visually-hidden",
        on: { change: () => workspace.chooseDevice(value) },
      });
      return h("label", { title: hint }, input, h("span", {}, label));
    });
    fill(
      this,
      h("h2", { id: "device-heading" }, "Device"),
      h("div", { className: "segments", role: "radiogroup", "aria-labelledby": "device-heading" }, ...radios),
      this.#hint,
      this.#status,
    );
    this.listen(workspace, "model device images", () => this.#render());
    this.#render();
  }

  #render() {
    const { model, device } = workspace;
    this.#hint.textContent = CHOICES.find(([value]) => value === device)?.[2] ?? "";
    if (model.state !== "ready") {
      fill(this.#status);
      return;
    }
    const { info } = model;
    const where =
      info.device === "webgpu"
        ? ["WebGPU", info.adapter]
        : [
            "CPU",
            [
              info.simd === "relaxed-simd" ? "relaxed SIMD" : "SIMD",
              info.threads === 1 ? "1 thread" : `${info.threads} threads`,
            ].join(", "),
          ];
    const times = workspace.done.map(({ milliseconds = 0 }) => milliseconds).sort((a, b) => a - b);
    fill(
      this.#status,
      h(
        "p",
        { className: "running-on" },
        h("span", { className: "lamp", "aria-hidden": "true" }),
        "Running on ",
        h("strong", {}, where[0]),
        h("span", { className: "muted" }, ` ${where[1] ?? ""}`),
      ),
      times.length > 0 && h("p", { className: "muted" }, `${duration(times[times.length >> 1])} per image (median)`),
      info.reasons.length > 0 &&
        h(
          "div",
          { className: "reasons" },
          h("h3", {}, "Why not another"),
          h("ul", {}, ...info.reasons.map((reason) => h("li", {}, reason))),
        ),
    );
  }
}

customElements.define("device-panel", DevicePanel);
