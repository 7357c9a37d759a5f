/** The pipeline PP-ShiTuV2 in the browser, beside PaddleX's. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { detectorParams } from "./golden-detector.mjs";
import { GOLDEN, HANG_MS, WWW, golden, launch, openPage, requireWasm, withoutGolden } from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

let browser;
let site;

before(async () => {
  if (withoutGolden) return;
  requireWasm(["cpu", "cpu-relaxed", "gallery"]);
  const params = detectorParams();
  browser = await launch();
  site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/golden/", GOLDEN],
    ],
    answers: {
      "/det/inference.pdiparams": (response) => response.writeHead(200).end(params),
      "/empty.html": (response) =>
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
    },
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** In the browser: the pipeline with the golden models, and PaddleX's gallery. */
async function setUp() {
  const { FeatureExtractor, Gallery, Recognizer } = await import("/image-feature/index.js");
  const file = async (path) => new File([await (await fetch(path)).blob()], path.split("/").pop());
  const files = (...paths) => Promise.all(paths.map(file));
  const models = "/golden/models/";
  const detector = await files(
    `${models}PP-ShiTuV2_det_infer_pir/inference.json`,
    `${models}PP-ShiTuV2_det_infer_pir/inference.yml`,
    "/det/inference.pdiparams",
  );
  const model = await files(
    ...["inference.json", "inference.pdiparams", "inference.yml"].map(
      (name) => `${models}PP-ShiTuV2_rec_infer_pir/${name}`,
    ),
  );
  const index = (name) =>
    files(`/golden/pipeline/${name}/vector.index`, `/golden/pipeline/${name}/id_map.yaml`).then((files) =>
      Gallery.fromFile(files),
    );
  const progress = [];
  const onProgress = ({ fraction }) => progress.push(fraction);
  const recognizer = await Recognizer.load({ detector, model }, { device: "cpu", threads: 1, onProgress });
  const photo = await file("/golden/features/inputs/chelsea.png");
  globalThis.kit = { FeatureExtractor, Gallery, Recognizer, detector, model, index, recognizer, photo, progress };
  return { info: recognizer.info, progress };
}

/**
 * @param {import("playwright-core").Page} page
 * @param {string} index
 * @param {object} options
 */
const recognize = (page, index, options) =>
  page.evaluate(
    async ({ index, options }) => {
      const { recognizer, photo } = kit;
      const gallery = await kit.index(index);
      const { things, ...found } = await recognizer.recognize(photo, gallery, { anyModel: true, ...options });
      gallery.dispose();
      return { ...found, things: things.map(({ feature, ...thing }) => ({ ...thing, length: feature.length })) };
    },
    { index, options },
  );

/** Compares the things with a result of PaddleX. */
function assertLike(things, { boxes }) {
  assert.equal(things.length, boxes.length);
  const near = (ours, theirs, most) => assert.ok(Math.abs(ours - theirs) <= most, `${ours} is not ${theirs}`);
  things.forEach(({ coordinate, score, hits }, at) => {
    const { labels, rec_scores: scores, det_score, coordinate: sides } = boxes[at];
    near(score, det_score, 1e-4);
    coordinate.forEach((side, index) => near(side, sides[index], 1e-2));
    const known = labels[0] === null ? [] : labels;
    assert.equal(hits.length, known.length);
    hits.forEach((hit, index) => {
      near(hit.score, scores[index], 1e-4);
      const alone = [index - 1, index + 1].every((other) => !(Math.abs(scores[other] - scores[index]) < 2e-4));
      if (alone) assert.equal(hit.label, labels[index]);
    });
  });
}

const OPTIONS = { det_threshold: "detThreshold", rec_threshold: "recThreshold", rec_topk: "k" };

