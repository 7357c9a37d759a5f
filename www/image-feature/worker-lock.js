/**
 * Notices when a worker ends without a word, as when the browser lacks memory. While it lives it holds a lock of its own
 * name, which the browser then gives to the page.
 */

/**
 * The worker as a port, with `onlost`.
 *
 * @param {Worker} worker
 * @param {string} name
 * @returns {import("./platform.js").WorkerPort}
 */
export function watched(worker, name) {
  const port = toPort(worker);
  // pages that are not secure have no locks
  if (!navigator.locks) return port;
  const stop = new AbortController();
  const terminate = worker.terminate.bind(worker);
  port.terminate = () => {
    stop.abort();
    terminate();
  };
  const wait = (/** @type {MessageEvent} */ { data }) => {
    // asked for after the worker has it
    if (data.holds !== name) return;
    worker.removeEventListener("message", wait);
    navigator.locks.request(name, { signal: stop.signal }, () => port.onlost?.()).catch(() => {});
  };
  worker.addEventListener("message", wait);
  return port;
}

/** @param {Worker} worker */
export const toPort = (worker) => /** @type {import("./platform.js").WorkerPort} */ (/** @type {unknown} */ (worker));

/**
 * The port of the worker that this script runs in.
 *
 * @param {{ watched?: boolean }} [options] `watched`: whether it holds the worker's lock
 * @returns {import("./bridge.js").Port<import("./bridge.js").Request>}
 */
export function workerScope({ watched = true } = {}) {
  // TypeScript takes the global scope for a page's
  const scope = /** @type {DedicatedScope} */ (/** @type {unknown} */ (globalThis));
  const { name } = scope;
  // `startWorker` made the name: no other worker has the same
  if (watched && name) navigator.locks?.request(name, () => hold(scope, name)).catch(() => {});
  return scope;
}

/**
 * @typedef {import("./bridge.js").Port<import("./bridge.js").Request> & { name?: string, postMessage: (message:
 *   unknown, transfer?: Transferable[]) => void }} DedicatedScope
 *
 * @param {DedicatedScope} scope
 * @param {string} name
 */
function hold(scope, name) {
  scope.postMessage({ holds: name });
  return new Promise(() => {});
}
