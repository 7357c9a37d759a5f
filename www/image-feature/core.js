/**
 * Starting the WebAssembly cores: for the CPU the fastest that this browser runs, for WebGPU, data sets and galleries the one there is.
 */

import { GLUE } from "./cores.js";
import { ImageFeatureError, isTrap, throwIfAborted, toError } from "./errors.js";
import { compileWasm, cpuCandidates, requireSimd } from "./loader.js";
import { startThreads } from "./threads.js";

/** Spelled out one by one so that bundlers find the files. */
const WASM = {
  cpu: () => new URL("./wasm/cpu/image_feature_bg.wasm", import.meta.url),
  "cpu-relaxed": () => new URL("./wasm/cpu-relaxed/image_feature_bg.wasm", import.meta.url),
  "cpu-threads": () => new URL("./wasm/cpu-threads/image_feature_bg.wasm", import.meta.url),
  "cpu-threads-relaxed": () => new URL("./wasm/cpu-threads-relaxed/image_feature_bg.wasm", import.meta.url),
  gpu: () => new URL("./wasm/gpu/image_feature_bg.wasm", import.meta.url),
  dataset: () => new URL("./wasm/dataset/image_feature_bg.wasm", import.meta.url),
  gallery: () => new URL("./wasm/gallery/image_feature_bg.wasm", import.meta.url),
};

/**
 * @typedef {{ signal: AbortSignal, progress: import("./progress.js").Progress, folder?: string }} FetchOptions
 * @typedef {FetchOptions & { compiled?: Compiled, distress?: string }} StartOptions
 * @typedef {import("./protocol.js").Compiled} Compiled
 * @typedef {import("./cores.js").CpuCore} CpuCore
 */

/**
 * The address of the folder with the artefacts, where they are not beside the package.
 *
 * @param {string | URL} [wasm] as the caller gives it
 */
export function wasmFolder(wasm) {
  if (wasm === undefined) return undefined;
  try {
    return new URL(`${wasm}`.replace(/\/*$/, "/"), globalThis.document?.baseURI ?? location.href).href;
  } catch (error) {
    throw new ImageFeatureError("usage", `wasm is not an address: ${wasm}`, { cause: error });
  }
}

/** How many threads a CPU core is asked for: with WebGPU it only reads images and is asked once for a feature to compare. */
const cpuThreads = (/** @type {import("./protocol.js").OpenRequest} */ { device, threads }) => (device === "webgpu" ? 1 : threads);

/**
 * The kind of CPU core that `startCpuCore` tries first.
 *
 * @param {import("./protocol.js").OpenRequest} request
 * @param {boolean} inWorker whether a worker will run it
 */
export function firstCpuKind(request, inWorker) {
  requireSimd();
  return cpuCandidates(cpuThreads(request), inWorker).candidates[0].kind;
}

/**
 * A core compiled ahead; nothing where that fails: it is tried again when it is started, and the error told then.
 *
 * @param {import("./protocol.js").Kind} kind
 * @param {FetchOptions} options
 * @returns {Promise<Compiled | undefined>}
 */
export async function compileAhead(kind, options) {
  try {
    return { kind, module: await compile(kind, options) };
  } catch {
    return undefined;
  }
}

/**
 * The CPU's core, on as many threads as are asked for and can be had; `reasons` says why it is not the fastest.
 *
 * @param {import("./protocol.js").OpenRequest} request
 * @param {StartOptions} options
 * @returns {Promise<{ core: CpuCore, threads: number, reasons: string[] }>}
 */
export async function startCpuCore(request, options) {
  requireSimd();
  const { candidates, reasons } = cpuCandidates(cpuThreads(request), !globalThis.document);
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
 * @param {import("./protocol.js").CpuKind} kind
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
 * @param {StartOptions} options
 * @returns {Promise<import("./cores.js").DatasetCore>}
 */
export async function startDatasetCore(options) {
  requireSimd();
  return (await start("dataset", GLUE.dataset, options)).core;
}

/**
 * @param {StartOptions} options
 * @returns {Promise<import("./cores.js").GalleryCore>}
 */
export async function startGalleryCore(options) {
  requireSimd();
  return (await start("gallery", GLUE.gallery, options)).core;
}

/**
 * @template {{ default: (options: { module_or_path: WebAssembly.Module }) => Promise<{ memory: WebAssembly.Memory }> }} Core
 * @param {import("./protocol.js").Kind} name
 * @param {() => Promise<Core>} importGlue
 * @param {StartOptions} options
 */
async function start(name, importGlue, options) {
  const { compiled } = options;
  const module = compiled?.kind === name ? compiled.module : compile(name, options);
  const [core, ready] = await Promise.all([importGlue(), module]);
  const { memory } = await core.default({ module_or_path: ready });
  return { core, module: ready, memory };
}

/**
 * @param {import("./protocol.js").Kind} name
 * @param {FetchOptions} options
 */
function compile(name, { signal, progress, folder }) {
  const address = folder ? new URL(`${name}/image_feature_bg.wasm`, folder) : WASM[name]();
  const onProgress = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) =>
    progress.report("compile", name, loaded, total);
  return compileWasm(address, { signal, onProgress });
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
