/**
 * The npm package around the WebAssembly: worker, messages, crashes, aborts. The cores are doubles (`double/core.js`).
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HANG_MS, SOFTWARE_WEBGPU, TRAP_WASM, launch, openPage, serveDouble } from "./harness.mjs";

let browser;
let site;
let notIsolated;
let withoutThread;
let endLateModel;

const EMPTY = {
  "/empty.html": (response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
};

before(async () => {
  browser = await launch(SOFTWARE_WEBGPU);
  site = await serveDouble({
    "/slow-model": (response) => {
      response.writeHead(200, { "content-length": 1000 }).write("{");
    },
    // its end comes when the page asks for that
    "/late-model": (response) => {
      const text = '{"tell":"memory"}';
      response.writeHead(200, { "content-length": text.length }).write(text.slice(0, 1));
      endLateModel = () => response.end(text.slice(1));
    },
    "/end-late-model": (response) => {
      endLateModel();
      response.writeHead(204).end();
    },
    "/gone-model": (response) => response.writeHead(404).end(),
    "/no-model": (response) => response.writeHead(200).end("<!DOCTYPE html>"),
    "/model.tar": (response) => response.writeHead(200).end('{"milliseconds":1}'),
    "/only-cpu/cpu/image_feature_bg.wasm": (response) => response.writeHead(200).end(TRAP_WASM),
    "/broken/cpu/image_feature_bg.wasm": (response) => response.writeHead(200).end("not wasm"),
    "/image-feature/models/default.safetensors": (response) => response.writeHead(200).end('{"tell":"memory"}'),
    "/image.bin": (response) => response.writeHead(200).end("an image"),
    ...EMPTY,
  });
  notIsolated = await serveDouble(EMPTY, { isolated: false });
  withoutThread = await serveDouble({
    ...EMPTY,
    "/image-feature/thread.js": (response) => response.writeHead(404).end(),
  });
});

after(async () => {
  await browser?.close();
  for (const server of [site, notIsolated, withoutThread]) await server?.close();
});

/** In the browser: the package, and helpers. */
async function setUp(given) {
  const api = await import("/image-feature/index.js");
  const model = (orders = {}) => new File([JSON.stringify(orders)], "model.tar");
  return {
    ...api,
    given,
    /** The double's channel. */
    double: new BroadcastChannel("double"),
    model,
    image: (text, name = "image.png") => new File([text], name),
    load: (orders, options) => api.FeatureExtractor.load(model(orders), { device: "cpu", ...options }),
    /** The result of a promise: its value, or its error as plain fields, or "hangs" if it does not settle. */
    outcome: (promise) =>
      Promise.race([
        promise.then(
          (value) => ({ value }),
          (error) => ({
            kind: error.kind,
            message: error.message,
            ours: error instanceof api.ImageFeatureError,
            cause: String(error.cause),
          }),
        ),
        new Promise((resolve) => setTimeout(resolve, 60_000, "hangs")),
      ]),
    async collect(iterable) {
      const results = [];
      for await (const { name, feature, error } of iterable)
        results.push(error ? `${name}: ${error.kind}` : `${name}: ${feature.length}`);
      return results;
    },
  };
}

/**
 * Runs `body` on an empty page with the result of `setUp`. Fails if the page has complaints.
 *
 * @param {string} name
 * @param {(api: any) => unknown} body runs in the browser
 * @param {(result: any) => void} check
 * @param {{ expected?: RegExp, given?: unknown }} [options]
 */
function inBrowser(name, body, check, { expected, given, on = () => site } = {}) {
  test(name, { timeout: HANG_MS }, async () => {
    const { page, close } = await openPage(browser, `${on().url}/empty.html`);
    check(await page.evaluate(body, await page.evaluateHandle(setUp, given)));
    assert.deepEqual(await close(expected), []);
  });
}

inBrowser(
  "a feature comes back, with what was loaded",
  async ({ load, image }) => {
    const extractor = await load();
    const { feature, decoder, milliseconds } = await extractor.embed(image("an image"));
    return {
      length: feature.length,
      norm: Math.hypot(...feature),
      decoder,
      milliseconds,
      info: extractor.info,
      cores: navigator.hardwareConcurrency,
    };
  },
  ({ length, norm, decoder, milliseconds, info, cores }) => {
    assert.equal(length, 512);
    assert.ok(Math.abs(norm - 1) < 1e-6, String(norm));
    assert.equal(decoder, "image-feature");
    assert.ok(milliseconds.preprocess >= 0 && milliseconds.network >= 0);
    assert.deepEqual(info, {
      model: "double",
      dimension: 512,
      device: "cpu",
      adapter: null,
      threads: Math.min(cores, 4),
      simd: "relaxed-simd",
      dtype: "f32",
      reasons: [],
    });
  },
);

