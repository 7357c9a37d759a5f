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

/** Who comes again searches with the vectors of the earlier visit; the model may come later. */
const REMEMBERED_MS = 700;

const settings = new URLSearchParams(location.search);

const opening = sampleGallery.open().catch(console.error);

/** When the pictures are on the screen; with vectors of an earlier visit, when the page has nothing else to do. */
async function shown() {
  await opening;
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  if (sampleGallery.complete) await new Promise((resolve) => setTimeout(resolve, REMEMBERED_MS));
}

// The page loads the smaller model by itself, so that a first visit soon has results. `?model=default` takes the larger one, and
// `?model=none` leaves that out.
const model = settings.get("model");
if (model !== "none") void workspace.loadModel(model === "default" ? "default" : "tiny", shown());

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
