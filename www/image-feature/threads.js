/**
 * Threads for the CPU's WebAssembly: workers that share its memory.
 *
 * The session's worker starts them, and they end with it. The page's own thread cannot use them: it may not wait on
 * memory.
 */

import { ImageFeatureError, cancelled, toError } from "./errors.js";
import { startThread, whyNoSharedMemory } from "./platform.js";

/**
 * The message that starts a thread: the WebAssembly that it shares, and the channel on which it reports its failure.
 *
 * @typedef {{ kind: import("./protocol.js").ThreadsKind, module: WebAssembly.Module, memory: WebAssembly.Memory,
 *   distress?: string }} ThreadStart
 */

/** How long to wait for the workers' files. After that, one thread computes. */
const START_TIMEOUT_MS = 20_000;

/**
 * The reason why threads cannot be used, in words; `undefined` if they can.
 *
 * @param {boolean} inWorker whether a worker would start them
 */
export function whyNoThreads(inWorker) {
  const why = whyNoSharedMemory();
  if (why) return why;
  if (!inWorker) return "the page's own thread cannot wait for others";
}

/**
 * Starts `helpers` threads beside this one. If one does not start, all are ended, and the error says why.
 *
 * @param {ThreadStart} start
 * @param {{ startThreads: (helpers: number) => void }} core
 * @param {number} helpers
 * @param {AbortSignal} signal
 */
export async function startThreads(start, core, helpers, signal) {
  /** @type {import("./platform.js").WorkerPort[]} */
  const workers = [];
  try {
    const starting = Array.from({ length: helpers }, (_, index) => {
      const worker = startThread(`image-feature thread ${index + 1}`);
      workers.push(worker);
      worker.postMessage(start, []);
      return started(worker);
    });
    await orGiveUp(Promise.all(starting), signal);
    core.startThreads(helpers);
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw toError(error, "unsupported", "the threads did not start");
  }
}

/**
 * @param {import("./platform.js").WorkerPort} worker
 * @returns {Promise<void>}
 */
function started(worker) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) =>
      data.error ? reject(new ImageFeatureError("unsupported", data.error)) : resolve();
    worker.onerror = ({ message }) =>
      reject(
        new ImageFeatureError(
          "io",
          message ||
            "a worker's files could not be loaded; are all files of the package served, with the page's Cross-Origin-Embedder-Policy?",
        ),
      );
  });
}

/**
 * @param {Promise<unknown>} work
 * @param {AbortSignal} signal
 */
function orGiveUp(work, signal) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new ImageFeatureError("io", `no answer within ${START_TIMEOUT_MS / 1000} seconds`));
    const abort = () => reject(cancelled(signal));
    const timer = setTimeout(late, START_TIMEOUT_MS);
    signal.addEventListener("abort", abort);
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    });
  });
}
