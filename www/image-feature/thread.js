/** The module worker that is one thread of the CPU's WebAssembly. `threads.js` starts it. */

import { GLUE } from "./cores.js";
import { openChannel, workerScope } from "./platform.js";

const scope = /** @type {import("./bridge.js").Port<any>} */ (workerScope({ watched: false }));
scope.onmessage = async (/** @type {MessageEvent<import("./threads.js").ThreadStart>} */ { data }) => {
  scope.onmessage = null;
  const { kind, module, memory, distress } = data;
  const tell = (/** @type {any} */ message) => scope.postMessage(message, []);
  try {
    const core = await GLUE[kind]();
    await core.default({ module_or_path: module, memory });
    tell({});
    // this call returns only when the worker is ended
    core.serveAsThread();
  } catch (error) {
    // sent as a message: nobody would see an unhandled rejection
    tell({ error: String(error) });
    // the worker that started this thread may be waiting in WebAssembly, where it reads no message; the page reads
    // this one
    if (distress) openChannel(distress).postMessage(String(error));
  }
};
