/** Fine-tuning with the real WebAssembly and the model that comes with the package, on images drawn here. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
  HANG_MS,
  PROGRAM,
  SOFTWARE_WEBGPU,
  WWW,
  largestDifference,
  launch,
  openPage,
  requireWasm,
  withoutProgram,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

let browser;
let site;
let folder;

before(async () => {
  requireWasm(["cpu", "gpu"]);
  browser = await launch(SOFTWARE_WEBGPU);
  const empty = (response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>");
  site = await serveStatic({ isolated: false, mounts: [["/", WWW]], answers: { "/empty.html": empty } });
  folder = mkdtempSync(join(tmpdir(), "fine-tune-"));
});

after(async () => {
  await browser?.close();
  await site?.close();
  if (folder) rmSync(folder, { recursive: true });
});

/** In the browser: the package, and drawn images of three classes. */
async function setUp() {
  const api = await import("/image-feature/index.js");
  const LABELS = ["discs", "squares", "diamonds"];
  /** Four shapes of the class among four of any class; colours, sizes and places, and the background, depend on the image. */
  const draw = async (/** @type {string} */ label, /** @type {number} */ number) => {
    const canvas = new OffscreenCanvas(200, 160);
    const context = canvas.getContext("2d");
    const drawn = (/** @type {number} */ most) => ((seed = (seed * 48271) % 2147483647) / 2147483647) * most;
    let seed = 1 + 1009 * number + 31 * label.length;
    context.fillStyle = `hsl(${drawn(360)} 40% 80%)`;
    context.fillRect(0, 0, 200, 160);
    for (let shape = 0; shape < 8; shape++) {
      const kind = shape < 4 ? label : LABELS[Math.floor(drawn(3))];
      const [x, y, size] = [15 + drawn(150), 15 + drawn(110), 12 + drawn(22)];
      context.fillStyle = `hsl(${drawn(360)} 70% 40%)`;
      context.beginPath();
      if (kind === "discs") context.arc(x, y, size / 2, 0, 7);
      else if (kind === "squares") context.rect(x, y, size, size);
      else {
        for (const [right, down] of [
          [0, -1],
          [1, 0],
          [0, 1],
          [-1, 0],
        ])
          context.lineTo(x + (right * size) / 1.4, y + (down * size) / 1.4);
      }
      context.fill();
    }
    return new File([await canvas.convertToBlob()], `${label}-${number}.png`);
  };
  const samples = async (/** @type {number} */ first, /** @type {number} */ last) => {
    const all = [];
    for (const label of LABELS) {
      for (let number = first; number < last; number++) all.push({ source: await draw(label, number), label });
    }
    return all;
  };
  /** The mean average precision of images among those that were learnt from, by class. */
  const precision = async (extractor, images, learnt) => {
    const embedded = (all) =>
      Promise.all(all.map(async ({ source, label }) => ({ label, feature: (await extractor.embed(source)).feature })));
    const [queries, gallery] = [await embedded(images), await embedded(learnt)];
    const cosine = (a, b) => a.feature.reduce((dot, value, index) => dot + value * b.feature[index], 0);
    const averages = queries.map((query) => {
      const found = [...gallery].sort((a, b) => cosine(query, b) - cosine(query, a));
      const ranks = found.flatMap(({ label }, at) => (label === query.label ? [at + 1] : []));
      return ranks.reduce((sum, rank, hits) => sum + (hits + 1) / rank, 0) / ranks.length;
    });
    return averages.reduce((sum, average) => sum + average, 0) / averages.length;
  };
  const outcome = (/** @type {Promise<any>} */ promise) =>
    promise.then(
      () => ({}),
      ({ kind, message }) => ({ kind, message }),
    );
  const base64 = async (/** @type {Blob} */ blob) => {
    const url = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(blob);
    });
    return url.slice(url.indexOf(",") + 1);
  };
  return { ...api, samples, precision, outcome, base64 };
}

/**
 * @param {string} name
 * @param {(api: any, argument: any) => unknown} body runs in the browser
 * @param {(result: any, context: import("node:test").TestContext) => void} check
 * @param {any} [argument]
 */
function inBrowser(name, body, check, argument) {
  test(name, { timeout: HANG_MS }, async (context) => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(230_000);
    const api = await page.evaluateHandle(setUp);
    check(await api.evaluate(body, argument), context);
    assert.deepEqual(await close(), []);
  });
}

