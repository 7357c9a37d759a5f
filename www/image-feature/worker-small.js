/** In place of `worker.js`, for `image-feature/inline`, which has no core for data sets. */

import { serve } from "./bridge.js";
import { createGalleryHandlers } from "./gallery-session.js";
import { workerScope } from "./platform.js";
import { createSession } from "./session.js";

serve(workerScope(), { ...createSession().handlers, ...createGalleryHandlers() });
