import { Component, fill, h } from "../report/component.js";
import { t } from "./language.js";
import { duration } from "./units.js";
import { workspace } from "./workspace.js";

/** @type {[import("./workspace.js").DeviceChoice, import("./language.js").TextKey, import("./language.js").TextKey][]} */
const CHOICES = [
  ["auto", "device.auto", "device.autoHow"],
  ["webgpu", "device.webgpu", "device.webgpuHow"],
  ["cpu", "device.cpu", "device.cpuHow"],
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
      return h("label", { title: t(hint) }, input, h("span", {}, t(label)));
    });
    fill(
      this,
      h("h2", { id: "device-heading" }, t("device.title")),
      h("div", { className: "segments", role: "radiogroup", "aria-labelledby": "device-heading" }, ...radios),
      this.#hint,
      this.#status,
    );
    this.listen(workspace, "model device images", () => this.#render());
    this.#render();
  }

  #render() {
    const { model, device } = workspace;
    const chosen = CHOICES.find(([value]) => value === device);
    this.#hint.textContent = chosen ? t(chosen[2]) : "";
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
              t(info.simd === "relaxed-simd" ? "device.relaxedSimd" : "device.simd"),
              t("device.threads", { n: info.threads }),
            ].join(", "),
          ];
    const times = workspace.done.map(({ milliseconds = 0 }) => milliseconds).sort((a, b) => a - b);
    fill(
      this.#status,
      h(
        "p",
        { className: "running-on" },
        h("span", { className: "lamp", "aria-hidden": "true" }),
        `${t("device.running")} `,
        h("strong", {}, where[0]),
        h("span", { className: "muted" }, ` ${where[1] ?? ""}`),
      ),
      times.length > 0 &&
        h("p", { className: "muted" }, t("device.median", { time: duration(times[times.length >> 1]) })),
      info.reasons.length > 0 &&
        h(
          "div",
          { className: "reasons" },
          h("h3", {}, t("device.reasons")),
          h("ul", {}, ...info.reasons.map((reason) => h("li", {}, reason))),
        ),
    );
  }
}

customElements.define("device-panel", DevicePanel);
