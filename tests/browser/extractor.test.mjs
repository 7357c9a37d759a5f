/** The npm package with its real WebAssembly, against the features that PaddleX computed. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import {
  GOLDEN,
  HANG_MS,
  MODEL_FILES,
  PROGRAM,
  SOFTWARE_WEBGPU,
  WWW,
  eventually,
  goldenFeature,
  largestDifference,
  launch,
  openPage,
  requireWasm,
  tar,
  withoutGolden,
  withoutProgram,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

/** Largest difference of a feature's element from PaddleX's. */
const TOLERANCE = 1e-4;
const IMAGES = withoutGolden ? [] : readdirSync(join(GOLDEN, "features/inputs"));

let browser;
/** The package as it is served by default. */
let site;
/** The same with other headers, or with some files replaced by others. */
const sites = {};

before(async () => {
  if (withoutGolden) return;
  requireWasm();
  browser = await launch(SOFTWARE_WEBGPU);
  const archive = tar(
    MODEL_FILES.map((path) => ({ name: `PP-ShiTuV2_rec_infer/${basename(path)}`, bytes: readFileSync(path) })),
  );
  const serve = ({ mounts = [], answers, ...options } = {}) =>
    serveStatic({
      ...options,
      mounts: [["/", WWW], ["/golden/", GOLDEN], ...mounts],
      answers: {
        "/empty.html": (response) =>
          response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
        "/model.tar": (response) => response.writeHead(200, { "content-length": archive.length }).end(archive),
        ...answers,
      },
    });
  site = await serve();
  sites.notIsolated = await serve({ isolated: false });
  sites.withoutThread = await serve({
    answers: { "/image-feature/thread.js": (response) => response.writeHead(404).end() },
  });
  // the artefact for browsers without relaxed SIMD
  const instead = (kind) => [`/image-feature/wasm/${kind}-relaxed/`, join(WWW, "image-feature/wasm", kind)];
  sites.plainSimd = await serve({ mounts: ["cpu", "cpu-threads"].map(instead) });
});

after(async () => {
  await browser?.close();
  for (const server of [site, ...Object.values(sites)]) await server?.close();
});

/** In the browser: the package, and the golden files. */
async function setUp() {
  const api = await import("/image-feature/index.js");
  const file = async (path) => new File([await (await fetch(`/golden/${path}`)).blob()], path.split("/").pop());
  const folder = "models/PP-ShiTuV2_rec_infer_pir";
  const modelFiles = () =>
    Promise.all(["inference.json", "inference.pdiparams", "inference.yml"].map((name) => file(`${folder}/${name}`)));
  return {
    ...api,
    file,
    modelFiles,
    photo: (name) => file(`features/inputs/${name}`),
    load: async (options) => api.FeatureExtractor.load(await modelFiles(), options),
    /** The features of all photos, one by one or in batches over workers. */
    async features(extractor, names, options) {
      const features = {};
      const photos = await Promise.all(names.map((name) => file(`features/inputs/${name}`)));
      if (options)
        for await (const { name, feature } of extractor.embedMany(photos, options)) features[name] = [...feature];
      else for (const photo of photos) features[photo.name] = [...(await extractor.embed(photo)).feature];
      return features;
    },
    outcome: (promise) =>
      promise.then(
        (value) => ({ value }),
        ({ kind, message }) => ({ kind, message }),
      ),
  };
}

/**
 * @param {string} name
 * @param {(api: any) => unknown} body runs in the browser
 * @param {(result: any) => void} check
 */
function inBrowser(name, body, check) {
  test(name, { timeout: HANG_MS, skip: withoutGolden }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(170_000);
    check(await page.evaluate(body, await page.evaluateHandle(setUp)));
    assert.deepEqual(await close(), []);
  });
}

/** @param {Record<string, number[]>} features by image */
function assertGolden(features, tolerance = TOLERANCE) {
  const wrong = Object.entries(features)
    .map(([image, feature]) => [image, largestDifference(feature, goldenFeature(image))])
    .filter(([, difference]) => !(difference <= tolerance));
  assert.deepEqual(wrong, []);
}

