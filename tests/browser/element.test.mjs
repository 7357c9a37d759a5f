/** The element `<image-search>`, with the real WebAssembly and a small gallery. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { HANG_MS, ROOT, WWW, launch, openPage, requireWasm } from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

const SCREENSHOTS = join(ROOT, "target/screenshots");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PAGE = `<!doctype html><html lang="en"><title>Shop</title><link rel=icon href=data:,>
  <script type="module" src="/image-feature/element.js"></script>
  <main><h1>Shop</h1><image-search model="/image-feature/models/tiny.safetensors" gallery="/gallery.safetensors" k="3"></image-search></main></html>`;

let browser;
let site;
/** The file of a gallery, and a picture of it. */
let galleryFile;
let redPicture;

/** In the browser: a gallery of drawn pictures. */
async function draw() {
  const { FeatureExtractor, Gallery } = await import("/image-feature/index.js");
  const extractor = await FeatureExtractor.load("/image-feature/models/tiny.safetensors", { device: "cpu" });
  const gallery = new Gallery({ dimension: extractor.info.dimension });
  const dataUrls = [];
  for (const [label, colour, count] of [
    ["red", "#c00", 3],
    ["green", "#0a0", 12],
    ["blue", "#00c", 40],
  ]) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 160 });
    const context = canvas.getContext("2d");
    for (let at = 0; at < count; at++) {
      context.fillStyle = at % 2 ? colour : "#eee";
      context.fillRect(0, (160 * at) / count, 160, 160 / count);
    }
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const image = canvas.toDataURL();
    dataUrls.push(image);
    const { feature } = await extractor.embed(blob);
    const meta = { image, price: count, page: label === "green" ? "javascript:alert(1)" : `/shop/${label}` };
    await gallery.add({ id: `${label}-1`, label, feature, meta });
  }
  const file = new Uint8Array(await (await gallery.toFile()).arrayBuffer());
  extractor.dispose();
  gallery.dispose();
  return { file: Array.from(file), picture: dataUrls[0].split(",")[1] };
}

