/**
 * The differences between the places where the package runs. This file is for browsers; `scripts/bundle.mjs` puts
 * `platform-node.js` or another in its place. All of them export the same names.
 */

import { ImageFeatureError, toError } from "./errors.js";
import { packageFolder } from "./package-files.js";
import { toPort, watched } from "./worker-lock.js";

export { workerScope } from "./worker-lock.js";

/**
 * A worker, of the browser or of another place.
 *
 * - `onlost`: called once when the worker has ended without an error
 * - `ref`, `unref`: whether the worker keeps the process alive, where there is a process
 *
 * @typedef {object} WorkerPort
 * @property {(message: any, transfer: Transferable[]) => void} postMessage
 * @property {((event: MessageEvent) => unknown) | null} onmessage
 * @property {((event: { message?: string }) => unknown) | null} onerror
 * @property {(() => unknown) | null} onmessageerror
 * @property {(() => unknown) | null} [onlost]
 * @property {() => void} terminate
 * @property {() => void} [ref]
 * @property {() => void} [unref]
 */

/** The name of this place, for messages. */
export const HERE = "this browser";

/**
 * Starts the worker that holds the WebAssembly.
 *
 * @param {string} name the name of the worker, and of the lock that it holds while it lives
 * @returns {WorkerPort}
 */
export function startWorker(name) {
  // bundlers find the worker in this form only
  const start = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name });
  return watched(orFromOtherSite(start, "worker.js", name), name);
}

/**
 * Starts a worker that is one thread of the WebAssembly.
 *
 * @param {string} name
 * @returns {WorkerPort}
 */
export function startThread(name) {
  const start = () => new Worker(new URL("./thread.js", import.meta.url), { type: "module", name });
  return toPort(orFromOtherSite(start, "thread.js", name));
}

/** The addresses of Blobs that import a script. @type {Map<string, string>} */
const importers = new Map();

/**
 * A script that imports another. A static import would need that site in the policy's worker-src; this one needs it in
 * script-src only, where it is already. Messages that come earlier are kept for it.
 *
 * @param {string} address
 */
function scriptThatImports(address) {
  const script = `
    const early = [];
    onmessage = (event) => early.push(event);
    import(${JSON.stringify(address)}).then(
      () => early.forEach((event) => onmessage(event)),
      (error) => setTimeout(() => { throw error; }),
    );`;
  return new Blob([script], { type: "text/javascript" });
}

/**
 * Browsers start workers from the page's own site only. The package may come from another one, such as a CDN: then a
 * script of this site imports it.
 *
 * @param {() => Worker} start
 * @param {string} script
 * @param {string} name
 * @returns {Worker}
 */
function orFromOtherSite(start, script, name) {
  const { folder, chosen } = packageFolder();
  if (typeof Worker !== "function") throw new ImageFeatureError("unsupported", "there are no workers here");
  if (!folder || (!chosen && new URL(folder).origin === location.origin)) return start();
  const address = new URL(script, folder).href;
  try {
    if (new URL(folder).origin === location.origin) return new Worker(address, { type: "module", name });
    const importer = importers.get(address) ?? URL.createObjectURL(scriptThatImports(address));
    importers.set(address, importer);
    return new Worker(importer, { type: "module", name });
  } catch (error) {
    throw toError(error, "unsupported", `a worker of ${address} could not be started`);
  }
}

/**
 * Why several threads cannot share memory here, in words; `undefined` if they can.
 *
 * @returns {string | undefined}
 */
export function whyNoSharedMemory() {
  if (typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated) return undefined;
  return "this page is not cross-origin isolated; its server must send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
}

/** Why there are no data sets here, in words. @type {string | undefined} */
export const WHY_NO_DATA_SETS = undefined;

/** Whether this thread may wait for others: a page's own thread may not. */
export const mayWait = () => !globalThis.document;

/** Number of cores. */
export const coreCount = () => navigator.hardwareConcurrency || 1;

/** The languages of the user, the preferred one first. */
export const languages = () => navigator.languages ?? [];

/**
 * The whole address, for one that may be relative to the page.
 *
 * @param {string | URL} address
 * @returns {string}
 */
export function absolute(address) {
  return new URL(address, globalThis.document?.baseURI ?? location.href).href;
}

/**
 * `fetch`, also for addresses of files where there are such.
 *
 * @param {string} address
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
export function fetchFile(address, options) {
  return fetch(address, options);
}

/**
 * Opens a channel to all threads of this site.
 *
 * @param {string} name
 */
export const openChannel = (name) => new BroadcastChannel(name);
