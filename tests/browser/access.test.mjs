/** The page for everyone: axe finds nothing in any state, the keyboard reaches all, nothing is wider than the screen. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { HANG_MS, ROOT, WWW, eventually, launch, openPage, requireWasm, shows } from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

const SCREENSHOTS = join(ROOT, "target/screenshots");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHOTO = join(WWW, "demo/sample/hat-7.webp");
const TABS = ["search", "collections", "duplicates", "evaluate", "teach", "data-set", "vectors", "similarity", "model"];

let browser;
let site;

before(async () => {
  requireWasm(["cpu", "gallery", "dataset"]);
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  site = await serveStatic({ mounts: [["/", WWW]] });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** What axe finds, and what is wider than the screen. */
async function faults(page, where) {
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    const { scrollWidth, clientWidth } = document.documentElement;
    return {
      violations: violations.map(
        ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160))}`,
      ),
      wide: scrollWidth > clientWidth ? [`${scrollWidth} pixels on a screen of ${clientWidth}`] : [],
    };
  });
  return [...found.violations, ...found.wide].map((fault) => `${where}: ${fault}`);
}

const go = async (page, id) => {
  await page.evaluate((id) => (location.hash = id), id);
  await page.locator(`#${id}`).waitFor();
};

for (const [name, options] of Object.entries({
  light: { viewport: { width: 1280, height: 900 } },
  dark: { viewport: { width: 2560, height: 1300 }, colorScheme: "dark" },
  "phone-chinese": { viewport: { width: 360, height: 740 }, locale: "zh-CN" },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark", reducedMotion: "reduce" },
})) {
  test(`axe finds nothing in any state (${name})`, { timeout: HANG_MS }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/?model=none`, options);
    const all = [];
    const look = async (where) => {
      all.push(...(await faults(page, where)));
      await page.screenshot({ path: join(SCREENSHOTS, `${where}-${name}.png`) });
    };
    await page.evaluate(AXE);
    await page.locator(".tile").first().waitFor();
    for (const id of TABS) {
      await go(page, id);
      await look(`${id}-empty`);
    }
    await page.goto(`${site.url}/`);
    await page.evaluate(AXE);
    await shows.text(page.locator(".search-status"), /122/);
    await look("search");
    await page.locator("traffic-meter summary").click();
    await look("traffic");
    await page.keyboard.press("Escape");
    await page.locator(".tile").nth(3).click();
    await page.locator(".tile-score").first().waitFor();
    await look("search-result");
    await page.locator("region-picker").focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("#query-whole").waitFor();
    await look("search-region");
    await page.setInputFiles("input[name=query]", {
      name: "broken.jpg",
      mimeType: "image/jpeg",
      buffer: Buffer.from("no image"),
    });
    await page.getByRole("alert").waitFor();
    await look("search-error");
    await go(page, "duplicates");
    await page.locator(".duplicates-group button").first().click();
    await page.locator("undo-bar .button").first().waitFor();
    await look("duplicates");
    await go(page, "evaluate");
    await page.locator("gallery-evaluation form .primary").click();
    await page.locator(".gallery-worst").waitFor();
    await look("evaluate");
    await go(page, "vectors");
    await page.setInputFiles("input[name=images]", [PHOTO, PHOTO, PHOTO]);
    await shows.count(page.locator(".row[data-state=done]"), 3);
    await look("vectors");
    await go(page, "similarity");
    await page.locator(".matrix").waitFor();
    await look("similarity");
    await go(page, "collections");
    await page.setInputFiles("input[name=gallery-folder]", join(WWW, "demo/sample"));
    await page.waitForSelector("gallery-view[data-state=open]");
    await page.locator("#gallery-name").fill("clothes");
    await page.locator("#gallery-name").press("Enter");
    await page.locator(".gallery-kept li").waitFor();
    await look("collections");
    await go(page, "model");
    await page.setInputFiles("input[name=model]", PHOTO);
    await page.getByRole("alert").waitFor();
    await look("model-error");
    assert.deepEqual(all, []);
    assert.deepEqual(await close(), []);
  });
}

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`the page of all parts is in order (${colorScheme})`, { timeout: HANG_MS }, async () => {
    const options = { viewport: { width: 1280, height: 900 }, colorScheme };
    const { page, close } = await openPage(browser, `${site.url}/demo/gallery-of-parts/`, options);
    await page.evaluate(AXE);
    await page.locator(".part").last().waitFor();
    assert.deepEqual(await faults(page, "parts"), []);
    await page.screenshot({ path: join(SCREENSHOTS, `parts-${colorScheme}.png`), fullPage: true });
    assert.deepEqual(await close(), []);
  });
}

test("the keyboard alone: skip link, one stop for all pictures, a search, and back", { timeout: HANG_MS }, async () => {
  const { page, close } = await openPage(browser, site.url, { viewport: { width: 1280, height: 900 } });
  await shows.text(page.locator(".search-status"), /122 pictures/);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  await eventually(
    () => page.evaluate(() => document.activeElement?.id),
    (id) => assert.equal(id, "content"),
  );
  let stops = 0;
  const at = () => page.evaluate(() => document.activeElement?.className ?? "");
  for (; stops < 15 && (await at()) !== "tile"; stops++) await page.keyboard.press("Tab");
  assert.ok(stops < 15, "the pictures are reached");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await shows.text(page.locator("query-panel"), /121 pictures, compared in/);
  assert.equal(await at(), "tile", "the focus stays among the pictures");
  await page.locator("#query-all").focus();
  await page.keyboard.press("Enter");
  await shows.count(page.locator("search-view[data-query=false]"), 1);
  assert.deepEqual(await close(), []);
});