test("the model that comes with the package gives what the program gives with it", {
  timeout: HANG_MS,
  skip: withoutGolden || withoutProgram,
}, async () => {
  const names = ["chelsea.png", "china.jpg"];
  const { page, close } = await openPage(browser, `${site.url}/empty.html`);
  const { info, features } = await page.evaluate(
    async ({ api, names }) => {
      const extractor = await api.FeatureExtractor.load();
      return { info: extractor.info, features: await api.features(extractor, names) };
    },
    { api: await page.evaluateHandle(setUp), names },
  );
  assert.deepEqual([info.device, info.dtype, info.dimension], ["cpu", "i8", 512]);
  for (const name of names) {
    const printed = execFileSync(PROGRAM, ["predict", join(GOLDEN, "features/inputs", name), "--json", "--quiet"], {
      encoding: "utf8",
    });
    const native = JSON.parse(printed).feature;
    // sums of whole numbers are the same everywhere; layers that are not quantised may differ in the last bits
    assert.ok(
      largestDifference(features[name], native) < 2e-3,
      `${name}: ${largestDifference(features[name], native)}`,
    );
    assert.ok(Math.abs(Math.hypot(...features[name]) - 1) < 1e-5);
  }
  assert.deepEqual(await close(), []);
});

for (const device of ["cpu", "webgpu"]) {
  test(`${device}: each image has the feature PaddleX gives it`, {
    timeout: HANG_MS,
    skip: withoutGolden,
  }, async (context) => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    const { info, features, loaded, first, each } = await page.evaluate(
      async ({ api, device, images }) => {
        const files = await api.modelFiles();
        const photos = await Promise.all(images.map(api.photo));
        const start = performance.now();
        const extractor = await api.FeatureExtractor.load(files, { device });
        const loaded = performance.now() - start;
        await extractor.embed(photos[0]);
        const first = performance.now() - start;
        const features = {};
        for (const photo of photos) features[photo.name] = [...(await extractor.embed(photo)).feature];
        const each = (performance.now() - start - first) / photos.length;
        return { info: extractor.info, features, loaded, first, each };
      },
      { api: await page.evaluateHandle(setUp), device, images: IMAGES },
    );
    context.diagnostic(
      `${device}: loaded after ${loaded.toFixed(0)} ms, first feature after ${first.toFixed(0)} ms, then ${each.toFixed(0)} ms each`,
    );
    assert.equal(info.device, device);
    assert.equal(info.model, "PP-ShiTuV2_rec");
    assert.equal(info.dimension, 512);
    assert.equal(Object.keys(features).length, IMAGES.length);
    assertGolden(features);
    assert.deepEqual(await close(), []);
  });
}

/**
 * @param {string} name
 * @param {() => { url: string }} on
 * @param {object} options of `load`
 * @param {object | undefined} many options of `embedMany`; without them the images are embedded one by one
 * @param {(info: any) => void} check
 * @param {RegExp} [expected] complaints
 */
function hasGoldenFeatures(name, on, options, many, check, expected) {
  test(name, { timeout: HANG_MS, skip: withoutGolden }, async () => {
    const { page, close } = await openPage(browser, `${on().url}/empty.html`);
    const { info, features, workers } = await page.evaluate(
      async ({ api, options, many, images }) => {
        const extractor = await api.load({ device: "cpu", ...options });
        const features = await api.features(extractor, images, many);
        const workers = performance
          .getEntriesByType("resource")
          .filter(({ name }) => name.endsWith("/worker.js")).length;
        extractor.dispose();
        return { info: extractor.info, features, workers };
      },
      { api: await page.evaluateHandle(setUp), options, many, images: IMAGES },
    );
    assert.equal(Object.keys(features).length, IMAGES.length);
    assertGolden(features);
    check({ ...info, workers });
    // the threads end with the worker that started them
    await eventually(
      () => page.workers().length,
      (count) => assert.equal(count, 0, "workers outlive the extractor"),
    );
    assert.deepEqual(await close(expected), []);
  });
}

const runsOn = (simd, threads) => (info) =>
  assert.deepEqual({ simd: info.simd, threads: info.threads, reasons: info.reasons }, { simd, threads, reasons: [] });

hasGoldenFeatures("plain SIMD, one thread", () => sites.plainSimd, { threads: 1 }, undefined, runsOn("simd128", 1));
hasGoldenFeatures("plain SIMD, two threads", () => sites.plainSimd, { threads: 2 }, undefined, runsOn("simd128", 2));
hasGoldenFeatures("relaxed SIMD, one thread", () => site, { threads: 1 }, undefined, runsOn("relaxed-simd", 1));
hasGoldenFeatures("relaxed SIMD, two threads", () => site, { threads: 2 }, undefined, runsOn("relaxed-simd", 2));
hasGoldenFeatures(
  "relaxed SIMD, three threads, in batches",
  () => site,
  { threads: 3 },
  { batchSize: 3 },
  runsOn("relaxed-simd", 3),
);

