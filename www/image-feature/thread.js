/** The module worker that is one thread of the CPU's WebAssembly. `threads.js` starts it. */

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
      // this call returns only when the worker is ended
      core.serveAsThread();
    } catch (error) {
      // sent as a message: nobody would see an unhandled rejection
      postMessage({ error: String(error) });
      // the worker that started this thread may be waiting in WebAssembly, where it reads no message; the page reads
      // this one
      if (distress) new BroadcastChannel(distress).postMessage(String(error));
    }
  },
  { once: true },
);
