/**
 * The two WebAssembly cores: `cpu` reads models and images and computes on the CPU, `gpu` computes on WebGPU.
 */

import { isTrap } from "./errors.js";
import { compileWasm } from "./loader.js";

/** Spelled out one by one so that bundlers find the files. */
const CORES = {
  cpu: {
    glue: () => import("./wasm/cpu/image_feature.js"),
    wasm: () => new URL("./wasm/cpu/image_feature_bg.wasm", import.meta.url),
  },
  gpu: {
    glue: () => import("./wasm/gpu/image_feature.js"),
    wasm: () => new URL("./wasm/gpu/image_feature_bg.wasm", import.meta.url),
  },
};

/**
 * @typedef {{ signal: AbortSignal, progress: import("./progress.js").StagedProgress, folder?: string }} StartOptions
 */

/** @param {StartOptions} options */
export function startCpuCore(options) {
  return start("cpu", CORES.cpu.glue, options);
}

/** @param {StartOptions} options */
export function startGpuCore(options) {
  return start("gpu", CORES.gpu.glue, options);
}

/**
 * @template {{ default: (options: { module_or_path: WebAssembly.Module }) => Promise<unknown> }} Glue
 * @param {"cpu" | "gpu"} name
 * @param {() => Promise<Glue>} importGlue
 * @param {StartOptions} options
 */
async function start(name, importGlue, { signal, progress, folder }) {
  const address = folder ? new URL(`${name}/image_feature_bg.wasm`, folder) : CORES[name].wasm();
  const onProgress = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) =>
    progress.report("compile", name, loaded, total);
  const [glue, module] = await Promise.all([importGlue(), compileWasm(address, { signal, onProgress })]);
  await glue.default({ module_or_path: module });
  return glue;
}

/**
 * The result of an asynchronous call into a core, which also fails when the core traps in a callback of the browser's:
 * the call's own promise would then wait for ever.
 *
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export function orTrap(work) {
  return new Promise((resolve, reject) => {
    const onError = (/** @type {ErrorEvent | PromiseRejectionEvent} */ event) => {
      const thrown = "reason" in event ? event.reason : event.error;
      if (!isTrap(thrown)) return;
      event.preventDefault();
      reject(thrown);
    };
    addEventListener("error", onError);
    addEventListener("unhandledrejection", onError);
    work.then(resolve, reject).finally(() => {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onError);
    });
  });
}