hasGoldenFeatures(
  "on a page that is not isolated, over two workers",
  () => sites.notIsolated,
  { threads: 2 },
  { batchSize: 1, workers: 2 },
  (info) => {
    assert.deepEqual([info.simd, info.threads, info.workers], ["relaxed-simd", 1, 2]);
    assert.match(info.reasons.join(), /^Threads: this page is not cross-origin isolated/);
  },
);

hasGoldenFeatures(
  "where the threads' script is not served",
  () => sites.withoutThread,
  { threads: 2 },
  undefined,
  (info) => {
    assert.deepEqual([info.simd, info.threads], ["relaxed-simd", 1]);
    assert.match(info.reasons.join(), /^Threads: the threads did not start/);
  },
  /404/,
);

inBrowser(
  "many images at once have the same features, and a bad one does not stop them",
  async ({ load, photo }) => {
    const extractor = await load({ device: "cpu" });
    const photos = await Promise.all(["chelsea.png", "china.jpg", "tiny_3x2.png"].map(photo));
    const truncated = new File([(await photo("astronaut.png")).slice(0, 20_000)], "truncated.png");
    const text = new File(["this is no image"], "text.jpg");
    const features = {};
    const errors = {};
    for await (const { name, feature, error } of extractor.embedMany([
      photos[0],
      truncated,
      photos[1],
      text,
      photos[2],
    ])) {
      if (error) errors[name] = error.kind;
      else features[name] = [...feature];
    }
    return { features, errors };
  },
  ({ features, errors }) => {
    assertGolden(features);
    assert.deepEqual(Object.keys(features), ["chelsea.png", "china.jpg", "tiny_3x2.png"]);
    assert.equal(errors["truncated.png"], "decode");
    assert.ok(["decode", "unsupported"].includes(errors["text.jpg"]), errors["text.jpg"]);
  },
);

inBrowser(
  "an archive does as well as its files, from an address or dropped; twice in a row, too",
  async ({ FeatureExtractor, photo }) => {
    const chelsea = await photo("chelsea.png");
    const features = [];
    const archive = await (await fetch("/model.tar")).blob();
    for (const source of [
      "/model.tar",
      new File([archive], "PP-ShiTuV2_rec_infer.tar"),
      new Uint8Array(await archive.arrayBuffer()),
    ]) {
      const extractor = await FeatureExtractor.load(source, { device: "cpu" });
      features.push([...(await extractor.embed(chelsea)).feature]);
      extractor.dispose();
    }
    return features;
  },
  (features) => features.forEach((feature) => assertGolden({ "chelsea.png": feature })),
);

inBrowser(
  "auto leaves the software adapter alone and says so",
  async ({ load }) => (await load()).info,
  ({ device, reasons }) => {
    assert.equal(device, "cpu");
    assert.match(reasons.join(), /swiftshader.*software/i);
  },
);

inBrowser(
  "pixels of a canvas, a bitmap and an <img> give the feature of their file; so does the page's own thread",
  async ({ load, photo }) => {
    const extractor = await load({ device: "cpu" });
    const file = await photo("chelsea.png");
    const bitmap = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const img = Object.assign(new Image(), { src: "/golden/features/inputs/chelsea.png" });
    await img.decode();
    const features = {};
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (const [name, source] of Object.entries({ bitmap, canvas, pixels, img }))
      features[name] = [...(await extractor.embed(source)).feature];
    const here = await load({ device: "cpu", worker: false });
    features.here = [...(await here.embed(file)).feature];
    return features;
  },
  (features) => Object.values(features).forEach((feature) => assertGolden({ "chelsea.png": feature })),
);

inBrowser(
  "pixels in Display P3 are the colours that they show, not their numbers",
  async ({ load, photo }) => {
    const extractor = await load({ device: "cpu" });
    const bitmap = await createImageBitmap(await photo("chelsea.png"));
    const { width, height } = bitmap;
    const drawn = (colorSpace) => {
      const context = new OffscreenCanvas(width, height).getContext("2d", { colorSpace });
      context.drawImage(bitmap, 0, 0);
      return context;
    };
    const wide = drawn("display-p3");
    const wideData = wide.getImageData(0, 0, width, height);
    const sources = {
      canvas: wide.canvas,
      data: wideData,
      bitmap: await createImageBitmap(wide.canvas),
      numbers: new ImageData(wideData.data, width, height),
    };
    const features = {};
    for (const [name, source] of Object.entries(sources)) features[name] = [...(await extractor.embed(source)).feature];
    const plain = [...(await extractor.embed(drawn("srgb").canvas)).feature];
    return { space: wideData.colorSpace, plain, features };
  },
  ({ space, plain, features: { numbers, ...features } }) => {
    assert.equal(space, "display-p3");
    // features have length 1
    const distance = (a, b) => 1 - a.reduce((sum, value, index) => sum + value * b[index], 0);
    const ofNumbers = distance(numbers, plain);
    assert.ok(ofNumbers > 1e-6, `the space makes no difference to this photo: ${ofNumbers}`);
    for (const [name, feature] of Object.entries(features)) {
      assert.ok(distance(feature, plain) < ofNumbers / 4, `${name}: ${distance(feature, plain)} of ${ofNumbers}`);
    }
  },
);

