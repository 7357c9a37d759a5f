/** Large things stay quick: the page's own thread is never blocked for long, and only what is seen is in the document. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HANG_MS, WWW, eventually, isBusy, launch, openPage, requireWasm, shows } from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

/**
 * No task of the page may take longer. `PerformanceObserver` counts the time in which the machine did other things, too,
 * so on a busy one the times are printed only.
 */
const LONGEST_MS = 50;
const IMAGES = 300;
const MANY = 20_000;

let browser;
let site;

before(async () => {
  requireWasm(["cpu", "gallery"]);
  browser = await launch();
  site = await serveStatic({ mounts: [["/", WWW]] });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** Starts to note the page's long tasks. */
const watch = (page) =>
  page.evaluate(() => {
    globalThis.long = [];
    new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration))).observe({
      type: "longtask",
    });
  });
/** The longest task since then, in milliseconds. */
const longest = (page) => page.evaluate(() => Math.max(0, ...long));

test("the watch sees a long task", { timeout: HANG_MS }, async () => {
  const { page, close } = await openPage(browser, `${site.url}/?model=none`);
  await watch(page);
  await page.evaluate(() =>
    setTimeout(() => {
      const end = performance.now() + 120;
      while (performance.now() < end);
    }),
  );
  await eventually(
    () => longest(page),
    (milliseconds) => assert.ok(milliseconds >= 100, `${milliseconds} ms`),
  );
  await close();
});

test(`${IMAGES} images in the list of vectors`, { timeout: HANG_MS }, async () => {
  const { page, close } = await openPage(browser, `${site.url}/#vectors`, { viewport: { width: 1280, height: 900 } });
  await shows.text(page.locator(".steps"), /Add images/);
  await page.waitForFunction(() => document.querySelector("model-panel")?.dataset.state === "ready");
  await page.evaluate(async () => (await import("/demo/sample-gallery.js")).sampleGallery.embed());
  await watch(page);
  const started = performance.now();
  await page.evaluate(async (count) => {
    const { sampleFile, sampleGallery } = await import("/demo/sample-gallery.js");
    const { workspace } = await import("/demo/workspace.js");
    const entries = await sampleGallery.entries();
    const files = [];
    for (let at = 0; at < count; at++) files.push(await sampleFile(entries[at % entries.length].id));
    workspace.addImages(files);
  }, IMAGES);
  await shows.text(page.locator(".counts"), new RegExp(`${IMAGES} images · ${IMAGES} vectors`));
  const seconds = (performance.now() - started) / 1000;
  const rows = await page.locator(".row").count();
  const slowest = await longest(page);
  console.log(`${IMAGES} images in ${seconds.toFixed(1)} s; longest task ${slowest} ms; ${rows} rows in the document`);
  assert.ok(rows < 30, `${rows} rows`);
  assert.ok(slowest <= LONGEST_MS || isBusy(), `a task took ${slowest} ms`);
  await page.getByRole("tab", { name: "Similarity" }).click();
  await page.locator(".matrix").waitFor();
  await page.waitForTimeout(1000);
  const table = await longest(page);
  console.log(`with the table of similarities: longest task ${table} ms`);
  assert.ok(table <= LONGEST_MS || isBusy(), `a task of the table took ${table} ms`);
  assert.deepEqual(await close(), []);
});

test(`a collection of ${MANY} pictures scrolls, and is searched`, { timeout: HANG_MS }, async () => {
  const { page, close } = await openPage(browser, `${site.url}/?model=none`, {
    viewport: { width: 1280, height: 900 },
  });
  await page.evaluate(async (count) => {
    const { Gallery } = await import("/image-feature/index.js");
    const gallery = new Gallery({ dimension: 64 });
    const thumbnail = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let state = 1;
    const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) / 2 ** 24 - 0.5;
    const features = Float32Array.from({ length: 64 * count }, random);
    const entries = Array.from({ length: count }, (_, at) => ({
      id: `${at}.gif`,
      label: `${at % 50}`,
      meta: { thumbnail },
    }));
    await gallery.addMany(entries, features);
    await gallery.save("many");
    gallery.dispose();
  }, MANY);
  await page.evaluate(async () => (await import("/demo/gallery-state.js")).galleryState.openKept("many"));
  await shows.text(page.locator(".search-status"), /20,000 pictures/);
  await page.locator(".tile").first().waitFor();
  await watch(page);
  // as somebody who turns the wheel: a screen every few frames
  const frames = await page.evaluate(async () => {
    const times = [];
    for (let at = 0; at < 120; at++) {
      const start = performance.now();
      scrollBy(0, 700);
      await new Promise((resolve) => requestAnimationFrame(resolve));
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b);
  });
  const scrolled = await longest(page);
  await page.locator(".tile").nth(5).click();
  await shows.text(page.locator("query-panel"), /600 pictures, compared in/);
  const tiles = await page.locator(".tile").count();
  const slowest = await longest(page);
  console.log(`frames: median ${frames[60].toFixed(0)} ms; longest task ${scrolled} ms, with a search ${slowest} ms`);
  assert.ok(tiles < 120, `${tiles} tiles in the document`);
  assert.ok(slowest <= LONGEST_MS || isBusy(), `a task took ${slowest} ms`);
  assert.deepEqual(await close(), []);
});
