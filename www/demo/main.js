/** The page. Each import defines one custom element. */

import "./dataset-view.js";
import "./device-panel.js";
import "./fine-tune-view.js";
import "./gallery-view.js";
import "./image-intake.js";
import "./model-panel.js";
import "./similarity-view.js";
import "./status-announcer.js";
import "./tab-view.js";
import "./vector-list.js";
import { workspace } from "./workspace.js";

// A first visit just works, and any other model can be chosen at once. `?model=none` is for those who bring their own.
if (new URLSearchParams(location.search).get("model") !== "none") void workspace.loadModel("default");
