/** The module worker that is one thread of the CPU's WebAssembly: it runs what `threads.js` gives it, and nothing else. */

import { GLUE } from "./cores.js";

addEventListener(
  "message",
  async (/** @type {MessageEvent<{ kind: import("./cores.js").ThreadsKind, module: WebAssembly.Module, memory: WebAssembly.Memory }>} */ { data }) => {
    try {
      const core = await GLUE[data.kind]();
      await core.default({ module_or_path: data.module, memory: data.memory });
      postMessage({});
      // stays in there until the worker is ended
      core.serveAsThread();
    } catch (error) {
      // an unhandled rejection would reach nobody
      postMessage({ error: String(error) });
    }
  },
  { once: true },
);
