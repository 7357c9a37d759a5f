/**
 * The store of downloaded models: they are kept, go on where they broke off, and are there without a network. The cores
 * are doubles; the server here breaks off, changes its file, and counts.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, test } from "node:test";

import { HANG_MS, eventually, launch, openPage, serveDouble } from "./harness.mjs";

/** A model of the double: JSON. Its length makes many packets. */
const modelOf = (letter) => Buffer.from(JSON.stringify({ fill: letter.repeat(3_000_000) }));
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const BROKEN_AT = 1_500_000;

let browser;
let site;
/** What the server does, and what it was asked. */
const atFirst = () => ({
  model: modelOf("a"),
  tag: '"a"',
  breaks: 0,
  cut: false,
  holds: false,
  next: {},
  asked: [],
  waiting: undefined,
});
const server = atFirst();

/** Answers with the model, or the rest of it. */
async function answer(response) {
  const { range, "if-range": ifRange } = response.req.headers;
  if (server.cut) return response.destroy();
  server.asked.push({ range, ifRange });
  await server.waiting;
  const isSame = range && (ifRange === undefined || ifRange === server.tag);
  const first = isSame ? Number(/^bytes=(\d+)-$/.exec(range)[1]) : 0;
  const rest = server.model.subarray(first);
  response.writeHead(isSame ? 206 : 200, {
    "content-length": rest.length,
    ...(server.tag && { etag: server.tag }),
    ...(isSame && { "content-range": `bytes ${first}-${server.model.length - 1}/${server.model.length}` }),
  });
  // a body that never comes
  if (server.holds) return response.flushHeaders();
  if (server.breaks > 0) {
    server.breaks--;
    Object.assign(server, server.next);
    return response.write(rest.subarray(0, BROKEN_AT), () => setTimeout(() => response.destroy(), 200));
  }
  response.end(rest);
}

/** Serves all but models without a network, as pages for offline use do. */
const SERVICE_WORKER = `
  addEventListener("install", (event) => event.waitUntil(skipWaiting()));
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    if (event.request.url.includes("/models/")) return;
    event.respondWith((async () => {
      const cache = await caches.open("page");
      const kept = await cache.match(event.request);
      if (kept) return kept;
      const fetched = await fetch(event.request);
      await cache.put(event.request, fetched.clone());
      return fetched;
    })());
  });`;

before(async () => {
  browser = await launch();
  site = await serveDouble({
    "/models/model.tar": answer,
    "/models/PP-ShiTuV2_rec_infer.tar": answer,
    "/offline.js": (response) => response.writeHead(200, { "content-type": "text/javascript" }).end(SERVICE_WORKER),
    "/empty.html": (response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
  });
});

afterEach(() => Object.assign(server, atFirst()));

after(async () => {
  await browser?.close();
  await site?.close();
});

/** In the browser: loads the model, and gives its kept ones. */
async function setUp() {
  const api = await import("/image-feature/index.js");
  const outcome = (promise) =>
    promise.then(
      () => "loaded",
      ({ kind, message }) => `${kind}: ${message}`,
    );
  return {
    ...api,
    load: (source = "/models/model.tar", options = {}) =>
      outcome(api.FeatureExtractor.load(source, { device: "cpu", threads: 1, ...options })),
    kept: async () => (await api.models.list()).map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
  };
}

/**
 * @param {string} name
 * @param {(api: any) => Promise<any>} body runs in the browser
 * @param {(result: any) => void} check
 * @param {{ options?: object, prepare?: () => void }} [more]
 */
function inBrowser(name, body, check, prepare = () => {}) {
  test(name, { timeout: HANG_MS }, async () => {
    prepare();
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    check(await page.evaluate(body, await page.evaluateHandle(setUp)));
    assert.deepEqual(await close(/Failed to load resource|ERR_/), []);
  });
}

inBrowser(
  "a download that breaks off goes on where it was, and the whole file is kept",
  async ({ load, kept, models }) => [await load(), await kept(), await models.size()],
  ([loaded, kept, size]) => {
    assert.equal(loaded, "loaded");
    const [first, second, third] = server.asked;
    assert.deepEqual([first.range, server.asked.length], [undefined, 3]);
    // the network may have dropped the last bytes before the break
    const offsets = [second, third].map(({ range }) => Number(/\d+/.exec(range)[0]));
    assert.ok(offsets[0] > 0 && offsets[0] <= BROKEN_AT && offsets[1] > offsets[0], offsets.join());
    assert.deepEqual([second.ifRange, third.ifRange], ['"a"', '"a"']);
    assert.deepEqual(kept, [{ name: "model.tar", bytes: server.model.length, sha256: sha256(server.model) }]);
    assert.equal(size, server.model.length);
  },
  () => (server.breaks = 2),
);

inBrowser(
  "a server without versions gives all again",
  async ({ load, kept }) => [await load(), await kept()],
  ([loaded, kept]) => {
    assert.equal(loaded, "loaded");
    assert.deepEqual(
      server.asked.map(({ range }) => range),
      [undefined, undefined],
    );
    assert.deepEqual(kept[0].sha256, sha256(server.model));
  },
  () => Object.assign(server, { breaks: 1, tag: "" }),
);

inBrowser(
  "a file that changes between a break and the rest is not put together of two",
  async ({ load, kept }) => [await load(), await kept()],
  ([loaded, kept]) => {
    assert.equal(loaded, "loaded");
    assert.deepEqual([server.asked.length, server.asked[1].ifRange], [2, '"a"']);
    assert.deepEqual(kept[0].sha256, sha256(modelOf("b")));
  },
  () => Object.assign(server, { breaks: 1, next: { model: modelOf("b"), tag: '"b"' } }),
);

inBrowser(
  "a download that never ends well fails with its reason",
  async ({ load, kept }) => [await load(), await kept()],
  ([failed, kept]) => {
    assert.match(failed, /^io: .*model\.tar: the download broke off/);
    assert.equal(server.asked.length, 6);
    assert.deepEqual(kept, []);
  },
  () => Object.assign(server, { breaks: 100, tag: "" }),
);

/** @param {(page: import("playwright-core").Page, api: any, again: () => Promise<any>) => Promise<void>} body */
function onPage(name, body) {
  test(name, { timeout: HANG_MS }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    await body(page, await page.evaluateHandle(setUp));
    assert.deepEqual(await close(/Failed to load resource|ERR_|foreign/), []);
  });
}

