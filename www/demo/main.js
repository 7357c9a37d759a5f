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

// The page loads the small model at once, so that a first visit needs no download. `?model=none` leaves that out.
if (new URLSearchParams(location.search).get("model") !== "none") void workspace.loadModel("default");
