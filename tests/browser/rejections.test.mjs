/**
 * Promises that fail with no handler. However a load fails, it leaves none, neither in the page nor in the worker.
 *
 * The worker here is the package's own with a listener before it. When the package ends a worker, the test first asks
 * that worker for a rejection of its own: when this one is seen, all earlier ones have been seen, too.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { CORES, HANG_MS, TRAP_WASM, WWW, launch, openPage, serveDouble } from "./harness.mjs";

const MARK = "a rejection of the test's own";

/** Runs in the worker before the package's script. */
const WATCH = `
  const channel = new BroadcastChannel("rejections");
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    channel.postMessage(String(event.reason));
  });
  addEventListener("message", (event) => {
    if (event.data !== ${JSON.stringify(MARK)}) return;
    event.stopImmediatePropagation();
    Promise.reject(event.data);
  });
`;

const script = (text) => (response) => response.writeHead(200, { "content-type": "text/javascript" }).end(text);
const ofEachCore = (folder, name, answer) =>
  Object.fromEntries(CORES.map((core) => [`${folder}/${core}/${name}`, answer]));
const missing = (response) => response.writeHead(404).end();
/** Begins an answer that never ends. */
const hanging = (response) => response.writeHead(200, { "content-type": "text/javascript" }).write(" ");

