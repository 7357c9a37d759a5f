/** In place of `platform.js`, in the worker of `image-feature/inline`. */

export {
  HERE,
  WHY_NO_DATA_SETS,
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
