/** Bridges to a session: in a worker of its own, or on this thread. */

import { Bridge, serve } from "./bridge.js";
import { ImageFeatureError, toError } from "./errors.js";

/**
 * The methods of a worker.
 *
 * @typedef {import("./session.js").SessionMethods & import("./dataset-session.js").DatasetMethods
 *   & import("./gallery-session.js").GalleryMethods} WorkerMethods
 */

/**
 * @param {string} [distress] the channel on which the worker's threads, where it has any, say that they failed
 * @returns {Bridge<WorkerMethods>}
 */
export function openWorker(distress) {
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "image-feature" });
  } catch (error) {
    throw toError(
      error,
      "unsupported",
      "the worker could not be started; its files must come from the page's own site (or pass worker: false)",
    );
  }
  const threads = distress === undefined ? undefined : new BroadcastChannel(distress);
  const bridge = new Bridge(worker, () => {
    threads?.close();
    worker.terminate();
  });
  const fail = (/** @type {import("./errors.js").ErrorKind} */ kind, /** @type {string} */ message) =>
    bridge.close(new ImageFeatureError(kind, message));
  if (threads) threads.onmessage = ({ data }) => fail("internal", `a thread of the WebAssembly core stopped: ${data}`);
  worker.onerror = ({ message }) => {
    if (message) return fail("internal", `the worker stopped: ${message}`);
    // a script that could not be fetched or parsed gives no message
    fail(
      "io",
      "the worker's files could not be loaded; are all files of the package served, and does the page's policy allow them?",
    );
  };
  worker.onmessageerror = () => fail("internal", "a message from the worker could not be read");
  return bridge;
}

/**
 * A session on this thread, for pages that can have no worker.
 *
 * @returns {Promise<Bridge<import("./session.js").SessionMethods>>}
 */
export async function openHere() {
  const { createSession } = await import("./session.js");
  const { handlers, dispose } = createSession();
  const { port1, port2 } = new MessageChannel();
  const stop = serve(port1, handlers);
  return new Bridge(port2, () => {
    stop();
    port1.close();
    port2.close();
    void dispose();
  });
}
