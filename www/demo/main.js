/** The page. Each import defines one custom element. */

import "./dataset-view.js";
import "./device-panel.js";
import "./gallery-view.js";
import "./image-intake.js";
import "./model-panel.js";
import "./similarity-view.js";
import "./status-announcer.js";
import "./tab-view.js";
import "./vector-list.js";
