/**
 * Starts the WebAssembly cores. For the CPU this is the fastest that the browser runs; WebGPU, data sets and galleries
 * have one core each.
 */

import { compileWasm } from "./compile.js";
import { GLUE } from "./cores.js";
import { ImageFeatureError, isTrap, throwIfAborted, toError } from "./errors.js";
import { cpuCandidates, requireSimd } from "./loader.js";
import { adviceForMissing, hasCore, wasmFile } from "./package-files.js";
import { mayWait } from "./platform.js";
import { startThreads } from "./threads.js";

/**
 * @typedef {{ signal: AbortSignal, progress: import("./progress.js").Progress, folder?: string }} FetchOptions
 * @typedef {FetchOptions & { compiled?: Compiled, distress?: string }} StartOptions
 * @typedef {import("./protocol.js").Compiled} Compiled
 * @typedef {import("./cores.js").CpuCore} CpuCore
 * @typedef {(options: { module_or_path: WebAssembly.Module }) => Promise<{ memory: WebAssembly.Memory }>} StartCore
 * @typedef {{ default: StartCore }} Startable
 */

/**
 * The number of threads of the CPU core. With WebGPU it only reads images and computes one feature to compare, so one
 * is enough.
 */
const cpuThreads = (/** @type {import("./protocol.js").OpenRequest} */ { device, threads }) =>
  device === "webgpu" ? 1 : threads;

/**
 * The kind of CPU core that `startCpuCore` will try first.
 *
 * @param {import("./protocol.js").OpenRequest} request
 * @param {boolean} inWorker whether a worker will run it
 */
export function firstCpuKind(request, inWorker) {
  requireSimd();
  return cpuCandidates(cpuThreads(request), inWorker).candidates[0].kind;
}

/**
 * The module that the caller gave, for `compiled`.
 *
 * @param {Promise<WebAssembly.Module>} given
 * @returns {Promise<Compiled>}
 */
export async function takeGiven(given) {
  return { kind: "given", module: await given };
}

/**
 * Compiles a core before it is needed. Resolves with `undefined` if that fails: starting the core will compile it
 * again, and report the error.
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
 * Starts the CPU's core, with the number of threads that was asked for, if possible. `reasons` says why it is not the
 * fastest core.
 *
 * @param {import("./protocol.js").OpenRequest} request
 * @param {StartOptions} options
 * @returns {Promise<{ core: CpuCore, threads: number, reasons: string[] }>}
 */
export async function startCpuCore(request, options) {
  requireSimd();
  if (options.compiled?.kind === "given") return { core: await startCpu("cpu", 1, options), threads: 1, reasons: [] };
  const { candidates, reasons } = cpuCandidates(cpuThreads(request), mayWait());
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
  if (!hasCore("gpu")) throw new ImageFeatureError("unsupported", "this variant of the package has no core for WebGPU");
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
 * @template {Startable} Core
 * @param {import("./protocol.js").Kind} name
 * @param {() => Promise<Core>} importGlue
 * @param {StartOptions} options
 */
async function start(name, importGlue, options) {
  const { compiled } = options;
  const isReady = compiled && (compiled.kind === name || (compiled.kind === "given" && name !== "gpu"));
  const module = isReady ? compiled.module : compile(name, options);
  const [core, ready] = await Promise.all([importGlue(), module]);
  const { memory } = await core.default({ module_or_path: ready });
  return { core, module: ready, memory };
}

/**
 * @param {import("./protocol.js").Kind} name
 * @param {FetchOptions} options
 */
function compile(name, { signal, progress, folder }) {
  const file = wasmFile(name, folder);
  if ("module" in file) return file.module();
  const onProgress = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) =>
    progress.report("compile", name, loaded, total);
  const advice = folder ? "" : adviceForMissing();
  return compileWasm(file.address, { signal, onProgress, advice });
}

const TRAP_EVENTS = /** @type {const} */ (["error", "unhandledrejection"]);

/**
 * The result of an asynchronous call into a core. It also rejects if the core traps in a callback of the browser: the
 * call's own promise never settles then.
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
    // not every place has these events
    const { addEventListener, removeEventListener } = /** @type {Partial<typeof globalThis>} */ (globalThis);
    for (const event of TRAP_EVENTS) addEventListener?.(event, onError);
    work.then(resolve, reject).finally(() => {
      for (const event of TRAP_EVENTS) removeEventListener?.(event, onError);
    });
  });
}
