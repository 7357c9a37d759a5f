/** The page as a user sees it, with its server, WebAssembly and models. */

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import {
  GOLDEN,
  HANG_MS,
  MODEL_FILES,
  ROOT,
  SOFTWARE_WEBGPU,
  eventually,
  goldenFeature,
  largestDifference,
  launch,
  openPage,
  requireWasm,
  serveSite,
  shows,
  tar,
  withoutGolden,
} from "./harness.mjs";

const SCREENSHOTS = join(ROOT, "target/screenshots");
const PHOTOS = ["chelsea.png", "china.jpg", "astronaut.png", "camera.png"].map((name) =>
  join(GOLDEN, "features/inputs", name),
);
const ARCHIVE = () => ({
  name: "PP-ShiTuV2_rec_infer.tar",
  mimeType: "application/x-tar",
  buffer: tar(MODEL_FILES.map((path) => ({ name: basename(path), bytes: readFileSync(path) }))),
});

let browser;
let site;

before(async () => {
  if (withoutGolden) return;
  requireWasm();
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch(SOFTWARE_WEBGPU);
  site = await serveSite();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/**
 * @param {string} name
 * @param {(page: import("playwright-core").Page, shoot: (name: string) => Promise<unknown>) => Promise<void>} body
 * @param {import("playwright-core").BrowserContextOptions & { address?: string }} [options]
 */
function onPage(name, body, { address = "/?model=none#vectors", ...options } = {}) {
  test(name, { timeout: HANG_MS, skip: withoutGolden }, async () => {
    const { page, close } = await openPage(browser, `${site.url}${address}`, {
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    page.setDefaultTimeout(60_000);
    await body(page, (name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }));
    assert.deepEqual(await close(), []);
  });
}

const ready = (page) => page.waitForSelector("model-panel[data-state=ready]", { state: "attached" });
const openTab = (page, name) => page.getByRole("tab", { name, exact: true }).click();
const rows = (page, state) => page.locator(`.row[data-state=${state}]`);

const waitForRows = (page, state, count) => shows.count(rows(page, state), count);

/** Makes the page click a button as soon as it is shown. A click from the test could come too late. */
const clickOnceShown = (page, name) =>
  page.evaluate((name) => {
    const observer = new MutationObserver(() => {
      const button = [...document.querySelectorAll("button")].find(
        ({ textContent, disabled, offsetParent }) => textContent.trim() === name && !disabled && offsetParent,
      );
      if (!button) return;
      observer.disconnect();
      button.click();
    });
    observer.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
  }, name);

/** The file that a click saves. */
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

onPage("an empty page says what to do, and that nothing leaves it", async (page, shoot) => {
  await shows.text(page.locator("body"), /Nothing leaves this page/, /0 B sent · 0 requests to other hosts/);
  await shows.text(page.locator("image-intake"), /Drop images here/);
  await eventually(
    () => page.locator(".tasks > .tabs [role=tab]").allInnerTexts(),
    (tabs) =>
      assert.deepEqual(tabs, [
        "Search",
        "Collections",
        "Duplicates",
        "Evaluate",
        "Teach",
        "Check a data set",
        "Vectors",
        "Model",
      ]),
  );
  await shoot("empty");
  await openTab(page, "Model");
  await shows.text(page.locator("model-panel"), /Choose a model/);
  await openTab(page, "Search");
  await shows.text(page.locator("search-view"), /No model is loaded/);
});

onPage(
  "a first visit needs no model: the one that comes with the page is there, and makes way for another",
  async (page, shoot) => {
    await ready(page);
    await openTab(page, "Model");
    await shows.text(page.locator("model-panel"), /comes with this page[\s\S]*Choose another model/);
    await page.setInputFiles("input[name=images]", PHOTOS);
    await openTab(page, "Vectors");
    await waitForRows(page, "done", 4);
    await openTab(page, "Model");
    await page.setInputFiles("input[name=model]", MODEL_FILES);
    await shows.text(page.locator("model-panel"), /inference\.pdiparams/);
    await ready(page);
    await openTab(page, "Vectors");
    await waitForRows(page, "done", 4);
    await shoot("first-visit");
    const { bytes } = await saved(page, page.getByRole("button", { name: "Save the vector of chelsea.png as JSON" }));
    assert.ok(largestDifference(JSON.parse(bytes.toString()).feature, goldenFeature("chelsea.png")) < 1e-4);
  },
  { address: "/" },
);

onPage("images, then a model: vectors, files of them, similarity", async (page, shoot) => {
  await page.setInputFiles("input[name=images]", PHOTOS);
  await waitForRows(page, "waiting", 4);
  await shows.text(rows(page, "waiting").first(), /waiting for a model/);
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await ready(page);
  await waitForRows(page, "done", 4);

  await openTab(page, "Model");
  await shows.text(page.locator("model-panel"), /PP-ShiTuV2_rec[\s\S]*512 numbers/);
  await shows.text(page.locator("device-panel"), /Running on CPU/, /SIMD, \d+ threads?/, /swiftshader/i, /per image/);
  await openTab(page, "Vectors");
  await shows.text(rows(page, "done").first(), /512 values, .* length 1\.0000/);
  await shoot("vectors-light");

  const json = await saved(page, page.getByRole("button", { name: "Save the vector of chelsea.png as JSON" }));
  assert.equal(json.name, "chelsea_res.json");
  const record = JSON.parse(json.bytes.toString());
  assert.deepEqual([record.input_path, record.page_index], ["chelsea.png", null]);
  assert.ok(largestDifference(record.feature, goldenFeature("chelsea.png")) < 1e-4);
  const npy = await saved(page, page.getByRole("button", { name: "Save all as .npy" }));
  const headerEnd = 10 + npy.bytes.readUInt16LE(8);
  assert.equal(headerEnd % 64, 0);
  assert.match(
    npy.bytes.subarray(0, headerEnd).toString("latin1"),
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the format begins with them
    /^\x93NUMPY\x01\x00..\{'descr': '<f4', 'fortran_order': False, 'shape': \(4, 512\), \} *\n$/s,
  );
  assert.equal(npy.bytes.length, headerEnd + 4 * 512 * 4);
  const second = Float32Array.from({ length: 512 }, (_, index) => npy.bytes.readFloatLE(headerEnd + (512 + index) * 4));
  assert.ok(largestDifference(second, goldenFeature("china.jpg")) < 1e-4);

  await page.getByRole("tab", { name: "Similarity" }).click();
  const cells = page.locator(".matrix tbody td");
  await shows.count(cells, 16);
  const names = PHOTOS.map((path) => basename(path));
  const cosines = names.flatMap((row) =>
    names.map((column) =>
      goldenFeature(row).reduce((sum, value, index) => sum + value * goldenFeature(column)[index], 0),
    ),
  );
  await eventually(
    () => cells.allInnerTexts(),
    (texts) =>
      cosines.forEach((expected, index) => {
        const pair = `${names[index >> 2]} and ${names[index & 3]}`;
        assert.ok(Math.abs(Number(texts[index]) - expected) < 2e-4, `${pair}: ${texts[index]}, expected ${expected}`);
      }),
  );
  await shows.count(page.locator(".pair"), 6);
  await shows.count(page.locator("td.best"), 4);
  await eventually(
    async () => (await page.locator(".pair-value").allInnerTexts()).map(Number),
    (pairs) =>
      assert.deepEqual(
        pairs,
        [...pairs].sort((a, b) => b - a),
      ),
  );
  await shoot("similarity-light");

  await openTab(page, "List");
  await page.getByRole("button", { name: "Remove chelsea.png" }).click();
  await shows.count(page.locator(".row"), 3);
  await eventually(
    () => page.evaluate(() => document.activeElement?.getAttribute("aria-label")),
    (name) => assert.equal(name, "Remove china.jpg", "the focus goes to the next row"),
  );
  await page.getByRole("button", { name: "Undo" }).click();
  await shows.count(page.locator(".row"), 4);
  await shows.text(page.locator(".row").first(), /chelsea\.png/);
  await page.getByRole("button", { name: "Remove chelsea.png" }).click();
  await page.getByRole("button", { name: "Remove all" }).click();
  await shows.count(page.locator(".row"), 0);
});

onPage("a wrong model file gets an error that helps, and the right one after it works", async (page, shoot) => {
  await openTab(page, "Model");
  await page.setInputFiles("input[name=model]", PHOTOS[0]);
  await shows.text(page.getByRole("alert"), /could not be loaded[\s\S]*chelsea\.png[\s\S]*PP-ShiTuV2_rec/);
  await shoot("error");
  await page.setInputFiles("input[name=model]", [ARCHIVE()]);
  await ready(page);
  await shows.count(page.getByRole("alert"), 0);
});

onPage("a bad image says so and leaves the others alone; images can be added later", async (page) => {
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await ready(page);
  const truncated = { name: "truncated.png", mimeType: "image/png", buffer: readFileSync(PHOTOS[0]).subarray(0, 5000) };
  await page.setInputFiles("input[name=images]", [truncated]);
  await waitForRows(page, "failed", 1);
  await shows.text(rows(page, "failed"), /not readable/);
  await page.setInputFiles("input[name=images]", PHOTOS.slice(0, 2));
  await waitForRows(page, "done", 2);
  await shows.text(page.locator(".counts"), /3 images · 2 vectors · 1 failed/);
});

onPage("the device can be chosen again; the vectors come from it", async (page, shoot) => {
  await page.setInputFiles("input[name=images]", PHOTOS.slice(0, 1));
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await waitForRows(page, "done", 1);
  await openTab(page, "Model");
  await page.getByText("WebGPU", { exact: true }).click();
  await shows.text(page.locator("device-panel"), /Running on WebGPU/);
  await shoot("webgpu");
  await openTab(page, "Vectors");
  await waitForRows(page, "done", 1);
  const { bytes } = await saved(page, page.getByRole("button", { name: "Save the vector of chelsea.png as JSON" }));
  assert.ok(largestDifference(JSON.parse(bytes.toString()).feature, goldenFeature("chelsea.png")) < 1e-4);
});

onPage("loading and a row of images can be stopped, and taken up again", async (page) => {
  await page.setInputFiles("input[name=images]", [...PHOTOS, ...PHOTOS, ...PHOTOS, ...PHOTOS, ...PHOTOS]);
  await openTab(page, "Model");
  await clickOnceShown(page, "Cancel");
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await page.waitForSelector("model-panel[data-state=empty]");
  await openTab(page, "Vectors");
  await clickOnceShown(page, "Stop");
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await ready(page);
  await page.waitForSelector(".row[data-state=stopped]");
  await waitForRows(page, "working", 0);
  await page.getByRole("button", { name: "Resume" }).click();
  await shows.text(page.locator(".counts"), /20 images · 20 vectors/);
  // only the rows that can be seen are elements
  assert.ok((await page.locator(".row").count()) < 20);
});

onPage("files dropped anywhere find their way: the model's to the model, images to the images", async (page) => {
  const files = [...MODEL_FILES, PHOTOS[0]].map((path) => ({
    name: basename(path),
    data: readFileSync(path).toString("base64"),
  }));
  await page.evaluate((files) => {
    const transfer = new DataTransfer();
    for (const { name, data } of files)
      transfer.items.add(new File([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))], name));
    for (const type of ["dragover", "drop"])
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, files);
  await waitForRows(page, "done", 1);
});

onPage("a pasted image is taken", async (page) => {
  await page.evaluate((data) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(
      new File([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))], "image.png", {
        type: "image/png",
      }),
    );
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
  }, readFileSync(PHOTOS[0]).toString("base64"));
  await shows.text(page.locator(".row"), /image\.png/);
});

