/** The page. Each import defines one custom element. */

import "./dataset-view.js";
import "./device-panel.js";
import "./fine-tune-view.js";
import "./gallery-duplicates.js";
import "./gallery-evaluation.js";
import "./gallery-view.js";
import "./image-intake.js";
import "./language-switch.js";
import "./model-panel.js";
import { offline } from "./offline.js";
import { sampleAddress, sampleGallery } from "./sample-gallery.js";
import "./search-view.js";
import "./similarity-view.js";
import "./status-announcer.js";
import "./tab-view.js";
import "./traffic-meter.js";
import "./undo-bar.js";
import "./vector-list.js";
import { workspace } from "./workspace.js";

const settings = new URLSearchParams(location.search);

void sampleGallery.open().catch(console.error);

// The page loads the small model at once, so that a first visit needs no download. `?model=none` leaves that out.
if (settings.get("model") !== "none") void workspace.loadModel("default");

// kept after the first results, which it would delay
let keeping = false;
const keep = async () => {
  if (keeping || !(sampleGallery.complete || workspace.model.state === "failed")) return;
  keeping = true;
  const entries = await sampleGallery.entries();
  await offline.keep([sampleAddress("index.json"), ...entries.map(({ id }) => sampleAddress(id))]);
};
sampleGallery.addEventListener("content", () => void keep());
workspace.addEventListener("model", () => void keep());