inBrowser(
  "every kind of source gives a feature, and pixels from anywhere the same one",
  async ({ load, image }) => {
    const extractor = await load();
    const pixels = new ImageData(new Uint8ClampedArray([10, 20, 30, 255, 40, 50, 60, 255]), 2, 1);
    const canvas = Object.assign(document.createElement("canvas"), { width: 2, height: 1 });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const offscreen = new OffscreenCanvas(2, 1);
    offscreen.getContext("2d").putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve));
    const img = Object.assign(new Image(), { src: URL.createObjectURL(blob) });
    const svg = Object.assign(new Image(), {
      src: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'/>",
    });
    await Promise.all([img.decode(), svg.decode()]);
    const bitmap = await createImageBitmap(pixels);
    const frame = new VideoFrame(bitmap, { timestamp: 0 });
    const sources = {
      file: image("abc"),
      blob: new Blob(["abc"]),
      string: "/image.bin",
      url: new URL("/image.bin", location.href),
      pixels,
      canvas,
      offscreen,
      bitmap,
      frame,
      img,
      svg,
    };
    const decoders = {};
    const features = {};
    for (const [name, source] of Object.entries(sources)) {
      const { feature, decoder } = await extractor.embed(source);
      decoders[name] = decoder;
      features[name] = feature[0];
    }
    return { decoders, features, bitmapWidth: bitmap.width, pixelsLeft: pixels.data.length };
  },
  ({ decoders, features, bitmapWidth, pixelsLeft }) => {
    const own = ["file", "blob", "string", "url", "img"];
    for (const [name, decoder] of Object.entries(decoders))
      assert.equal(decoder, own.includes(name) ? "image-feature" : "browser", name);
    for (const name of ["canvas", "offscreen", "bitmap", "frame"]) assert.equal(features[name], features.pixels, name);
    assert.equal(features.blob, features.file);
    assert.equal(bitmapWidth, 2, "the caller's bitmap was taken away");
    assert.equal(pixelsLeft, 8, "the caller's pixels were taken away");
  },
);