onPage("the keyboard is enough: tabs by arrows, devices by arrows", async (page) => {
  await page.getByRole("tab", { name: "List" }).focus();
  await page.keyboard.press("ArrowRight");
  await shows.attribute(page.getByRole("tab", { name: "Similarity" }), "aria-selected", "true");
  await shows.text(page.locator("similarity-view"), /Two images/);
  await shows.address(page, /#similarity$/);
  await page.reload();
  await shows.attribute(page.getByRole("tab", { name: "Similarity" }), "aria-selected", "true");
  await openTab(page, "Model");
  await page.getByRole("radio", { name: "Auto" }).focus();
  await page.keyboard.press("ArrowRight");
  await shows.checked(page.getByRole("radio", { name: "WebGPU" }));
});

onPage(
  "a folder of images for each class teaches the model, which is used at once, or kept",
  async (page, shoot) => {
    await ready(page);
    await openTab(page, "Teach");
    const folder = mkdtempSync(join(tmpdir(), "classes-"));
    try {
      const photos = { cats: [PHOTOS[0]], temples: [PHOTOS[1]], people: [PHOTOS[2], PHOTOS[3]] };
      for (const [label, files] of Object.entries(photos)) {
        mkdirSync(join(folder, label));
        for (const file of files)
          for (const copy of ["a", "b"]) copyFileSync(file, join(folder, label, `${copy}-${basename(file)}`));
      }
      await page.setInputFiles("input[name=fine-tune-folder]", folder);
      await shows.text(page.locator("fine-tune-view"), /3 classes, 8 pictures/, /2 classes have fewer than 3 pictures/);
      await page.getByRole("button", { name: "Leave out temples" }).click();
      await shows.text(page.locator("fine-tune-view"), /2 classes, 6 pictures/);
      await page.getByRole("button", { name: "Leave out cats" }).click();
      await shows.text(page.locator("fine-tune-view"), /It takes two classes or more/);
      await page.setInputFiles("input[name=fine-tune-folder]", folder);
      await shows.text(page.locator("fine-tune-view"), /3 classes, 8 pictures/);
      await shoot("fine-tune-classes");
      await page.getByRole("button", { name: "Fine-tune", exact: true }).click();
      await shows.text(page.locator("fine-tune-view"), /The tuned model/, /Recall@1 after\s*100 %/, /8 pictures/);
      await shoot("fine-tune-result");
      const { name, bytes } = await saved(page, page.getByRole("button", { name: /^Download \(/ }));
      assert.match(name, /-tuned\.safetensors$/);
      assert.ok(bytes.length > 1_000_000);
      await page.getByRole("button", { name: "Use this model" }).click();
      await openTab(page, "Model");
      await shows.text(page.locator("model-panel"), /-tuned/);
      await ready(page);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  { address: "/" },
);

for (const [name, options] of Object.entries({
  dark: { colorScheme: "dark" },
  mobile: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
})) {
  onPage(
    `nothing is wider than the screen (${name})`,
    async (page, shoot) => {
      await page.setInputFiles("input[name=images]", PHOTOS);
      await page.setInputFiles("input[name=images]", [
        { name: `${"a long name ".repeat(9)}.png`, mimeType: "image/png", buffer: readFileSync(PHOTOS[0]) },
      ]);
      await page.setInputFiles("input[name=model]", [{ ...ARCHIVE(), name: `${"long".repeat(30)}.tar` }]);
      await waitForRows(page, "done", 5);
      await openTab(page, "Model");
      const panel = await page.locator("model-panel").boundingBox();
      const parts = await page
        .locator("model-panel *")
        .evaluateAll((all) => all.map((part) => part.getBoundingClientRect().right));
      assert.ok(Math.max(...parts) <= panel.x + panel.width, "something sticks out of the model's panel");
      await openTab(page, "Vectors");
      await shoot(`vectors-${name}`);
      await page.getByRole("tab", { name: "Similarity" }).click();
      await page.waitForSelector(".matrix");
      await shoot(`similarity-${name}`);
      const { scrollWidth, clientWidth } = await page.evaluate(() => ({
        scrollWidth: document.documentElement.scrollWidth,
        clientWidth: document.documentElement.clientWidth,
      }));
      assert.ok(scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth}`);
    },
    options,
  );
}