for (const device of ["cpu", "webgpu"]) {
  inBrowser(
    `${device}: the loss falls, classes are found better, and the file gives the program the same features`,
    async (api, device) => {
      const extractor = await api.FeatureExtractor.load("tiny", { device, dtype: "f32" });
      const unseen = await api.samples(100, 108);
      const learnt = await api.samples(0, 6);
      const before = await api.precision(extractor, unseen, learnt);
      const original = [...(await extractor.embed(unseen[0].source)).feature];
      const events = [];
      const start = performance.now();
      const tuned = await extractor.fineTune(learnt, {
        folds: 2,
        name: "shapes",
        onProgress: (event) => events.push(event),
      });
      const seconds = (performance.now() - start) / 1000;
      const untouched = [...(await extractor.embed(unseen[0].source)).feature];
      const after = await api.precision(tuned.extractor, unseen, learnt);
      const feature = [...(await tuned.extractor.embed(unseen[0].source)).feature];
      const {
        losses,
        classes,
        evaluation,
        extractor: { info },
      } = tuned;
      const files = {};
      for (const dtype of ["f32", "f16", "i8"]) files[dtype] = await api.base64(await tuned.exportModel({ dtype }));
      tuned.dispose();
      extractor.dispose();
      return {
        before,
        after,
        original,
        untouched,
        feature,
        losses,
        classes,
        evaluation,
        info,
        events,
        seconds,
        files,
        image: await api.base64(unseen[0].source),
      };
    },
    (
      { before, after, original, untouched, feature, losses, classes, evaluation, info, events, seconds, files, image },
      context,
    ) => {
      context.diagnostic(
        `${seconds.toFixed(1)} s; mAP ${before.toFixed(3)} before, ${after.toFixed(3)} after; recall@1 ${evaluation.before.toFixed(2)}, then ${evaluation.after.toFixed(2)}`,
      );
      assert.equal(info.device, device);
      assert.equal(info.model, "shapes");
      assert.equal(losses.length, 60);
      assert.ok(losses[59] < 0.3 * losses[0], `${losses}`);
      assert.ok(after > before + 0.05, `mAP ${before} before, ${after} after`);
      assert.deepEqual(
        classes,
        ["discs", "squares", "diamonds"].map((label) => ({ label, images: 6 })),
      );
      assert.equal(evaluation.queries, 18);
      assert.ok(evaluation.after >= evaluation.before);
      assert.ok(largestDifference(original, untouched) < 1e-6, "the extractor that was there stays as it is");
      assert.ok(largestDifference(original, feature) > 1e-3);
      // progress: each stage, a fraction that never falls, the same losses as in the result
      assert.deepEqual([...new Set(events.map(({ stage }) => stage))].slice(0, 3), ["embed", "learn", "evaluate"]);
      events.forEach(({ fraction }, at) => assert.ok(at === 0 || fraction >= events[at - 1].fraction - 1e-9));
      assert.ok(Math.abs(events.at(-1).fraction - 1) < 1e-9);
      assert.deepEqual(
        events.filter(({ stage }) => stage === "learn").map(({ loss }) => loss),
        losses,
      );
      assert.ok(files.f16.length < 0.6 * files.f32.length && files.i8.length < 0.7 * files.f16.length);
      if (withoutProgram) return context.diagnostic(`not compared with the program: ${withoutProgram}`);
      const picture = join(folder, "image.png");
      writeFileSync(picture, Buffer.from(image, "base64"));
      for (const [dtype, tolerance] of [
        ["f32", 1e-4],
        ["f16", 3e-3],
      ]) {
        const file = join(folder, `${device}-${dtype}.safetensors`);
        writeFileSync(file, Buffer.from(files[dtype], "base64"));
        const printed = execFileSync(PROGRAM, ["predict", picture, "--model", file, "--json", "--quiet"], {
          encoding: "utf8",
        });
        const difference = largestDifference(JSON.parse(printed).feature, feature);
        assert.ok(difference < tolerance, `${dtype} differs by ${difference}`);
      }
    },
    device,
  );
}

inBrowser(
  "the bundled model learns in i8, from an async iterable, and gives the same with the same seed",
  async (api) => {
    const extractor = await api.FeatureExtractor.load("tiny", { device: "cpu" });
    const tune = async (seed) => {
      const samples = async function* () {
        yield* await api.samples(0, 3);
      };
      const tuned = await extractor.fineTune(samples(), { epochs: 3, views: 1, seed });
      const [{ source }] = await api.samples(9, 10);
      const result = {
        info: tuned.extractor.info,
        feature: [...(await tuned.extractor.embed(source)).feature],
        evaluation: tuned.evaluation,
      };
      tuned.dispose();
      return result;
    };
    return [extractor.info, await tune(1), await tune(1), await tune(2)];
  },
  ([before, first, again, other]) => {
    assert.equal(first.info.dtype, before.dtype);
    assert.equal(before.dtype, "i8");
    assert.equal(first.info.model, `${before.model}-tuned`);
    assert.equal(first.evaluation, null);
    assert.deepEqual(first.feature, again.feature);
    assert.notDeepEqual(first.feature, other.feature);
  },
);

