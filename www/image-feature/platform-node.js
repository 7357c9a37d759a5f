/** In place of `platform.js`, for Node.js, Deno and Bun: workers are threads, and files have paths. */

import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker, parentPort } from "node:worker_threads";

export const HERE = "this program";

export const WHY_NO_DATA_SETS =
  "data sets need a browser, which reads files within the WebAssembly; here, use the program: image-feature check";

/**
 * @param {URL} address
 * @param {string} name
 * @returns {import("./platform.js").WorkerPort}
 */
function start(address, name) {
  const worker = new Worker(address, { name });
  let ended = false;
  /** @type {import("./platform.js").WorkerPort} */
  const port = {
    onmessage: null,
    onerror: null,
    onmessageerror: null,
    onlost: null,
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    terminate() {
      ended = true;
      void worker.terminate();
    },
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  };
  worker.on("message", (data) => port.onmessage?.(/** @type {MessageEvent} */ ({ data })));
  worker.on("messageerror", () => port.onmessageerror?.());
  worker.on("error", (error) => port.onerror?.({ message: String(/** @type {Error} */ (error)?.message ?? error) }));
  worker.on("exit", () => !ended && port.onlost?.());
  return port;
}

/** @type {typeof import("./platform.js").startWorker} */
export const startWorker = (name) => start(new URL("./node-worker.js", import.meta.url), name);

/** @type {typeof import("./platform.js").startThread} */
export const startThread = (name) => start(new URL("./node-thread.js", import.meta.url), name);

/** @type {typeof import("./platform.js").workerScope} */
export function workerScope() {
  isOwnWorker = true;
  const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);
  /** @type {import("./bridge.js").Port<import("./bridge.js").Request>} */
  const scope = {
    onmessage: null,
    postMessage: (message, transfer) => port.postMessage(message, transfer),
  };
  port.on("message", (data) => scope.onmessage?.(/** @type {MessageEvent} */ ({ data })));
  return scope;
}

/** @type {typeof import("./platform.js").whyNoSharedMemory} */
export const whyNoSharedMemory = () => undefined;

/** Only the package's own worker waits for threads: they end with it. */
export const mayWait = () => isOwnWorker;

let isOwnWorker = false;

export const coreCount = () => availableParallelism();

/** @type {typeof import("./platform.js").languages} */
export const languages = () => [Intl.DateTimeFormat().resolvedOptions().locale];

/** @type {typeof import("./platform.js").absolute} */
export function absolute(address) {
  // a path is not an address: `C:\photo.jpg` has the form of one
  if (address instanceof URL || /^(https?|file|data|blob):/i.test(address)) return new URL(address).href;
  return pathToFileURL(address).href;
}

/** @type {typeof import("./platform.js").fetchFile} */
export async function fetchFile(address, options) {
  if (!address.startsWith("file:")) return fetch(address, options);
  const url = new URL(address);
  const bytes = await readFile(url, { signal: options.signal ?? undefined });
  return new Response(bytes, { headers: { "content-length": String(bytes.length) } });
}

/** @type {typeof import("./platform.js").openChannel} */
export function openChannel(name) {
  const channel = new BroadcastChannel(name);
  // it must not keep the process alive
  /** @type {{ unref?: () => void }} */ (/** @type {unknown} */ (channel)).unref?.();
  return channel;
}
