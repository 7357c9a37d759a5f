/**
 * Takes the pictures of the page: `node scripts/screenshot.mjs` writes docs/page.png, which the README shows, and
 * docs/screenshots/, the page in both languages, light and dark, on a desktop and a phone.
 *
 * It needs the page's WebAssembly (`./build.sh wasm cpu`) and Chromium; for the Chinese ones also a font that has its
 * characters. The photos are those of the sample gallery (CC0).
 */

import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

import { createPageServer } from "./serve.mjs";

const FOLDER = "docs/screenshots";
/** The picture that is searched with: one of the first, which are on the screen of a phone, too. */
const QUERY = "shoes-6.webp";
const SCREENS = {
  desktop: { viewport: { width: 1280, height: 860 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
};
const LANGUAGES = { en: "en-US", zh: "zh-CN" };

mkdirSync(FOLDER, { recursive: true });
const server = createPageServer("www");
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
const url = `http://127.0.0.1:${typeof address === "object" && address?.port}/`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

/**
 * @param {import("playwright-core").BrowserContextOptions} options
 * @param {string} path
 */
async function shoot(options, path) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector(".search-copies")?.checkVisibility());
  await page.locator(`.tile[title="${QUERY}"]`).evaluate((tile) => tile.click());
  await page.locator(".tile-score").first().waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("search-view img")].every(({ complete }) => complete));
  await page.waitForTimeout(300);
  await page.screenshot({ path, ...(path.endsWith(".jpg") && { quality: 80 }) });
  await context.close();
  console.error(`${path} is written`);
}

try {
  await shoot({ viewport: { width: 1100, height: 760 } }, "docs/page.png");
  for (const [language, locale] of Object.entries(LANGUAGES))
    for (const colorScheme of /** @type {const} */ (["light", "dark"]))
      for (const [screen, options] of Object.entries(SCREENS))
        await shoot({ ...options, locale, colorScheme }, `${FOLDER}/search-${language}-${colorScheme}-${screen}.jpg`);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