inBrowser(
  "a region of interest is the same as the image cut to it; one outside the image is refused",
  async ({ load, photo, outcome }) => {
    const extractor = await load({ device: "cpu" });
    const file = await photo("chelsea.png");
    const bitmap = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(100, 120);
    canvas.getContext("2d").drawImage(bitmap, -50, -60);
    const roi = { x: 50, y: 60, width: 100, height: 120 };
    return {
      cut: [...(await extractor.embed(canvas)).feature],
      ofFile: [...(await extractor.embed(file, { roi })).feature],
      ofPixels: [...(await extractor.embed(bitmap, { roi })).feature],
      whole: [...(await extractor.embed(file)).feature],
      outside: await outcome(extractor.embed(file, { roi: { ...roi, x: 5000 } })),
      fractional: await outcome(extractor.embed(file, { roi: { ...roi, x: 0.5 } })),
      negative: await outcome(extractor.embed(file, { roi: { ...roi, y: -1 } })),
      incomplete: await outcome(extractor.embed(file, { roi: { x: 1, y: 1 } })),
    };
  },
  ({ cut, ofFile, ofPixels, whole, ...refused }) => {
    assert.ok(largestDifference(ofFile, cut) < 1e-6);
    assert.ok(largestDifference(ofPixels, cut) < 1e-6);
    assert.ok(largestDifference(whole, cut) > 1e-4, "the region made no difference");
    for (const [name, { kind }] of Object.entries(refused)) assert.deepEqual([name, kind], [name, "usage"]);
  },
);

inBrowser(
  "files that are no such model are refused, and the error says why",
  async ({ FeatureExtractor, file, photo, modelFiles, outcome }) => {
    const [program, parameters, settings] = await modelFiles();
    const clip = "models/PP-ShiTuV2_rec_CLIP_vit_base_infer_pir_graph_only";
    const sources = {
      text: new File(["hello"], "notes.txt"),
      empty: new File([], "model.tar"),
      photo: await photo("chelsea.png"),
      truncated: [program, new File([parameters.slice(0, 1_000_000)], parameters.name), settings],
      incomplete: [program, settings],
      otherWeights: [await file(`${clip}/inference.json`), parameters, await file(`${clip}/inference.yml`)],
      onnx: await file("models/PP-ShiTuV2_rec.onnx"),
    };
    const outcomes = {};
    for (const [name, source] of Object.entries(sources))
      outcomes[name] = await outcome(FeatureExtractor.load(source, { device: "cpu" }));
    return outcomes;
  },
  (outcomes) => {
    const kinds = Object.fromEntries(Object.entries(outcomes).map(([name, { kind }]) => [name, kind]));
    assert.deepEqual(kinds, {
      text: "unsupported",
      empty: "unsupported",
      photo: "unsupported",
      truncated: "model",
      incomplete: "model",
      otherWeights: "model",
      onnx: "unsupported",
    });
    for (const name of ["text", "photo", "onnx"])
      assert.match(outcomes[name].message, /notes\.txt|chelsea\.png|\.onnx/);
    assert.match(outcomes.truncated.message, /inference\.pdiparams/);
    assert.match(outcomes.incomplete.message, /pdiparams/);
    assert.match(outcomes.otherWeights.message, /do not belong together/);
  },
);

inBrowser(
  "an abort ends loading, and the next load works",
  async ({ load, photo, outcome }) => {
    const stages = [];
    const controller = new AbortController();
    const onProgress = ({ stage }) => {
      stages.push(stage);
      if (stage === "compile") controller.abort();
    };
    const aborted = await outcome(load({ device: "cpu", signal: controller.signal, onProgress }));
    const extractor = await load({ device: "cpu" });
    return { aborted, feature: [...(await extractor.embed(await photo("chelsea.png"))).feature] };
  },
  ({ aborted, feature }) => {
    assert.equal(aborted.kind, "cancelled");
    assertGolden({ "chelsea.png": feature });
  },
);
