/**
 * The types of calls to the worker, which `npm run check:types` checks; nothing runs this file.
 *
 * Each line below `@ts-expect-error` is wrong. If TypeScript takes one, the bridge has lost its types.
 */

import { openHere, openWorker } from "../../www/image-feature/worker-bridge.js";

export async function calls() {
  const bridge = openWorker();
  const session = await openHere();

  /** @type {{ dimension: number }} */
  const facts = await bridge.request("openGallery", { source: { form: "empty", dimension: 2 }, storage: "f32" });
  /** @type {boolean} */
  const passed = (await bridge.request("compatCheck", { beta: true })).passed;
  /** @type {undefined} */
  const nothing = await bridge.request("fix", undefined).then(() => bridge.request("takeProblems", "[]"));
  await bridge.request("zip", undefined, { onProgress: ([loaded, total]) => loaded / total });
  await session.request("warmUp", facts.dimension);

  // @ts-expect-error there is no such method
  await bridge.request("openGalery", { source: { form: "empty", dimension: 2 }, storage: "f32" });
  // @ts-expect-error the session on the page's thread holds no gallery
  await session.request("labelCounts", undefined);
  // @ts-expect-error a property is missing
  await bridge.request("openGallery", { source: { form: "empty", dimension: 2 } });
  // @ts-expect-error the argument has another type
  await bridge.request("lookAt", [0, 1]);
  // @ts-expect-error there is no such storage
  await bridge.request("openGallery", { source: { form: "empty", dimension: 2 }, storage: "f64" });
  /** @type {string} */
  // @ts-expect-error the result has another type
  const wrong = await bridge.request("addVectors", { entries: "[]", vectors: new Float32Array() });
  // @ts-expect-error the progress has another type
  await bridge.request("zip", undefined, { onProgress: (/** @type {string} */ progress) => progress });
  // @ts-expect-error the result is not `any`
  (await bridge.request("evaluateVectors", request)).no.such.property;

  return [passed, nothing, wrong];
}

/** @type {import("../../www/image-feature/gallery-session.js").EvaluateRequest} */
const request = { labels: [], ids: [], recallAt: [1], block: 64, worst: 20, nearest: 5 };
