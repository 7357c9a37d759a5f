/** The module worker that is one thread of the CPU's WebAssembly: it runs what `threads.js` gives it, and nothing else. */

import { GLUE } from "./cores.js";

addEventListener(
  "message",
  async (
    /** @type {MessageEvent<import("./threads.js").ThreadStart>} */ { data: { kind, module, memory, distress } },
  ) => {
    try {
      const core = await GLUE[kind]();
      await core.default({ module_or_path: module, memory });
      postMessage({});
      // stays in there until the worker is ended
      core.serveAsThread();
    } catch (error) {
      // an unhandled rejection would reach nobody
      postMessage({ error: String(error) });
      // … and the worker that started this one may be waiting for it, in WebAssembly, where no message is read
      if (distress) new BroadcastChannel(distress).postMessage(String(error));
    }
  },
  { once: true },
);