test("photos are recognised as by PaddleX", { timeout: HANG_MS, skip: withoutGolden }, async () => {
  const { page, close } = await openPage(browser, `${site.url}/empty.html`);
  const { info, progress } = await page.evaluate(setUp);
  assert.equal(info.detector.model, "PP-ShiTuV2_det");
  assert.equal(info.detector.threshold, 0.5);
  assert.equal(info.extractor.model, "PP-ShiTuV2_rec");
  assert.ok(
    progress.every((fraction, at) => at === 0 || fraction >= progress[at - 1] - 1e-9),
    String(progress),
  );
  assert.ok(Math.abs(progress.at(-1) - 1) < 1e-9, String(progress.at(-1)));

  const cases = JSON.parse(readFileSync(golden("pipeline/predict_cases_chelsea.json"), "utf8"));
  for (const name of ["rec_threshold_mid", "topk_1", "no_box_full_image", "no_box_and_rec_threshold"]) {
    const { args, result } = cases[name];
    const options = Object.fromEntries(Object.entries(args).map(([key, value]) => [OPTIONS[key], value]));
    const found = await recognize(page, "index_IP_Flat", options);
    assertLike(found.things, result[0]);
    assert.deepEqual([found.width, found.height, found.tooSmall, found.damaged], [451, 300, [], undefined]);
    assert.ok(found.things.every(({ length }) => length === 512));
  }
  // PaddleX has the threshold of L2 the wrong way round
  const l2 = await recognize(page, "index_L2_Flat", {});
  assertLike(l2.things, cases.L2_rec_threshold_0.result[0]);
  const none = await recognize(page, "index_IP_Flat", { detThreshold: 0.99999, whole: "never" });
  assert.deepEqual(none.things, []);
  const always = await recognize(page, "index_IP_Flat", { whole: "always" });
  assert.deepEqual(always.things.at(-1).coordinate, [0, 0, 451, 300]);
  assert.equal(always.things.at(-1).whole, true);
  assert.equal(always.things.length, l2.things.length + 1);

  const more = await page.evaluate(async () => {
    const { FeatureExtractor, Gallery, Recognizer, recognizer, photo, model } = kit;
    const outcome = (promise) =>
      promise.then(
        (value) => ({ value }),
        ({ kind, message }) => ({ kind, message }),
      );
    const pixels = await createImageBitmap(photo);
    const { width, height, boxes } = await recognizer.detect(pixels);
    const gallery = new Gallery({ dimension: 512 });
    const { feature } = await recognizer.extractor.embed(photo);
    await gallery.add({ id: "cat", feature });
    const roi = { x: 10, y: 20, width: 100, height: 90 };
    const [part] = await recognizer.extractor.embedParts(photo, [roi]);
    const alone = await recognizer.extractor.embed(photo, { roi });
    const unlike = Math.max(...part.feature.map((value, at) => Math.abs(value - alone.feature[at])));
    const [whole] = (await recognizer.recognize(pixels, gallery, { detThreshold: 1 })).things;
    const other = await FeatureExtractor.load("tiny", { device: "cpu", threads: 1 });
    const wrong = {
      detector: await outcome(Recognizer.load({ detector: model, model: other }, { threads: 1 })),
      image: await outcome(recognizer.recognize(new Blob(["no image"]), gallery)),
      gallery: await outcome(recognizer.recognize(photo, {})),
      whole: await outcome(recognizer.recognize(photo, gallery, { whole: "sometimes" })),
      part: await outcome(recognizer.extractor.embedParts(photo, [{ ...roi, x: 400 }])),
    };
    // a given extractor goes on
    const shared = await Recognizer.load({ detector: kit.detector, model: other }, { threads: 1 });
    const anothers = await outcome(shared.recognize(photo, gallery));
    shared.dispose();
    const goesOn = (await other.embed(photo)).feature.length;
    other.dispose();
    recognizer.dispose();
    const afterwards = await outcome(recognizer.detect(photo));
    return {
      width,
      height,
      count: boxes.length,
      unlike,
      score: whole.hits[0].score,
      wrong,
      anothers,
      goesOn,
      afterwards,
    };
  });
  assert.deepEqual([more.width, more.height, more.count, more.goesOn], [451, 300, l2.things.length, 512]);
  assert.ok(more.unlike < 1e-6 && more.score > 0.999, JSON.stringify(more));
  assert.equal(more.wrong.detector.kind, "usage");
  assert.match(more.wrong.detector.message, /finds no objects/);
  assert.match(more.wrong.image.kind, /decode|unsupported/);
  assert.deepEqual([more.wrong.gallery.kind, more.wrong.whole.kind, more.wrong.part.kind], ["usage", "usage", "usage"]);
  assert.match(more.anothers.message, /another model/);
  assert.match(more.afterwards.message, /this Recognizer was disposed of/);
  assert.deepEqual(await close(), []);
});
