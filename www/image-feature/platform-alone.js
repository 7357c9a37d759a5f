/** In place of `platform.js`, for places without workers, such as Cloudflare's workerd: one thread does all. */

import { ImageFeatureError } from "./errors.js";

export const HERE = "this place";

export const WHY_NO_DATA_SETS = "there is one thread here, and data sets need workers";

/** @returns {never} */
export function startWorker() {
  throw new ImageFeatureError("unsupported", "there are no workers here");
}

/** @type {typeof import("./platform.js").startThread} */
export const startThread = startWorker;

/** @type {typeof import("./platform.js").workerScope} */
export const workerScope = () => startWorker();

/** @type {typeof import("./platform.js").whyNoSharedMemory} */
export const whyNoSharedMemory = () => "there is one thread here";

export const mayWait = () => false;

export const coreCount = () => 1;

/** @type {typeof import("./platform.js").languages} */
export const languages = () => [];

/** @type {typeof import("./platform.js").absolute} */
export const absolute = (address) => new URL(address).href;

/** @type {typeof import("./platform.js").fetchFile} */
export function fetchFile(address, { signal, headers }) {
  // workerd refuses other options
  return fetch(address, { signal, headers });
}

/** @type {typeof import("./platform.js").openChannel} */
export const openChannel = (name) => new BroadcastChannel(name);
