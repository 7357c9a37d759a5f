/** Bridges to a session: in a worker of its own, or on this thread. */

import { Bridge, serve } from "./bridge.js";
import { ImageFeatureError, toError } from "./errors.js";
import { openChannel, startWorker } from "./platform.js";

/**
 * The methods of a worker.
 *
 * @typedef {import("./session.js").SessionMethods & import("./dataset-session.js").DatasetMethods
 *   & import("./gallery-session.js").GalleryMethods} WorkerMethods
 */

/**
 * Starts a worker. Its bridge closes where the worker fails.
 *
 * @param {string} [distress] the channel on which the worker's threads, where it has any, say that they failed
 * @returns {Bridge<WorkerMethods>}
 */
export function openWorker(distress) {
  /** @type {import("./platform.js").WorkerPort} */
  let worker;
  try {
    worker = startWorker(`image-feature ${newStamp()}`);
  } catch (error) {
    throw notStarted(toError(error, "unsupported", "the worker could not be started"));
  }
  const threads = distress === undefined ? undefined : openChannel(distress);
  const bridge = new Bridge(worker, () => {
    threads?.close();
    worker.terminate();
  });
  const fail = (/** @type {import("./errors.js").ErrorKind} */ kind, /** @type {string} */ message) => {
    const error = new ImageFeatureError(kind, message);
    bridge.close(bridge.answered ? error : notStarted(error));
  };
  if (threads) threads.onmessage = ({ data }) => fail("internal", `a thread of the WebAssembly core stopped: ${data}`);
  worker.onerror = ({ message }) => {
    if (message) return fail("internal", `the worker stopped: ${message}`);
    // a script that could not be fetched or parsed gives no message
    fail(
      "io",
      "the worker's files could not be loaded; are all files of the package served, and does the page's policy allow them (worker-src)?",
    );
  };
  worker.onmessageerror = () => fail("internal", "a message from the worker could not be read");
  worker.onlost = () => fail("internal", "the worker was ended, most likely for want of memory");
  return bridge;
}

/** Errors of workers that never answered. @type {WeakSet<Error>} */
const early = new WeakSet();

/** @param {ImageFeatureError} error */
function notStarted(error) {
  early.add(error);
  return error;
}

/**
 * Whether an error says that a worker did not start at all: the page's own thread can still do its work.
 *
 * @param {unknown} error
 */
export const isNotStarted = (error) => early.has(/** @type {Error} */ (error));

/** A text that no other worker has. */
export function newStamp() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/**
 * A session on this thread, for pages that can have no worker.
 *
 * @returns {Promise<Bridge<import("./session.js").SessionMethods>>}
 */
export async function openHere() {
  const { createSession } = await import("./session.js");
  const { handlers, dispose } = createSession();
  return bridgeHere(handlers, dispose);
}

/**
 * A gallery on this thread.
 *
 * @returns {Promise<Bridge<import("./gallery-session.js").GalleryMethods>>}
 */
export async function openGalleryHere() {
  const { createGalleryHandlers } = await import("./gallery-session.js");
  return bridgeHere(createGalleryHandlers(), async () => {});
}

/**
 * @template {import("./bridge.js").Handlers} Methods
 * @param {Methods} handlers
 * @param {() => Promise<void>} dispose
 * @returns {Bridge<Methods>}
 */
function bridgeHere(handlers, dispose) {
  const [here, there] = portPair();
  const stop = serve(there, handlers);
  return new Bridge(here, () => {
    stop();
    there.onmessage = null;
    void dispose();
  });
}

/**
 * Two ports on one thread. What one posts, the other gets: as it is, and later, as with a `MessageChannel`, which not
 * every place has.
 *
 * @returns {[here: import("./bridge.js").Port<any>, there: import("./bridge.js").Port<any>]}
 */
function portPair() {
  /** @type {import("./bridge.js").Port<any>} */
  const here = { onmessage: null, postMessage: (data) => post(there, data) };
  /** @type {import("./bridge.js").Port<any>} */
  const there = { onmessage: null, postMessage: (data) => post(here, data) };
  return [here, there];
}

/**
 * @param {import("./bridge.js").Port<any>} port
 * @param {unknown} data
 */
function post(port, data) {
  setTimeout(() => port.onmessage?.(/** @type {MessageEvent} */ ({ data })));
}