before(async () => {
  requireWasm(["cpu", "gallery"]);
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  const html = (text) => (response) => response.writeHead(200, { "content-type": "text/html" }).end(text);
  site = await serveStatic({
    mounts: [["/", WWW]],
    answers: {
      "/empty.html": html("<!doctype html><link rel=icon href=data:,>"),
      "/shop.html": html(PAGE),
      "/gallery.safetensors": (response) => response.writeHead(200).end(galleryFile),
      "/gone.safetensors": (response) => response.writeHead(404).end(),
    },
  });
  const { page, close } = await openPage(browser, `${site.url}/empty.html`);
  const { file, picture } = await page.evaluate(draw);
  galleryFile = Buffer.from(file);
  redPicture = { name: "red.png", mimeType: "image/png", buffer: Buffer.from(picture, "base64") };
  assert.deepEqual(await close(), []);
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/**
 * @param {string} name
 * @param {(page: import("playwright-core").Page) => Promise<void>} body
 * @param {RegExp} [expected] errors of the page
 */
function inShop(name, body, expected) {
  test(name, { timeout: HANG_MS }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/shop.html`);
    page.setDefaultTimeout(60_000);
    await page.evaluate(() => {
      globalThis.told = [];
      for (const type of ["search-start", "search-results", "search-select", "search-error"])
        document.addEventListener(type, ({ detail }) => {
          const { hit, hits, error } = detail;
          told.push([type, hit?.id ?? hits?.map(({ id }) => id) ?? error?.kind ?? detail.picture.size > 0]);
        });
    });
    await body(page);
    assert.deepEqual(await close(expected), []);
  });
}

const pick = (page) => page.locator("image-search input").setInputFiles(redPicture);
const told = (page) => page.evaluate(() => globalThis.told);

inShop("a picture is picked, and the results are walked by keyboard", async (page) => {
  await pick(page);
  const cards = page.locator("image-search .card");
  await cards.first().waitFor();
  assert.equal(await cards.count(), 3);
  assert.match(
    await page.locator("image-search [role=status]").textContent(),
    /^3 similar pictures. The nearest: red, 100.0 %$/,
  );
  assert.equal(await page.getByRole("listbox", { name: "Similar pictures" }).getByRole("option").count(), 3);
  assert.equal(await page.getByRole("option", { name: "red 100.0 %" }).count(), 1);
  const focused = () =>
    page.evaluate(
      () => document.querySelector("image-search").shadowRoot.activeElement?.querySelector(".label")?.textContent,
    );
  await page.locator("image-search .choose").focus();
  for (let tabs = 0; tabs < 3 && (await focused()) !== "red"; tabs++) await page.keyboard.press("Tab");
  assert.equal(await focused(), "red");
  const ids = (await told(page)).at(-1)[1];
  const walked = [];
  for (const key of ["ArrowRight", "End", "ArrowRight", "Home", "ArrowLeft", "ArrowDown"]) {
    await page.keyboard.press(key);
    walked.push(`${await focused()}-1`);
  }
  assert.deepEqual(walked, [ids[1], ids[2], ids[2], ids[0], ids[0], ids[1]]);
  await page.keyboard.press("Enter");
  assert.deepEqual(await told(page), [
    ["search-start", true],
    ["search-results", ids],
    ["search-select", ids[1]],
  ]);
  assert.equal(await cards.nth(1).getAttribute("aria-selected"), "true");
  assert.equal(await page.locator("image-search .preview").isVisible(), true);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(
    violations.map(({ id, nodes }) => [id, nodes[0].html]),
    [],
  );
  await page.screenshot({ path: join(SCREENSHOTS, "image-search.png") });
});

inShop("pictures are dropped and pasted, and what is none is told", async (page) => {
  const give = (type, name, mime) =>
    page.evaluate(
      ([type, name, mime, base64]) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        if (name) data.items.add(new File([mime ? bytes : "no picture"], name, { type: mime || "text/plain" }));
        const element = document.querySelector("image-search");
        const place = type === "drop" ? element.shadowRoot.querySelector(".drop") : document.body;
        const init = { bubbles: true, composed: true, cancelable: true };
        place.dispatchEvent(
          type === "drop"
            ? new DragEvent("drop", { ...init, dataTransfer: data })
            : new ClipboardEvent("paste", { ...init, clipboardData: data }),
        );
      },
      [type, name, mime, redPicture.buffer.toString("base64")],
    );
  for (const type of ["drop", "paste"]) {
    await give(type, "red.png", "image/png");
    await page.waitForFunction(
      (type) => told.filter(([kind]) => kind === "search-results").length === (type === "drop" ? 1 : 2),
      type,
    );
  }
  await give("drop", "notes.txt", "");
  await page.waitForFunction(() => told.at(-1)[0] === "search-error");
  assert.deepEqual((await told(page)).at(-1), ["search-error", "decode"]);
  assert.equal(await page.locator("image-search [role=alert]").isVisible(), true);
  assert.equal(await page.locator("image-search .card").count(), 0, "no stale results");
  await give("drop");
  assert.equal(await page.locator("image-search [role=alert]").textContent(), "This is no picture");
  await give("paste", "red.png", "image/png");
  await page.locator("image-search .card").first().waitFor();
  assert.equal(await page.locator("image-search [role=alert]").isVisible(), false);
});

inShop("thresholds decide what is shown", async (page) => {
  const shown = async (set) => {
    await page.evaluate(set);
    const before = (await told(page)).length;
    await pick(page);
    await page.waitForFunction((before) => told.length > before && told.at(-1)[0] !== "search-start", before);
    return (await told(page)).at(-1)[1];
  };
  assert.deepEqual(await shown(() => document.querySelector("image-search").setAttribute("threshold", "0.9999")), [
    "red-1",
  ]);
  await page.evaluate(async () => {
    const { Gallery } = await import("/image-feature/index.js");
    const gallery = await Gallery.fromFile(
      new File([await (await fetch("/gallery.safetensors")).blob()], "g.safetensors"),
    );
    await gallery.setThreshold(1.5);
    Object.assign(document.querySelector("image-search"), { gallery }).removeAttribute("threshold");
  });
  assert.deepEqual(await shown(() => {}), [], "the gallery's own threshold");
  assert.equal(await page.locator("image-search [role=status]").textContent(), "Nothing similar was found");
});

inShop("a template is the form of the cards, and addresses out of a gallery run no script", async (page) => {
  await page.evaluate(() => {
    document.querySelector("image-search").innerHTML =
      `<template><a data-href="meta.page"><img alt="" data-src="meta.image">
      <b data-text="label"></b> <i data-text="meta.price"></i> <u data-text="score"></u><s data-text="meta.none.deep"></s></a></template>`;
  });
  await pick(page);
  await page.locator("image-search .card").first().waitFor();
  const cards = await page
    .locator("image-search .card")
    .evaluateAll((cards) =>
      cards.map((card) => [
        card.textContent.replace(/\s+/g, " ").trim(),
        card.querySelector("a").getAttribute("href"),
        card.querySelector("img").src.slice(0, 15),
      ]),
    );
  assert.deepEqual(cards[0], ["red 3 100.0 %", "/shop/red", "data:image/png;"]);
  assert.deepEqual(cards.find(([text]) => text.startsWith("green 12"))[1], null);
});

inShop("it speaks Chinese and other languages, and follows `lang`", async (page) => {
  const choose = page.locator("image-search .choose");
  await page.evaluate(() => document.querySelector("image-search").setAttribute("lang", "zh-CN"));
  assert.equal(await choose.textContent(), "选择图片");
  await page.evaluate(() => {
    const { texts } = customElements.get("image-search");
    texts.fr = { ...texts.en, choose: "Choisir une image" };
    document.querySelector("image-search").setAttribute("lang", "fr");
  });
  assert.equal(await choose.textContent(), "Choisir une image");
});

inShop(
  "a gallery that is missing is told, and the next search tries again",
  async (page) => {
    await page.evaluate(() => document.querySelector("image-search").setAttribute("gallery", "/gone.safetensors"));
    await pick(page);
    await page.locator("image-search [role=alert]").waitFor();
    assert.match(
      await page.locator("image-search [role=alert]").textContent(),
      /gone.safetensors: the gallery could not be fetched: 404/,
    );
    await page.evaluate(() => document.querySelector("image-search").removeAttribute("gallery"));
    await pick(page);
    await page.waitForFunction(() =>
      document
        .querySelector("image-search")
        .shadowRoot.querySelector("[role=alert]")
        .textContent.includes("needs a gallery"),
    );
    await page.evaluate(() => document.querySelector("image-search").setAttribute("gallery", "/gallery.safetensors"));
    await pick(page);
    await page.locator("image-search .card").first().waitFor();
  },
  /404/,
);

inShop("an element that is moved goes on, and one that is removed frees its workers", async (page) => {
  await pick(page);
  await page.locator("image-search .card").first().waitFor();
  const held = () => page.evaluate(async () => (await navigator.locks.query()).held.length);
  const before = await held();
  assert.ok(before >= 2, `${before}`);
  await page.evaluate(() => document.body.append(document.querySelector("image-search")));
  await pick(page);
  await page.waitForFunction(() => told.filter(([type]) => type === "search-results").length === 2);
  assert.equal(await held(), before, "the same workers");
  await page.evaluate(() => document.querySelector("image-search").remove());
  for (let wait = 0; wait < 100 && (await held()) > 0; wait++) await page.waitForTimeout(50);
  assert.equal(await held(), 0);
});