const ANSWERS = {
  "/empty.html": (response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
  "/image-feature/worker.js": script('import "./watch.js";\nimport "./watched.js";\n'),
  "/image-feature/watch.js": script(WATCH),
  "/image-feature/watched.js": script(readFileSync(join(WWW, "image-feature/worker.js"))),
  "/model.tar": (response) => response.writeHead(200).end("{}"),
  "/no-model": (response) => response.writeHead(200).end("not a model"),
  "/gone-model": missing,
  "/hanging-model": hanging,
  ...ofEachCore("/garbage", "image_feature_bg.wasm", (response) => response.writeHead(200).end("not WebAssembly")),
  ...ofEachCore("/hanging", "image_feature_bg.wasm", (response) =>
    response.writeHead(200).write(TRAP_WASM.subarray(0, 8)),
  ),
};

let browser;
const sites = {};

before(async () => {
  browser = await launch();
  sites.whole = await serveDouble(ANSWERS);
  const glue = (answer) =>
    serveDouble({ ...ANSWERS, ...ofEachCore("/image-feature/wasm", "image_feature.js", answer) });
  sites["slow scripts"] = await glue(hanging);
  sites["no scripts"] = await glue(missing);
});

after(async () => {
  await browser?.close();
  for (const site of Object.values(sites)) await site.close();
});

/** In the browser: loads of each kind, and a watch on rejections. */
async function watch(MARK) {
  const { Dataset, FeatureExtractor, Gallery } = await import("/image-feature/index.js");
  const seen = [];
  let tellFirst;
  const first = new Promise((resolve) => (tellFirst = resolve));
  const wanted = new Map();
  const take = (where, reason) => {
    if (reason === MARK) {
      wanted.get(where)();
    } else {
      seen.push(`${where}: ${reason}`);
      tellFirst("none yet");
    }
  };
  const marked = (where, make) =>
    new Promise((resolve) => {
      wanted.set(where, resolve);
      make();
    });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    take("page", event.reason);
  });
  new BroadcastChannel("rejections").onmessage = ({ data }) => take("worker", data);
  const ends = [];
  const Real = globalThis.Worker;
  globalThis.Worker = class extends Real {
    /** Settles if its script could not be loaded. */
    #dead = new Promise((resolve) => this.addEventListener("error", resolve));
    constructor(address, options) {
      super(globalThis.workerAddress ?? address, options);
    }
    terminate() {
      const alive = marked("worker", () => this.postMessage(MARK));
      ends.push(Promise.race([alive, this.#dead]).then(() => super.terminate()));
    }
  };
  const model = "/model.tar";
  const loads = {
    "a load in a worker": (given) =>
      FeatureExtractor.load(given.model ?? model, { device: "cpu", worker: true, ...given }),
    "a load anywhere": (given) => FeatureExtractor.load(given.model ?? model, { device: "cpu", ...given }),
    "a load on the page's thread": (given) =>
      FeatureExtractor.load(given.model ?? model, { device: "cpu", worker: false, ...given }),
    "a data set": (given) => Dataset.open(new File([], "shop.zip"), given),
    "a data set of nothing": (given) => Dataset.open(null, given),
    "a gallery": (given) => Gallery.fromFile(new File(["{}"], "shop.jsonl"), given),
  };
  return {
    /** The kind of the error that a load fails with, and the rejections without a handler during the load. */
    async failure(what, { workerAddress, abort, ...given }) {
      globalThis.workerAddress = workerAddress;
      const stop = new AbortController();
      // when the first answers have come, and others are on their way
      if (abort) new PerformanceObserver(() => stop.abort()).observe({ type: "resource" });
      const load = loads[what]({ ...given, signal: stop.signal }).then(
        () => "none",
        (error) => error.kind ?? String(error),
      );
      const kind = await Promise.race([load, first]);
      await Promise.all(ends);
      await marked("page", () => void Promise.reject(MARK));
      return { kind, seen };
    },
  };
}

const WAYS = {
  "the model is missing": { kind: "io", model: "/gone-model" },
  "the model is missing, the WebAssembly slow": { kind: "io", model: "/gone-model", wasm: "/hanging" },
  "the model is missing, WebAssembly and scripts slow": {
    kind: "io",
    model: "/gone-model",
    wasm: "/hanging",
    site: "slow scripts",
  },
  "the model is none": { kind: "model", model: "/no-model" },
  "the WebAssembly is missing": { kind: "io", wasm: "/nowhere" },
  "the WebAssembly is none": { kind: "unsupported", wasm: "/garbage" },
  "WebAssembly and model are missing": { kind: "io", wasm: "/nowhere", model: "/gone-model" },
  "the scripts of the WebAssembly are missing": { kind: "internal", site: "no scripts" },
  "it is aborted": { kind: "cancelled", model: "/hanging-model", wasm: "/hanging", abort: true },
  "it is aborted while all is slow": {
    kind: "cancelled",
    model: "/hanging-model",
    wasm: "/hanging",
    site: "slow scripts",
    abort: true,
  },
  "the worker is missing": { kind: "io", workerAddress: "/no-such-worker.js" },
  "the worker is missing and the page's thread computes": { kind: "none", workerAddress: "/no-such-worker.js" },
  "the address of the WebAssembly is none": { kind: "usage", wasm: "http://[" },
  "the worker is missing, the WebAssembly slow": {
    kind: "io",
    workerAddress: "/no-such-worker.js",
    model: "/model.tar",
    wasm: "/hanging",
  },
  "the model has the wrong sha256": { kind: "model", sha256: "0".repeat(64), wasm: "/hanging" },
};

const WITHOUT_MODEL = Object.keys(WAYS).filter((way) => !WAYS[way].model && !WAYS[way].sha256);

const LOADS = {
  "a load in a worker": Object.keys(WAYS).filter((way) => WAYS[way].kind !== "none"),
  "a load anywhere": ["it is aborted", "the worker is missing and the page's thread computes"],
  "a load on the page's thread": Object.keys(WAYS).filter((way) => !WAYS[way].workerAddress),
  "a data set": WITHOUT_MODEL.filter((way) => WAYS[way].kind !== "none"),
  "a data set of nothing": ["the address of the WebAssembly is none"],
  "a gallery": WITHOUT_MODEL.filter((way) => !WAYS[way].workerAddress),
};

for (const [what, ways] of Object.entries(LOADS)) {
  for (const way of ways) {
    const { kind, site = "whole", ...given } = WAYS[way];
    test(`${what}: no rejection is without a handler where ${way}`, { timeout: HANG_MS }, async () => {
      const { page, close } = await openPage(browser, `${sites[site].url}/empty.html`);
      const api = await page.evaluateHandle(watch, MARK);
      const found = await api.evaluate((api, [what, given]) => api.failure(what, given), [what, given]);
      assert.deepEqual(found, { kind, seen: [] });
      assert.deepEqual(await close(/404|ERR_FAILED/), []);
    });
  }
}
