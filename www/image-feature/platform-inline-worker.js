/** In place of `platform.js`, in the worker of `image-feature/inline`. */

export {
  HERE,
  absolute,
  coreCount,
  fetchFile,
  languages,
  mayWait,
  openChannel,
  startThread,
  startWorker,
  workerScope,
} from "./platform.js";

/** @returns {string | undefined} */
export const whyNoSharedMemory = () => "image-feature/inline has no core for threads";
