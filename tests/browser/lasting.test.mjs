/**
 * The package over a long time, with its real WebAssembly: memory stays flat over many loads, and what failed without a
 * network works when it is back.
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { HANG_MS, ROOT, WWW, launch, openPage, requireWasm } from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

/** Rounds before the first measurement: until then the browser fills its caches. */
const WARM_ROUNDS = 40;
const ROUNDS = 200;
/** A worker with a model has some 60 MB: a leak of one in ten would be seen. */
const MOST_GROWTH = 100e6;
/** Measurements of the memory, of which the least counts, and the time between two. */
const SAMPLES = 10;
const SAMPLE_MS = 300;

let browser;
let site;

before(async () => {
  requireWasm(["cpu", "cpu-relaxed", "gallery"]);
  browser = await launch(["--js-flags=--expose-gc"]);
  site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/docs/", `${ROOT}docs/`],
    ],
    answers: {
      "/empty.html": (response) =>
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
    },
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** Resident bytes of the process that draws pages. Chromium has one for each site. */
async function residentBytes() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer");
  const pagesOf = (id) => Number(readFileSync(`/proc/${id}/statm`, "utf8").split(" ")[1]);
  return pages.reduce((sum, { id }) => sum + 4096 * pagesOf(id), 0);
}

/** The least of resident bytes within some seconds: workers that have ended give their memory back when the browser finds time. */
async function settledBytes(page) {
  let least = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < SAMPLES; sample++) {
    await page.evaluate(() => globalThis.gc?.());
    await sleep(SAMPLE_MS);
    least = Math.min(least, await residentBytes());
  }
  return least;
}

/** In the browser: loads, embeds and disposes, again and again. */
async function rounds([count, options]) {
  const { FeatureExtractor } = await import("/image-feature/index.js");
  globalThis.photo ??= await (await fetch("/docs/page.png")).blob();
  let length = 0;
  for (let round = 0; round < count; round++) {
    const extractor = await FeatureExtractor.load("default", { device: "cpu", ...options });
    length += (await extractor.embed(globalThis.photo)).feature.length;
    extractor.dispose();
  }
  globalThis.gc?.();
  return length / count;
}

for (const [where, options] of [
  ["in a worker", { threads: 1 }],
  ["with threads", { threads: 2 }],
  ["on the page's own thread", { worker: false }],
]) {
  const skip = existsSync("/proc/self/statm") ? false : "no /proc here";
  test(`${ROUNDS} rounds of load, embed and dispose ${where} leave memory flat`, {
    timeout: HANG_MS,
    skip,
  }, async (t) => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(HANG_MS);
    assert.equal(await page.evaluate(rounds, [WARM_ROUNDS, options]), 512);
    const early = await settledBytes(page);
    assert.equal(await page.evaluate(rounds, [ROUNDS - WARM_ROUNDS, options]), 512);
    const late = await settledBytes(page);
    t.diagnostic(
      `${(early / 1e6).toFixed()} MB after ${WARM_ROUNDS} rounds, ${(late / 1e6).toFixed()} MB after ${ROUNDS}`,
    );
    assert.ok(late - early < MOST_GROWTH, `from ${early} to ${late} bytes`);
    assert.deepEqual(await close(), []);
  });
}

test("a gallery whose WebAssembly could not be fetched works when the network is back", {
  timeout: HANG_MS,
}, async () => {
  const { page, close } = await openPage(browser, `${site.url}/empty.html`);
  await page.route("**/wasm/gallery/**", (route) => route.abort());
  const kind = await page.evaluate(async () => {
    const { Gallery } = await import("/image-feature/index.js");
    globalThis.gallery = new Gallery({ dimension: 2 });
    return globalThis.gallery.add({ id: "a", feature: [1, 0] }).then(
      () => "none",
      ({ kind }) => kind,
    );
  });
  assert.equal(kind, "io");
  await page.unroute("**/wasm/gallery/**");
  const hits = await page.evaluate(async () => {
    await globalThis.gallery.add({ id: "a", feature: [1, 0] });
    return globalThis.gallery.search([1, 0]);
  });
  assert.deepEqual(hits, [{ id: "a", score: 1 }]);
  assert.deepEqual(await close(/ERR_FAILED/), []);
});
