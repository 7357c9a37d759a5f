/** In place of `platform.js`, for `image-feature/inline`: the worker's script is inside, too. */

import { ImageFeatureError, toError } from "./errors.js";
// @ts-expect-error made by the bundling: the text of the worker's script
import script from "./inline/worker.js";

import { watched } from "./worker-lock.js";

export {
  HERE,
  WHY_NO_DATA_SETS,
  absolute,
  coreCount,
  fetchFile,
  languages,
  mayWait,
  openChannel,
  workerScope,
} from "./platform.js";

/** @type {string | undefined} */
let address;

/** @type {typeof import("./platform.js").startWorker} */
export function startWorker(name) {
  if (typeof Worker !== "function") throw new ImageFeatureError("unsupported", "there are no workers here");
  address ??= URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    return watched(new Worker(address, { type: "module", name }), name);
  } catch (error) {
    throw toError(error, "unsupported", "a worker from a Blob could not be started");
  }
}

/** @type {typeof import("./platform.js").startThread} */
export function startThread() {
  throw new ImageFeatureError("unsupported", "image-feature/inline has no core for threads");
}

/** @type {typeof import("./platform.js").whyNoSharedMemory} */
export const whyNoSharedMemory = () => "image-feature/inline has no core for threads";
