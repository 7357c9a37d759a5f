/** The module worker: it owns the WebAssembly, so that the page stays free. */

import { serve } from "./bridge.js";
import { createDatasetHandlers } from "./dataset-session.js";
import { createGalleryHandlers } from "./gallery-session.js";
import { createSession } from "./session.js";

serve(/** @type {import("./bridge.js").Port} */ (/** @type {unknown} */ (globalThis)), {
  ...createSession().handlers,
  ...createDatasetHandlers(),
  ...createGalleryHandlers(),
});
