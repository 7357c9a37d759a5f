/** The module worker. It holds the WebAssembly, so that the page's own thread stays free. */

import { serve } from "./bridge.js";
import { createDatasetHandlers } from "./dataset-session.js";
import { createGalleryHandlers } from "./gallery-session.js";
import { createSession } from "./session.js";

/** The global scope of a worker, which TypeScript takes for a page's. */
const scope = /** @type {import("./bridge.js").Port<import("./bridge.js").Request>} */ (
  /** @type {unknown} */ (globalThis)
);

serve(scope, { ...createSession().handlers, ...createDatasetHandlers(), ...createGalleryHandlers() });