onPage(
  "a kept model is used while its server has the same, or does not answer; a changed one is not",
  async (page, api) => {
    const load = () => page.evaluate(({ load }) => load(), api);
    assert.equal(await load(), "loaded");
    // the answer's headers say that it is the same, and its body is not read
    server.holds = true;
    assert.equal(await load(), "loaded");
    server.holds = false;
    assert.equal(server.asked.length, 2);
    server.cut = true;
    assert.equal(await load(), "loaded");
    Object.assign(server, { cut: false, model: modelOf("b"), tag: '"b"' });
    assert.equal(await load(), "loaded");
    const kept = await page.evaluate(({ kept }) => kept(), api);
    assert.deepEqual(
      kept.map(({ sha256 }) => sha256),
      [sha256(server.model)],
    );
    assert.equal(await page.evaluate(({ models }) => models.delete("model.tar"), api), true);
    assert.equal(await page.evaluate(({ models }) => models.delete("model.tar"), api), false);
    assert.equal(await page.evaluate(({ models }) => models.size(), api), 0);
    server.cut = true;
    assert.match(await load(), /^io: .*model\.tar: no answer/);
  },
);

onPage("with its sha256 a kept model needs no request; another file is refused and not kept", async (page, api) => {
  const load = (sha256, cache = "default") =>
    page.evaluate(([api, options]) => api.load("/models/model.tar", options), [api, { sha256, cache }]);
  assert.match(await load("0".repeat(64)), /^model: .*sha256/);
  assert.deepEqual(await page.evaluate(({ kept }) => kept(), api), []);
  const right = sha256(server.model).toUpperCase();
  assert.equal(await load(right), "loaded");
  assert.equal(server.asked.length, 2);
  assert.equal(await load(right), "loaded");
  assert.equal(server.asked.length, 2);
  assert.equal(await load(right, "none"), "loaded");
  assert.equal(server.asked.length, 3);
});

onPage("a load that was aborted goes on with the next one", async (page, api) => {
  let goOn;
  Object.assign(server, { breaks: 1 });
  const aborted = page.evaluate(async ({ load }) => {
    const stop = new AbortController();
    // in the pause after the break
    const onProgress = ({ stage, loaded }) => stage === "download" && loaded > 1_100_000 && stop.abort();
    return load("/models/model.tar", { signal: stop.signal, onProgress });
  }, api);
  assert.match(await aborted, /^cancelled/);
  server.breaks = 0;
  server.waiting = new Promise((resolve) => (goOn = resolve));
  const loading = page.evaluate(({ load }) => load(), api);
  await eventually(
    () => server.asked.length,
    (count) => assert.equal(count, 2),
  );
  goOn();
  assert.equal(await loading, "loaded");
  assert.match(server.asked[1].range ?? "none", /^bytes=1[1-9]\d{5}-$/);
});

onPage("two tabs that load at once download once", async (page, api) => {
  const other = await page.context().newPage();
  await other.goto(page.url());
  const otherApi = await other.evaluateHandle(setUp);
  let goOn;
  server.waiting = new Promise((resolve) => (goOn = resolve));
  const loads = [page.evaluate(({ load }) => load(), api), other.evaluate(({ load }) => load(), otherApi)];
  // both have asked for the lock
  await eventually(
    () => page.evaluate(async () => (await navigator.locks.query()).pending.map(({ name }) => name).join()),
    (pending) => assert.match(pending, /image-feature model/),
  );
  goOn();
  assert.deepEqual(await Promise.all(loads), ["loaded", "loaded"]);
  assert.equal(server.asked.length, 1);
});

onPage("a model is loaded by its name: from the configured folder, then from what is kept", async (page, api) => {
  const load = () => page.evaluate(({ load }) => load("PP-ShiTuV2_rec"), api);
  assert.match(
    await load(),
    /^unsupported: PP-ShiTuV2_rec does not come with the package: put PP-ShiTuV2_rec_infer\.tar .* configure\(\{ models/,
  );
  await page.evaluate(({ configure }) => configure({ models: "/models" }), api);
  assert.equal(await load(), "loaded");
  assert.equal(server.asked.length, 1);
  server.cut = true;
  await page.reload();
  // nothing is configured now
  const again = await page.evaluateHandle(setUp);
  assert.equal(await page.evaluate(({ load }) => load("PP-ShiTuV2_rec"), again), "loaded");
});

onPage("without any network a page for offline use loads its model", async (page, api) => {
  await page.evaluate(async () => {
    await navigator.serviceWorker.register("/offline.js");
    await navigator.serviceWorker.ready;
  });
  await page.reload();
  assert.equal(await page.evaluate(({ load }) => load(), await page.evaluateHandle(setUp)), "loaded");
  await page.context().setOffline(true);
  await page.reload();
  const again = await page.evaluateHandle(setUp);
  assert.equal(await page.evaluate(({ load }) => load(), again), "loaded");
  await page.evaluate(({ models }) => models.delete("model.tar"), again);
  assert.match(await page.evaluate(({ load }) => load(), again), /^io: .*no answer/);
  assert.ok(api);
});
