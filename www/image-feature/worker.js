/** The module worker. It holds the WebAssembly, so that the page's own thread stays free. */

import { serve } from "./bridge.js";
import { createDatasetHandlers } from "./dataset-session.js";
import { createGalleryHandlers } from "./gallery-session.js";
import { workerScope } from "./platform.js";
import { createSession } from "./session.js";

serve(workerScope(), { ...createSession().handlers, ...createDatasetHandlers(), ...createGalleryHandlers() });