inBrowser(
  "what the core does not read the browser may; what neither reads keeps the core's error",
  async ({ load, image, outcome }) => {
    const extractor = await load();
    // the double refuses GIFs
    const gif = Uint8Array.from(atob("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), (character) =>
      character.charCodeAt(0),
    );
    return {
      gif: (await extractor.embed(new Blob([gif]))).decoder,
      neither: await outcome(extractor.embed(image("GIF but not really"))),
      damaged: await outcome(extractor.embed(image("damaged"))),
    };
  },
  ({ gif, neither, damaged }) => {
    assert.equal(gif, "browser");
    assert.deepEqual([neither.kind, neither.message], ["unsupported", "not an image format that is read"]);
    assert.deepEqual([damaged.kind, damaged.message, damaged.ours], ["decode", "the image is damaged", true]);
  },
);

inBrowser(
  "damage of an image is told; the orientation goes to the core, and a wrong one is refused",
  async ({ load, image, outcome }) => {
    const [usual, exif] = [await load(), await load({}, { orientation: "exif" })];
    const many = [];
    for await (const { name, damaged } of exif.embedMany([image("whole", "a.jpg"), image("cut", "b.jpg")]))
      many.push([name, damaged]);
    return {
      whole: "damaged" in (await usual.embed(image("whole"))),
      cut: (await usual.embed(image("cut"))).damaged,
      many,
      wrong: await outcome(load({}, { orientation: "up" })),
    };
  },
  ({ whole, cut, many, wrong }) => {
    assert.equal(whole, false);
    assert.equal(cut, "the file ends early (opencv)");
    assert.deepEqual(many, [
      ["a.jpg", undefined],
      ["b.jpg", "the file ends early (exif)"],
    ]);
    assert.deepEqual([wrong.kind, wrong.ours], ["usage", true]);
  },
);

inBrowser(
  "without a model, and for `default`, the one that comes with the package is fetched",
  async ({ FeatureExtractor }) => {
    const models = [];
    for (const extractor of [
      await FeatureExtractor.load(),
      await FeatureExtractor.load("default", { device: "cpu", worker: false }),
    ]) {
      models.push(extractor.info.model);
      extractor.dispose();
    }
    const fetched = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
    return { models, fetched: fetched.filter((path) => path.includes("/models/")) };
  },
  ({ models, fetched }) => {
    for (const model of models) assert.match(model, /^warmed /);
    assert.deepEqual([...new Set(fetched)], ["/image-feature/models/default.safetensors"]);
  },
);

inBrowser(
  "wrong arguments are told apart from wrong files",
  async ({ FeatureExtractor, load, model, image, outcome }) => {
    const extractor = await load();
    const canvas = document.createElement("canvas");
    canvas.width = 0;
    return {
      named: await outcome(FeatureExtractor.load("PP-ShiTuV2_rec")),
      device: await outcome(load({}, { device: "cuda" })),
      dtype: await outcome(load({}, { dtype: "i4" })),
      otherDtype: await outcome(load({ dtype: "f32" }, { dtype: "i8" })),
      threads: await outcome(load({}, { threads: 0 })),
      workers: await outcome(extractor.embedMany([], { workers: 1.5 }).next()),
      cache: await outcome(load({}, { cache: "forever" })),
      sha256: await outcome(load({}, { sha256: "abc" })),
      wrongSha256: await outcome(load({}, { sha256: "0".repeat(64) })),
      severalSha256: await outcome(FeatureExtractor.load([model(), model()], { sha256: "0".repeat(64) })),
      nothing: await outcome(FeatureExtractor.load(null)),
      noFiles: await outcome(FeatureExtractor.load([])),
      address: await outcome(FeatureExtractor.load("http://")),
      wrongFile: await outcome(FeatureExtractor.load(image("hello", "notes.txt"), { device: "cpu" })),
      wrongAddress: await outcome(FeatureExtractor.load("/no-model", { device: "cpu" })),
      missing: await outcome(FeatureExtractor.load("/gone-model", { device: "cpu" })),
      noImage: await outcome(extractor.embed(42)),
      emptyCanvas: await outcome(extractor.embed(canvas)),
      noVideo: await outcome(extractor.embed(document.createElement("video"))),
      noAddress: await outcome(extractor.embed(new Image())),
      missingImage: await outcome(extractor.embed("/gone-model")),
      batchSize: await outcome(extractor.embedMany([], { batchSize: 0 }).next()),
      notMany: await outcome(extractor.embedMany(image("one")).next()),
    };
  },
  (outcomes) => {
    const kinds = Object.fromEntries(Object.entries(outcomes).map(([name, { kind }]) => [name, kind]));
    assert.deepEqual(kinds, {
      named: "unsupported",
      device: "usage",
      dtype: "usage",
      otherDtype: "unsupported",
      threads: "usage",
      workers: "usage",
      cache: "usage",
      sha256: "usage",
      wrongSha256: "model",
      severalSha256: "usage",
      nothing: "usage",
      noFiles: "usage",
      address: "usage",
      wrongFile: "model",
      wrongAddress: "model",
      missing: "io",
      noImage: "usage",
      emptyCanvas: "usage",
      noVideo: "usage",
      noAddress: "usage",
      missingImage: "io",
      batchSize: "usage",
      notMany: "usage",
    });
    for (const [name, outcome] of Object.entries(outcomes)) assert.ok(outcome.ours, `${name} is an ImageFeatureError`);
    assert.match(outcomes.named.message, /PP-ShiTuV2_rec_infer\.tar/);
    assert.match(outcomes.wrongFile.message, /notes\.txt/);
    assert.match(outcomes.wrongAddress.message, /^http:\/\/.*\/no-model: /);
    assert.match(outcomes.missing.message, /404/);
  },
  { expected: /404/ },
);

inBrowser(
  "the sha256 of the right file is accepted, from bytes and from an address",
  async ({ FeatureExtractor }) => {
    const bytes = new TextEncoder().encode('{"milliseconds":1}');
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = [...digest]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
    const models = [];
    for (const source of [bytes, bytes.buffer, "/model.tar", new URL("model.tar", location.href)]) {
      models.push((await FeatureExtractor.load(source, { device: "cpu", sha256, cache: "none" })).info.model);
    }
    return { models, left: bytes.length };
  },
  ({ models, left }) => {
    assert.deepEqual(models, ["double", "double", "double", "double"]);
    assert.equal(left, 18, "the caller's bytes were taken away");
  },
);

inBrowser(
  "the WebAssembly gets warm while a model is on its way, and not where there is nothing to wait for",
  async ({ FeatureExtractor, load, double }) => {
    const late = async (until, options) => {
      double.onmessage = ({ data }) => data === until && fetch("/end-late-model");
      return (await FeatureExtractor.load("/late-model", { device: "cpu", ...options })).info.model;
    };
    return [
      await late("warmed", {}),
      await late("started", { worker: false }),
      (await load({ tell: "memory" })).info.model,
    ];
  },
  (models) => assert.deepEqual(models, ["warmed 51", "warmed 0", "warmed 0"]),
);

inBrowser(
  "progress never falls and ends at 1",
  async ({ FeatureExtractor }) => {
    const events = [];
    await FeatureExtractor.load("/model.tar", { device: "auto", onProgress: (event) => events.push(event) });
    return events;
  },
  (events) => {
    const fractions = events.map(({ fraction }) => fraction);
    assert.ok(
      fractions.every((fraction, index) => index === 0 || fraction >= fractions[index - 1]),
      String(fractions),
    );
    assert.equal(fractions.at(-1), 1);
    assert.deepEqual(
      new Set(events.map(({ stage }) => stage)),
      new Set(["download", "verify", "compile", "upload", "warmup"]),
    );
  },
);

inBrowser(
  "many images come in order; a bad one does not stop the rest",
  async ({ load, image, collect }) => {
    const extractor = await load({ milliseconds: 5 });
    const events = [];
    const items = Array.from({ length: 20 }, (_, index) =>
      image(index % 7 === 3 ? "damaged" : `image ${index}`, `${index}.png`),
    );
    items[5] = { source: image("other"), name: "named" };
    items[6] = "/image.bin";
    items[8] = 42;
    const results = await collect(
      extractor.embedMany(items, { batchSize: 4, onProgress: (event) => events.push(event) }),
    );
    const alone = await extractor.embed(items[0]);
    const [{ feature }] = await Array.fromAsync(extractor.embedMany([items[0]]));
    return { results, events, same: feature.every((value, index) => value === alone.feature[index]) };
  },
  ({ results, events, same }) => {
    const expected = Array.from({ length: 20 }, (_, index) =>
      index % 7 === 3 ? `${index}.png: decode` : `${index}.png: 512`,
    );
    expected[5] = "named: 512";
    expected[6] = "/image.bin: 512";
    expected[8] = "#8: usage";
    assert.deepEqual(results, expected);
    assert.ok(same);
    assert.deepEqual(events.at(-1), { stage: "embed", loaded: 20, total: 20, fraction: 1 });
    assert.ok(events.every(({ fraction }, index) => index === 0 || fraction >= events[index - 1].fraction));
  },
);

inBrowser(
  "a source that waits for each result gets it, and a fast one is not read far ahead",
  async ({ load, image, outcome }) => {
    const extractor = await load({ milliseconds: 2 });
    let release = () => {};
    const lockStep = async function* () {
      for (let index = 0; index < 4; index++) {
        yield image(`frame ${index}`, `${index}`);
        await new Promise((resolve) => (release = resolve));
      }
    };
    const names = [];
    const stepped = (async () => {
      for await (const { name } of extractor.embedMany(lockStep(), { batchSize: 8 })) {
        names.push(name);
        setTimeout(() => release(), 5);
      }
      return names;
    })();
    let read = 0;
    let closed = false;
    const endless = (function* () {
      try {
        for (;;) yield image(`image ${read++}`);
      } finally {
        closed = true;
      }
    })();
    const stepResult = await outcome(stepped);
    let taken = 0;
    for await (const _ of extractor.embedMany(endless, { batchSize: 4 })) if (++taken === 10) break;
    return { stepResult, read, closed };
  },
  ({ stepResult, read, closed }) => {
    assert.deepEqual(stepResult.value, ["0", "1", "2", "3"]);
    assert.ok(read <= 10 + 3 * 4, `${read} were read to use 10`);
    assert.ok(closed, "the source was not closed");
  },
);

inBrowser(
  "an error of the source itself ends the loop, after the results before it",
  async ({ load, image }) => {
    const extractor = await load();
    const names = [];
    try {
      const failing = async function* () {
        yield image("one", "one");
        yield image("two", "two");
        throw new TypeError("the camera went away");
      };
      for await (const { name } of extractor.embedMany(failing())) names.push(name);
    } catch (error) {
      names.push(String(error));
    }
    return names;
  },
  (names) => assert.deepEqual(names, ["one", "two", "TypeError: the camera went away"]),
);

inBrowser(
  "an abort rejects at once, wherever it comes",
  async ({ FeatureExtractor, load, image, outcome, collect, double }) => {
    const aborted = AbortSignal.abort("no time");
    const extractor = await load({ wait: true });
    const soon = () => AbortSignal.timeout(50);
    /** Aborts while the network runs. The network then waits for the page's "go on". */
    const whenRunning = () => {
      const stop = new AbortController();
      double.onmessage = ({ data }) => data === "running" && stop.abort();
      return stop.signal;
    };
    const thenGoOn = async (promise) => {
      const result = await promise;
      double.postMessage("go on");
      return result;
    };
    const outcomes = {
      before: await outcome(load({}, { signal: aborted })),
      download: await outcome(FeatureExtractor.load("/slow-model", { device: "cpu", signal: soon() })),
      embedBefore: await outcome(extractor.embed(image("x"), { signal: aborted })),
      // rejected while the network still runs: it continues only afterwards
      embed: await thenGoOn(outcome(extractor.embed(image("x"), { signal: whenRunning() }))),
      many: await thenGoOn(outcome(collect(extractor.embedMany([image("x"), image("y")], { signal: whenRunning() })))),
      source: await outcome(
        collect(
          extractor.embedMany(
            (async function* () {
              await new Promise(() => {});
            })(),
            { signal: soon() },
          ),
        ),
      ),
    };
    const letRun = setInterval(() => double.postMessage("go on"), 20);
    const { feature } = await extractor.embed(image("x"));
    clearInterval(letRun);
    return { outcomes, afterwards: feature.length };
  },
  ({ outcomes, afterwards }) => {
    for (const [name, { kind, ours }] of Object.entries(outcomes))
      assert.deepEqual([name, kind, ours], [name, "cancelled", true]);
    assert.equal(outcomes.before.cause, "no time");
    assert.equal(afterwards, 512);
  },
);

inBrowser(
  "disposing rejects what waits and what comes later, and can be repeated",
  async ({ load, image, outcome, collect, double }) => {
    // the network waits for ever: only `dispose` can end the calls
    const extractor = await load({ wait: true });
    const running = new Promise((resolve) => (double.onmessage = resolve));
    const waiting = outcome(extractor.embed(image("x")));
    const many = outcome(collect(extractor.embedMany([image("x")])));
    await running;
    extractor.dispose();
    extractor.dispose();
    extractor[Symbol.dispose]?.();
    return {
      waiting: await waiting,
      many: await many,
      later: await outcome(extractor.embed(image("x"))),
      info: extractor.info.model,
    };
  },
  ({ waiting, many, later, info }) => {
    for (const { kind, message } of [waiting, many, later]) {
      assert.equal(kind, "usage");
      assert.match(message, /disposed/);
    }
    assert.equal(info, "double");
  },
);

inBrowser(
  "a model is identified, also after the extractor that made a feature was disposed of",
  async ({ load, image, outcome, double }) => {
    const { makerOf } = await import("/image-feature/makers.js");
    const told = {};
    for (const worker of [true, false]) {
      const [one, two] = [
        await load({ hash: "1".repeat(64) }, { worker }),
        await load({ hash: "2".repeat(64) }, { worker }),
      ];
      const { feature } = await one.embed(image("x"));
      let among;
      for await (const named of one.embedMany([image("y")])) among = named.feature;
      const { feature: other } = await two.embed(image("x"));
      one.dispose();
      told[worker] = {
        one: (await makerOf([feature, among, [1, 2]])).hash,
        two: (await two.modelId()).hash,
        both: await outcome(makerOf([feature, other])),
        copy: await makerOf([feature.slice()]),
        later: await outcome(one.embed(image("x"))),
      };
      two.dispose();
    }
    // calls under way end at once, though the model is still to be identified
    const extractor = await load();
    await extractor.embed(image("x"));
    const running = new Promise((resolve) => (double.onmessage = ({ data }) => data === "running" && resolve()));
    const waiting = outcome(extractor.embed(image("slow")));
    await running;
    extractor.dispose();
    return { told, waiting: await waiting, id: await extractor.modelId() };
  },
  ({ told, waiting, id }) => {
    for (const { one, two, both, copy, later } of Object.values(told)) {
      assert.deepEqual([one, two, copy], ["1".repeat(64), "2".repeat(64), undefined]);
      assert.equal(both.kind, "usage");
      assert.match(both.message, /two models/);
      assert.match(later.message, /disposed/);
    }
    assert.match(waiting.message, /disposed/);
    assert.deepEqual(id, { name: "double", hash: "d0".repeat(32) });
  },
);

inBrowser(
  "calls at the same time all succeed, on one extractor and on two",
  async ({ load, image }) => {
    const [one, two] = await Promise.all([load({ milliseconds: 5 }), load({ milliseconds: 5 })]);
    const results = await Promise.all(
      [one, one, one, two, two].map((extractor, index) => extractor.embed(image(`image ${index % 3}`))),
    );
    return results.map(({ feature }) => feature[3]);
  },
  (values) => assert.deepEqual(values.slice(3), values.slice(0, 2)),
);

inBrowser(
  "after a trap the next call gets a fresh worker",
  async ({ load, image, outcome }) => {
    const extractor = await load();
    const beside = outcome(extractor.embed(image("fine")));
    const trapped = await outcome(extractor.embed(image("trap")));
    await beside;
    const again = await Promise.all([
      outcome(extractor.embed(image("fine"))),
      outcome(extractor.embed(image("fine too"))),
    ]);
    return { trapped, again: again.map(({ value }) => value?.feature.length) };
  },
  ({ trapped, again }) => {
    assert.deepEqual([trapped.kind, trapped.ours], ["internal", true]);
    assert.match(trapped.message, /WebAssembly core stopped/);
    assert.deepEqual(again, [512, 512]);
  },
);

inBrowser(
  "a worker that ends without a word fails its call, and the next call gets a fresh one",
  async ({ load, image, outcome, collect }) => {
    const extractor = await load();
    const lost = await outcome(extractor.embed(image("vanish")));
    const again = await outcome(extractor.embed(image("fine")));
    const images = ["a", "vanish", "b"].map((text) => image(text, text));
    const many = await collect(extractor.embedMany(images, { batchSize: 4 }));
    await extractor.modelId();
    extractor.dispose();
    const left = async () => {
      const { held, pending } = await navigator.locks.query();
      return held.length + pending.length;
    };
    for (let wait = 0; wait < 100 && (await left()) > 0; wait++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    return { lost, again: again.value?.feature.length, many, locks: await left() };
  },
  ({ lost, again, many, locks }) => {
    assert.deepEqual([lost.kind, lost.ours], ["internal", true]);
    assert.match(lost.message, /the worker was ended/);
    assert.equal(again, 512);
    assert.deepEqual(many, ["a: 512", "vanish: internal", "b: 512"]);
    assert.equal(locks, 0, "locks are left");
  },
);

inBrowser(
  "an image that traps costs its batch nothing",
  async ({ load, image, collect }) => {
    const extractor = await load();
    const images = Array.from({ length: 9 }, (_, index) => image(index === 4 ? "trap" : `image ${index}`, `${index}`));
    return collect(extractor.embedMany(images, { batchSize: 8 }));
  },
  (results) =>
    assert.deepEqual(results, [
      "0: 512",
      "1: 512",
      "2: 512",
      "3: 512",
      "4: internal",
      "5: 512",
      "6: 512",
      "7: 512",
      "8: 512",
    ]),
);

inBrowser(
  "on the page's own thread it is the same, but a trap is final",
  async ({ load, image, outcome, collect }) => {
    const extractor = await load({}, { worker: false });
    const { feature } = await extractor.embed(image("fine"));
    const many = await collect(extractor.embedMany([image("a", "a"), image("damaged", "b")]));
    const trapped = await outcome(extractor.embed(image("trap")));
    const later = await outcome(extractor.embed(image("fine")));
    extractor.dispose();
    return { length: feature.length, many, trapped, later };
  },
  ({ length, many, trapped, later }) => {
    assert.equal(length, 512);
    assert.deepEqual(many, ["a: 512", "b: decode"]);
    assert.equal(trapped.kind, "internal");
    assert.deepEqual([later.kind, later.message], [trapped.kind, trapped.message]);
  },
);

inBrowser(
  "auto leaves a software adapter alone; webgpu takes it (with Burn)",
  async ({ load }) => {
    const requested = () => performance.getEntriesByType("resource").some(({ name }) => name.includes("/gpu/"));
    const auto = await load({}, { device: "auto", backend: "burn", worker: false });
    const autoFetchedGpu = requested();
    const webgpu = await load({}, { device: "webgpu", backend: "burn", worker: false });
    return { auto: auto.info, autoFetchedGpu, webgpu: webgpu.info, webgpuFetchedGpu: requested() };
  },
  ({ auto, autoFetchedGpu, webgpu, webgpuFetchedGpu }) => {
    assert.equal(auto.device, "cpu");
    assert.deepEqual(auto.reasons.filter((reason) => !reason.startsWith("Threads:")).length, 1);
    assert.match(auto.reasons[0], /WebGPU: the only WebGPU adapter \(.*swiftshader.*\) computes in software/i);
    assert.equal(autoFetchedGpu, false, "the GPU's WebAssembly was fetched for nothing");
    assert.equal(webgpu.device, "webgpu");
    assert.match(webgpu.adapter, /swiftshader/i);
    assert.deepEqual(webgpu.reasons, []);
    assert.ok(webgpuFetchedGpu);
  },
);

const GPU_FAULTS = { refuse: /self-test failed/, trap: /core stopped/, "trap later": /core stopped/ };

for (const [gpu, reason] of Object.entries(GPU_FAULTS)) {
  inBrowser(
    `a GPU that fails (${gpu}) is left for the CPU, or reported where it was asked for`,
    async ({ load, image, outcome, given: gpu }) => {
      const asked = await outcome(load({ gpu }, { device: "webgpu", backend: "burn", worker: false }));
      // looks like a hardware adapter
      navigator.gpu.requestAdapter = async () => ({ info: { vendor: "acme", architecture: "fast" } });
      const extractor = await load({ gpu }, { device: "auto", backend: "burn", worker: false });
      const { feature } = await extractor.embed(image("x"));
      return { asked, info: extractor.info, length: feature.length };
    },
    ({ asked, info, length }) => {
      assert.equal(asked.kind, "device");
      assert.match(asked.message, reason);
      assert.equal(info.device, "cpu");
      assert.match(info.reasons.join(), reason);
      assert.equal(length, 512);
    },
    { given: gpu },
  );
}

inBrowser(
  "no adapter, an adapter that throws, one that is hardware",
  async ({ load, outcome }) => {
    const results = {};
    const adapters = {
      none: async () => null,
      throws: async () => {
        throw new Error("blocked by policy");
      },
      hardware: async () => ({ info: { vendor: "acme", architecture: "fast", description: "" } }),
    };
    for (const [name, requestAdapter] of Object.entries(adapters)) {
      navigator.gpu.requestAdapter = requestAdapter;
      const { device, adapter, reasons } = (await load({}, { device: "auto", backend: "burn", worker: false })).info;
      results[name] = { device, adapter, reason: reasons.join() };
    }
    navigator.gpu.requestAdapter = adapters.none;
    results.asked = await outcome(load({}, { device: "webgpu", backend: "burn", worker: false }));
    return results;
  },
  ({ none, throws, hardware, asked }) => {
    assert.equal(none.device, "cpu");
    assert.match(none.reason, /no WebGPU adapter/);
    assert.match(throws.reason, /blocked by policy/);
    assert.deepEqual(hardware, { device: "webgpu", adapter: "acme fast", reason: "" });
    assert.equal(asked.kind, "device");
    assert.match(asked.message, /no WebGPU adapter/);
  },
);

inBrowser(
  "a GPU computes in f32, and is compared with that, whatever the CPU is asked for",
  async ({ load }) => {
    navigator.gpu.requestAdapter = async () => ({ info: { vendor: "acme", architecture: "fast", description: "" } });
    return (await load({}, { device: "auto", backend: "burn", dtype: "i8", worker: false })).info;
  },
  ({ device, dtype, reasons }) =>
    assert.deepEqual({ device, dtype, reasons }, { device: "webgpu", dtype: "f32", reasons: [] }),
);

inBrowser(
  "a device lost while running is reported, and the next call starts afresh",
  async ({ load, image, outcome }) => {
    const extractor = await load({ lost: true });
    return [await outcome(extractor.embed(image("x"))), await outcome(extractor.embed(image("x")))];
  },
  (outcomes) =>
    outcomes.forEach(({ kind, message }) => assert.deepEqual([kind, message], ["device", "the device was lost"])),
);

for (const worker of [true, false]) {
  inBrowser(
    `a trap in a callback ends the call that waits for it (worker: ${worker})`,
    async ({ load, image, outcome, given: worker }) =>
      outcome((await load({ run: "trap later" }, { worker })).embed(image("x"))),
    ({ kind, message }) => {
      assert.equal(kind, "internal");
      assert.match(message, /core stopped/);
    },
    { given: worker },
  );
}

inBrowser(
  "WebAssembly that is none, or not there, is named",
  async ({ load, outcome }) => [
    await outcome(load({}, { wasm: "/broken" })),
    await outcome(load({}, { wasm: new URL("/nowhere/", location.href) })),
  ],
  ([broken, missing]) => {
    assert.equal(broken.kind, "unsupported");
    assert.match(broken.message, /broken\/cpu\/image_feature_bg\.wasm/);
    assert.equal(missing.kind, "io");
    assert.match(missing.message, /nowhere\/cpu\/image_feature_bg\.wasm.*404/);
  },
  { expected: /404/ },
);

inBrowser(
  "where no worker can be loaded the page's thread computes, and it is said why; a worker that was asked for is an error",
  async ({ load, image, outcome }) => {
    const Real = globalThis.Worker;
    globalThis.Worker = class extends Real {
      constructor(_, options) {
        super("/no-such-worker.js", options);
      }
    };
    const extractor = await load();
    const { feature } = await extractor.embed(image("x"));
    const many = await Array.fromAsync(extractor.embedMany([image("a"), image("b")], { batchSize: 1, workers: 2 }));
    return {
      reasons: extractor.info.reasons,
      lengths: [feature.length, ...many.map(({ feature }) => feature.length)],
      asked: await outcome(load({}, { worker: true })),
    };
  },
  ({ reasons, lengths, asked }) => {
    assert.match(reasons[0], /^Worker: the worker's files could not be loaded; .*worker-src/);
    assert.deepEqual(lengths, [512, 512, 512]);
    assert.equal(asked.kind, "io");
    assert.match(asked.message, /worker/);
  },
  { expected: /404/ },
);

inBrowser(
  "a browser without SIMD is told so",
  async ({ load, outcome }) => {
    WebAssembly.validate = () => false;
    return outcome(load({}, { worker: false }));
  },
  ({ kind, message }) => {
    assert.equal(kind, "unsupported");
    assert.match(message, /SIMD/);
  },
);

inBrowser(
  "on an isolated page so many threads compute as are asked for",
  async ({ load, image }) => {
    const three = await load({}, { threads: 3 });
    const one = await load({}, { threads: 1 });
    const features = await Promise.all([three, one].map((extractor) => extractor.embed(image("x"))));
    const i8 = await load({}, { dtype: "i8" });
    return {
      infos: [three.info, one.info],
      same: features[0].feature[5] === features[1].feature[5],
      dtype: i8.info.dtype,
    };
  },
  ({ infos, same, dtype }) => {
    assert.deepEqual(
      infos.map(({ threads, simd, reasons }) => ({ threads, simd, reasons })),
      [
        { threads: 3, simd: "relaxed-simd", reasons: [] },
        { threads: 1, simd: "relaxed-simd", reasons: [] },
      ],
    );
    assert.ok(same);
    assert.equal(dtype, "i8");
  },
);

inBrowser(
  "a thread that traps ends the call that waits for it, and the next call gets fresh threads",
  async ({ load, image, outcome }) => {
    const extractor = await load({}, { threads: 3 });
    const trapped = await outcome(extractor.embed(image("thread trap")));
    return { trapped, again: await outcome(extractor.embed(image("fine"))) };
  },
  ({ trapped, again }) => {
    assert.deepEqual([trapped.kind, trapped.ours], ["internal", true]);
    assert.match(trapped.message, /a thread of the WebAssembly core stopped/);
    assert.equal(again.value?.decoder, "image-feature");
  },
);

inBrowser(
  "where the page is not isolated one thread computes, and it is said why; asked for one, nothing is",
  async ({ load }) => [(await load({}, { threads: 2 })).info, (await load({}, { threads: 1 })).info],
  ([asked, one]) => {
    assert.equal(asked.threads, 1);
    assert.equal(asked.reasons.length, 1);
    assert.match(asked.reasons[0], /^Threads: this page is not cross-origin isolated; .*Cross-Origin-Opener-Policy/);
    assert.deepEqual(one.reasons, []);
  },
  { on: () => notIsolated },
);

inBrowser(
  "a thread that does not start leaves one thread, and the reason",
  async ({ load, image }) => {
    const extractor = await load({}, { threads: 2 });
    return { info: extractor.info, length: (await extractor.embed(image("x"))).feature.length };
  },
  ({ info, length }) => {
    assert.equal(info.threads, 1);
    assert.equal(info.simd, "relaxed-simd");
    assert.match(info.reasons.join(), /^Threads: the threads did not start: .*could not be loaded/);
    assert.equal(length, 512);
  },
  { on: () => withoutThread, expected: /404/ },
);

inBrowser(
  "files of a faster WebAssembly that are not served are no obstacle",
  async ({ load }) => (await load({}, { threads: 2, wasm: "/only-cpu/" })).info,
  ({ threads, simd, reasons }) => {
    assert.equal(threads, 1);
    // the double's scripts come from beside the package, as those of a real site do
    assert.equal(simd, "simd128");
    assert.match(reasons[0], /^Threads: .*only-cpu\/cpu-threads-relaxed\/image_feature_bg\.wasm.*404/);
    assert.match(reasons[1], /^Relaxed SIMD: .*only-cpu\/cpu-relaxed\/image_feature_bg\.wasm.*404/);
  },
  { expected: /404/ },
);

inBrowser(
  "the page's own thread computes alone",
  async ({ load }) => (await load({}, { threads: 2, worker: false })).info,
  ({ threads, reasons }) => {
    assert.equal(threads, 1);
    assert.match(reasons.join(), /^Threads: the page's own thread/);
  },
);

inBrowser(
  "without threads many images are spread over workers; a slow one holds up only itself, and the order stays",
  async ({ load, image, double }) => {
    const Real = globalThis.Worker;
    const ended = [];
    let started = 0;
    globalThis.Worker = class extends Real {
      constructor(...given) {
        super(...given);
        started++;
      }
      terminate() {
        ended.push(this);
        super.terminate();
      }
    };
    const extractor = await load({ milliseconds: 20 });
    const few = (
      await Array.fromAsync(extractor.embedMany([image("a"), image("b"), image("c")], { batchSize: 4, workers: 3 }))
    ).length;
    const startedForFew = started;
    let read = 0;
    let slowRuns = false;
    // this many can only be taken if other workers compute at the same time
    const endSlow = () => slowRuns && read >= 40 && double.postMessage("go on");
    double.onmessage = ({ data }) => {
      slowRuns ||= data === "running";
      endSlow();
    };
    const source = (function* () {
      while (read < 80) {
        endSlow();
        yield image(read === 0 ? "slow" : `image ${read}`, `${read++}`);
      }
    })();
    const names = [];
    let readAtFirst;
    for await (const { name, feature } of extractor.embedMany(source, { batchSize: 4, workers: 3 })) {
      readAtFirst ??= read;
      names.push(feature.length === 512 ? name : "no feature");
    }
    extractor.dispose();
    // the last answer of the first worker
    await extractor.modelId();
    return { few, startedForFew, started, ended: ended.length, readAtFirst, names };
  },
  ({ few, startedForFew, started, ended, readAtFirst, names }) => {
    assert.equal(few, 3);
    assert.equal(startedForFew, 1, "a worker was started for three images");
    assert.equal(started, 3);
    assert.equal(ended, 3, "a worker outlives the extractor");
    assert.ok(readAtFirst > 20, `only ${readAtFirst} images were taken while the first was computed`);
    assert.deepEqual(
      names,
      Array.from({ length: 80 }, (_, index) => `${index}`),
    );
  },
  { on: () => notIsolated },
);
