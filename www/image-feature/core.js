/**
 * Starting the WebAssembly cores: for the CPU the fastest that this browser runs, for WebGPU the one there is.
 */

import { GLUE } from "./cores.js";
import { isTrap, throwIfAborted, toError } from "./errors.js";
import { compileWasm, cpuCandidates } from "./loader.js";
import { startThreads } from "./threads.js";

/** Spelled out one by one so that bundlers find the files. */
const WASM = {
  cpu: () => new URL("./wasm/cpu/image_feature_bg.wasm", import.meta.url),
  "cpu-relaxed": () => new URL("./wasm/cpu-relaxed/image_feature_bg.wasm", import.meta.url),
  "cpu-threads": () => new URL("./wasm/cpu-threads/image_feature_bg.wasm", import.meta.url),
  "cpu-threads-relaxed": () => new URL("./wasm/cpu-threads-relaxed/image_feature_bg.wasm", import.meta.url),
  gpu: () => new URL("./wasm/gpu/image_feature_bg.wasm", import.meta.url),
};

/**
 * @typedef {{ signal: AbortSignal, progress: import("./progress.js").StagedProgress, folder?: string, distress?: string }} StartOptions
 * @typedef {import("./cores.js").CpuCore} CpuCore
 */

/**
 * The CPU's core, on so many threads if they can be had; `undefined`: as many as are good for this machine. `reasons`
 * says why it is not the fastest.
 *
 * @param {number | undefined} threads
 * @param {StartOptions} options
 * @returns {Promise<{ core: CpuCore, threads: number, reasons: string[] }>}
 */
export async function startCpuCore(threads, options) {
  const { candidates, reasons } = cpuCandidates(threads);
  for (const { kind, threads, what } of candidates) {
    try {
      return { core: await startCpu(kind, threads, options), threads, reasons };
    } catch (error) {
      throwIfAborted(options.signal);
      if (kind === "cpu") throw error;
      reasons.push(`${what}: ${toError(error).message}`);
    }
  }
  throw new Error("the list of candidates ends with `cpu`");
}

/**
 * @param {import("./cores.js").CpuKind} kind
 * @param {number} threads
 * @param {StartOptions} options
 * @returns {Promise<CpuCore>}
 */
async function startCpu(kind, threads, options) {
  if (kind === "cpu" || kind === "cpu-relaxed") return (await start(kind, GLUE[kind], options)).core;
  const { core, module, memory } = await start(kind, GLUE[kind], options);
  await startThreads({ kind, module, memory, distress: options.distress }, core, threads - 1, options.signal);
  return core;
}

/** @param {StartOptions} options */
export async function startGpuCore(options) {
  return (await start("gpu", GLUE.gpu, options)).core;
}

/**
 * @template {{ default: (options: { module_or_path: WebAssembly.Module }) => Promise<{ memory: WebAssembly.Memory }> }} Core
 * @param {import("./cores.js").Kind} name
 * @param {() => Promise<Core>} importGlue
 * @param {StartOptions} options
 */
async function start(name, importGlue, { signal, progress, folder }) {
  const address = folder ? new URL(`${name}/image_feature_bg.wasm`, folder) : WASM[name]();
  const onProgress = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) =>
    progress.report("compile", name, loaded, total);
  const [core, module] = await Promise.all([importGlue(), compileWasm(address, { signal, onProgress })]);
  const { memory } = await core.default({ module_or_path: module });
  return { core, module, memory };
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