inBrowser(
  "an abort stops it while images are looked at and while it learns, and the extractor works on",
  async (api) => {
    /** Number of progress messages of the worker: one for each epoch. */
    let told = 0;
    const Real = globalThis.Worker;
    globalThis.Worker = class extends Real {
      constructor(...given) {
        super(...given);
        this.addEventListener("message", ({ data }) => data.progress !== undefined && told++);
      }
    };
    const extractor = await api.FeatureExtractor.load("tiny", { device: "cpu" });
    const samples = await api.samples(0, 4);
    let atAbort;
    const stopAt = async (stage) => {
      const controller = new AbortController();
      const onProgress = (event) => {
        if (event.stage !== stage || event.loaded === 0 || controller.signal.aborted) return;
        atAbort = told;
        controller.abort();
      };
      return api.outcome(
        extractor.fineTune(samples, { epochs: 10_000, views: 1, signal: controller.signal, onProgress }),
      );
    };
    const outcomes = [await stopAt("embed"), await stopAt("learn")];
    const early = await api.outcome(extractor.fineTune(samples, { signal: AbortSignal.abort() }));
    const { feature } = await extractor.embed(samples[0].source);
    return { outcomes, early, length: feature.length, after: told - atAbort };
  },
  ({ outcomes, early, length, after }) => {
    for (const { kind } of outcomes) assert.equal(kind, "cancelled");
    assert.equal(early.kind, "cancelled");
    assert.equal(length, 512);
    assert.ok(after < 100, `the worker has learnt on for ${after} of 10000 epochs`);
  },
);

inBrowser(
  "what cannot be learnt from is said",
  async (api) => {
    const extractor = await api.FeatureExtractor.load("tiny", { device: "cpu" });
    const good = await api.samples(0, 2);
    const broken = { source: new File(["no image"], "broken.png"), label: "discs" };
    const refused = [];
    for (const [samples, options] of [
      [good.filter(({ label }) => label === "discs")],
      [[]],
      [[...good, broken]],
      [[...good, { source: good[0].source }]],
      [[...good, good[0].source]],
      ["photos"],
      [undefined],
      [good, { epochs: 0 }],
      [good, { epochs: 1.5 }],
      [good, { learningRate: "fast" }],
      [good, { views: 17 }],
      [good, { folds: 1 }],
      [good, { seed: -1 }],
      [good, { name: "" }],
    ]) {
      refused.push(await api.outcome(extractor.fineTune(samples, options)));
    }
    refused.push(await api.outcome(extractor.exportModel({ dtype: "f64" })));
    extractor.dispose();
    refused.push(await api.outcome(extractor.fineTune(good)));
    return refused;
  },
  (refused) => {
    const expected = [
      ["usage", /two or more; here 2 images are of one, "discs"/],
      ["usage", /two or more; here 0 images/],
      ["unsupported|decode", /^broken\.png: /],
      ["usage", /^discs-0\.png: its label must be a text/],
      ["usage", /sample 6 is no \{ source, label \}/],
      ["usage", /an array or another iterable/],
      ["usage", /an array or another iterable/],
      ["usage", /epochs must be a whole number from 1 to 10000, got 0/],
      ["usage", /epochs must be a whole number from 1 to 10000, got 1.5/],
      ["usage", /learningRate must be a number above 0 and at most 10, got fast/],
      ["usage", /views must be a whole number from 1 to 16, got 17/],
      ["usage", /folds must be 0 or a whole number from 2 to 10, got 1/],
      ["usage", /seed must be a whole number from 0, got -1/],
      ["usage", /name must be a text of 1 to 100 characters/],
      ["usage", /unknown dtype "f64"/],
      ["usage", /disposed of/],
    ];
    assert.equal(refused.length, expected.length);
    refused.forEach(({ kind, message }, at) => {
      assert.match(String(kind), new RegExp(`^(${expected[at][0]})$`), message);
      assert.match(String(message), expected[at][1]);
    });
  },
);
