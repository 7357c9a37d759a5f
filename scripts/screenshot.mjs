/**
 * Takes the README's picture of the page: `node scripts/screenshot.mjs PHOTO...` writes docs/page.png.
 *
 * It needs the page's WebAssembly (`./build.sh wasm cpu`), Chromium, and photos that may be shown in public. Those in the
 * picture that is committed are from github.com/alexeygrigorev/clothing-dataset (CC0).
 */

import { once } from "node:events";
import { chromium } from "playwright-core";

import { createPageServer } from "./serve.mjs";

const OUTPUT = "docs/page.png";

const photos = process.argv.slice(2);
if (photos.length === 0) {
  console.error("usage: node scripts/screenshot.mjs PHOTO...");
  process.exit(2);
}
const server = createPageServer("www");
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 }, deviceScaleFactor: 1 });
  await page.goto(`http://127.0.0.1:${typeof address === "object" && address?.port}/`);
  await page.setInputFiles("input[name=images]", photos);
  await page.getByRole("tab", { name: "Similarity" }).click();
  await page
    .locator("similarity-view td")
    .nth(photos.length ** 2 - 1)
    .waitFor();
  await page.screenshot({ path: OUTPUT });
  console.error(`${OUTPUT} is written`);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
