/** The page's tab of galleries, as a user sees it: a folder of photos, a search, duplicates, an evaluation, files. */

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import {
  HANG_MS,
  MODEL_FILES,
  ROOT,
  SHARED,
  WWW,
  eventually,
  launch,
  openPage,
  requireWasm,
  shows,
  tar,
  withoutGolden,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

const SCREENSHOTS = join(ROOT, "target/screenshots");
const PHOTOS = join(SHARED, "data/grocery/images/test/Fruit");
const FOLDER = join(ROOT, "target/gallery-photos/shop");
const LISTED = join(ROOT, "target/gallery-photos/listed");
const LABELS = ["Banana", "Kiwi", "Lemon", "Lime", "Mango"];
const EACH = 6;
const skip = withoutGolden || (existsSync(PHOTOS) ? false : `no photos at ${PHOTOS}`);

let browser;
let site;

before(async () => {
  if (skip) return;
  requireWasm(["cpu", "gallery"]);
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const folder of [FOLDER, LISTED]) rmSync(folder, { recursive: true, force: true });
  const rows = { "gallery.txt": [], "query.txt": [] };
  for (const [label, name] of LABELS.entries()) {
    for (const [at, file] of readdirSync(join(PHOTOS, name)).slice(0, EACH).entries()) {
      cpSync(join(PHOTOS, name, file), join(FOLDER, name, file), { recursive: true });
      cpSync(join(PHOTOS, name, file), join(LISTED, "images", file), { recursive: true });
      rows[at < 4 ? "gallery.txt" : "query.txt"].push(`images/${file} ${label}`);
    }
  }
  // a copy under another name, a file that is not an image, and one that is not despite its name
  cpSync(join(FOLDER, "Kiwi", readdirSync(join(FOLDER, "Kiwi"))[0]), join(FOLDER, "Lime/again.jpg"));
  writeFileSync(join(FOLDER, "notes.txt"), "hello");
  writeFileSync(join(FOLDER, "Lime/broken.jpg"), "hello");
  rows["query.txt"].push("images/gone.jpg 1");
  for (const [list, lines] of Object.entries(rows)) writeFileSync(join(LISTED, list), `${lines.join("\n")}\n`);
  browser = await launch();
  const example = /```js\n(.*?)```/s.exec(readFileSync(join(ROOT, "docs/gallery.md"), "utf8"))[1];
  const model = tar(MODEL_FILES.map((path) => ({ name: basename(path), bytes: readFileSync(path) })));
  site = await serveStatic({
    mounts: [["/", WWW]],
    answers: {
      "/example.js": (response) =>
        response
          .writeHead(200, { "content-type": "text/javascript" })
          .end(example.replace('"image-feature"', '"/image-feature/index.js"')),
      "/models/PP-ShiTuV2_rec_infer.tar": (response) => response.writeHead(200).end(model),
    },
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

const ALL = LABELS.length * EACH + 1;

/**
 * @param {string} name
 * @param {import("playwright-core").BrowserContextOptions} options
 * @param {(page: import("playwright-core").Page, shoot: (name: string) => Promise<unknown>) => Promise<void>} body
 */
function onPage(name, options, body) {
  test(name, { timeout: HANG_MS, skip }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/?model=none#gallery`, {
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    page.setDefaultTimeout(120_000);
    // object URLs that were not revoked
    await page.addInitScript(() => {
      globalThis.addresses = new Set();
      const { createObjectURL, revokeObjectURL } = URL;
      URL.createObjectURL = (blob) => {
        const address = createObjectURL.call(URL, blob);
        if (blob.type.startsWith("image/")) addresses.add(address);
        return address;
      };
      URL.revokeObjectURL = (address) => {
        addresses.delete(address);
        revokeObjectURL.call(URL, address);
      };
    });
    await page.reload();
    await body(page, (name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true }));
    assert.deepEqual(await close(), []);
  });
}

const inState = (page, state) => page.waitForSelector(`gallery-view[data-state=${state}]`);
const hits = (page) => page.locator("gallery-search .gallery-hits .gallery-card");
const head = (page) => page.locator("section[aria-label='This gallery']");

async function loadModel(page) {
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await page.waitForSelector("model-panel[data-state=ready]");
}

async function build(page) {
  await loadModel(page);
  await page.setInputFiles("input[name=gallery-folder]", FOLDER);
  await inState(page, "open");
}

/** The next file that the page saves. */
async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: download.suggestedFilename(), path: await download.path() };
}

/** A file as if it were dropped or pasted. */
const give = (page, how, path, name) =>
  page.evaluate(
    ({ how, data, name }) => {
      const transfer = new DataTransfer();
      transfer.items.add(
        new File([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))], name, { type: "image/jpeg" }),
      );
      if (how === "paste") return void document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
      for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    },
    { how, name, data: readFileSync(path).toString("base64") },
  );

onPage(
  "a folder becomes a gallery with a moving bar, stops and goes on, and is searched by drop, paste and press",
  {},
  async (page, shoot) => {
    await shoot("gallery-empty");
    await page.setInputFiles("input[name=gallery-folder]", FOLDER);
    await inState(page, "waiting");
    await shows.text(page.locator("gallery-view"), /32 images wait for a model/);
    await page.evaluate(() => {
      globalThis.values = [];
      const view = document.querySelector("gallery-view");
      new MutationObserver(() => {
        const bar = view.querySelector("[role=progressbar]");
        if (view.dataset.state === "building" && bar?.checkVisibility())
          values.push(Number(bar.getAttribute("aria-valuenow")));
        if (values.at(-1) > 20 && !globalThis.stopped) {
          globalThis.stopped = true;
          [...view.querySelectorAll("button")].find(({ textContent }) => textContent === "Cancel")?.click();
        }
      }).observe(view, { subtree: true, childList: true, attributes: true });
    });
    await loadModel(page);
    await inState(page, "stopped");
    await shows.text(page.locator("gallery-view"), /Stopped: \d+ of 32 images looked at/);
    const values = await page.evaluate(() => globalThis.values);
    assert.ok(
      values.every((value, at) => at === 0 || value >= values[at - 1]) && new Set(values).size > 2,
      values.join(),
    );
    await page.getByRole("button", { name: "Go on" }).click();
    await inState(page, "open");
    await shows.text(
      head(page),
      new RegExp(`${ALL} images · cosine, f32, 512 values · not saved`),
      /1 image could not be added/,
    );
    await shows.count(page.locator(".gallery-grid li"), ALL);
    await eventually(
      () =>
        page
          .locator(".gallery-grid img")
          .evaluateAll(
            (all) =>
              all.filter(({ src, naturalWidth }) => src.startsWith("data:image/webp") && naturalWidth > 20).length,
          ),
      (count) => assert.equal(count, ALL),
    );

    const [banana] = readdirSync(join(FOLDER, "Banana"));
    const photo = join(FOLDER, "Banana", banana);
    await give(page, "drop", photo, "dropped.jpg");
    await shows.text(page.locator(".gallery-query"), /dropped\.jpg/, /24 hits in/);
    await shows.text(hits(page).first(), new RegExp(`1\\.0000[\\s\\S]*Banana/${banana}|Banana[\\s\\S]*1\\.0000`));
    await shoot("gallery-search");
    await page.getByRole("spinbutton", { name: "Threshold" }).fill("0.9999");
    await page.getByRole("spinbutton", { name: "Threshold" }).press("Enter");
    await shows.count(hits(page), 1);
    await page.getByRole("spinbutton", { name: "Threshold" }).fill("");
    await page.getByRole("spinbutton", { name: "Hits" }).fill("5");
    await page.getByRole("spinbutton", { name: "Hits" }).press("Enter");
    await shows.count(hits(page), 5);
    await page.getByRole("combobox", { name: "Label" }).selectOption({ label: "Lemon (6)" });
    await eventually(
      () => hits(page).locator(".gallery-label").allInnerTexts(),
      (labels) => assert.deepEqual(labels, Array(5).fill("Lemon")),
    );
    await page.getByRole("combobox", { name: "Label" }).selectOption({ label: "any" });
    await give(page, "paste", photo, "pasted.jpg");
    await shows.text(page.locator(".gallery-query"), /pasted\.jpg/);
    await page.locator(".gallery-grid button").nth(2).click();
    const pressed = await page.locator(".gallery-grid button").nth(2).getAttribute("title");
    await shows.text(page.locator(".gallery-query h2"), new RegExp(pressed.replaceAll(/[.+]/g, "\\$&")));
    assert.ok(
      !(await hits(page).evaluateAll((all) => all.map(({ title }) => title))).includes(pressed),
      "an image is not its own hit",
    );
    assert.ok((await page.evaluate(() => addresses.size)) <= 1, "object URLs are let go");
  },
);

onPage(
  "duplicates are found and taken out; an evaluation shows the worst queries as pictures",
  {},
  async (page, shoot) => {
    await build(page);
    await page.getByRole("tab", { name: "Duplicates" }).click();
    await page.getByRole("spinbutton", { name: "Threshold" }).fill("0.99999");
    await page.getByRole("button", { name: "Find duplicates" }).click();
    await shows.text(page.locator("gallery-duplicates"), /2 images in 1 group, 1 pair/, /the nearest two 1\.0000/);
    await shoot("gallery-duplicates");
    await page.getByRole("button", { name: "Take Lime/again.jpg out of the gallery" }).click();
    await shows.text(head(page), new RegExp(`${ALL - 1} images`));
    await page.getByRole("button", { name: "Find duplicates" }).click();
    await shows.text(page.locator("gallery-duplicates"), /No two images are that near/);

    await page.getByRole("tab", { name: "Evaluation" }).click();
    await shows.address(page, /#gallery-evaluation$/);
    await page.getByRole("button", { name: "Evaluate", exact: true }).click();
    await shows.text(
      page.locator("gallery-evaluation"),
      /Recall@1\s+\d+\.\d %/,
      /mAP/,
      /Worst queries/,
      /Labels, the worst first/,
    );
    await shows.count(page.locator(".gallery-table").last().locator("tbody tr"), LABELS.length);
    await eventually(
      () =>
        page
          .locator(".gallery-worst > li")
          .evaluateAll((rows) =>
            rows.map((row) => [...row.querySelectorAll("img")].filter(({ naturalWidth }) => naturalWidth > 20).length),
          ),
      (pictures) => assert.ok(pictures.length > 3 && pictures.every((count) => count === 6), pictures.join()),
    );
    await eventually(
      () => page.locator(".gallery-worst [data-mark=wrong]").count(),
      (count) => assert.ok(count > 0, "wrong answers are marked"),
    );
    await shoot("gallery-evaluation");
    const json = await saved(page, () => page.getByRole("button", { name: "Save as JSON" }).click());
    const report = JSON.parse(readFileSync(json.path, "utf8"));
    assert.deepEqual([report.queries, report.images], [ALL - 1, ALL - 1]);
    assert.ok(!JSON.stringify(report).includes("data:image"), "the pictures stay behind");
    const result = await saved(page, () => page.getByRole("button", { name: "Save evaluate_result.json" }).click());
    assert.equal(result.name, "evaluate_result.json");
    assert.ok(JSON.parse(readFileSync(result.path, "utf8")).metrics.recall1 > 0);
  },
);

onPage(
  "a gallery is saved, survives a reload, is opened without a model, written as a file, and deleted",
  {},
  async (page, shoot) => {
    await build(page);
    await page.getByRole("textbox", { name: "Name" }).fill("My shop");
    await page.getByRole("button", { name: "Save in this browser" }).click();
    await shows.text(head(page), /My shop/, /· saved/);
    await page.reload();
    await shows.text(
      page.getByRole("region", { name: "Kept in this browser" }),
      /My shop/,
      new RegExp(`${ALL} images`),
    );
    await shoot("gallery-kept");
    await page.getByRole("button", { name: "Open My shop" }).click();
    await inState(page, "open");
    await page.locator(".gallery-grid button").first().click();
    await shows.count(hits(page), 24);
    // an image of one's own needs the model
    await give(page, "drop", join(FOLDER, "Kiwi", readdirSync(join(FOLDER, "Kiwi"))[0]), "mine.jpg");
    await shows.text(page.getByRole("alert"), /no model is loaded/);

    const file = await saved(page, () => page.getByRole("button", { name: "Save as a file" }).click());
    assert.equal(file.name, "My_shop.safetensors");
    await page.getByRole("combobox", { name: "Form of the file" }).selectOption("jsonl");
    const lines = await saved(page, () => page.getByRole("button", { name: "Save as a file" }).click());
    assert.equal(readFileSync(lines.path, "utf8").trim().split("\n").length, ALL);
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Delete My shop" }).click();
    await shows.count(page.getByRole("region", { name: "Kept in this browser" }), 0);
    await page.setInputFiles("input[name=gallery-file]", {
      name: "shop.safetensors",
      mimeType: "application/octet-stream",
      buffer: readFileSync(file.path),
    });
    await inState(page, "open");
    await shows.text(head(page), /shop/, new RegExp(`${ALL} images`));
    await page.getByRole("button", { name: "Close" }).click();

    await page.setInputFiles("input[name=gallery-file]", {
      name: "torn.safetensors",
      mimeType: "application/octet-stream",
      buffer: readFileSync(file.path).subarray(0, 5000),
    });
    await shows.text(page.getByRole("alert"), /could not be made[\s\S]*torn[\s\S]*damaged[\s\S]*copy/);
    await page.setInputFiles("input[name=gallery-folder]", join(ROOT, "scripts"));
    await shows.text(page.getByRole("alert"), /no image is among these files/);
    await shoot("gallery-failed");
  },
);

onPage("a data set's lists give the gallery and the queries", {}, async (page, shoot) => {
  await loadModel(page);
  await page.setInputFiles("input[name=gallery-folder]", LISTED);
  await inState(page, "open");
  await shows.text(page.getByRole("alert"), /1 image of gallery\.txt and query\.txt is missing/);
  await shows.text(head(page), /20 images/);
  await page.getByRole("tab", { name: "Evaluation" }).click();
  await shows.text(page.getByRole("combobox", { name: "Queries" }), /the 10 images of query\.txt/);
  await page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await shows.text(page.locator("gallery-evaluation"), /Queries\s+10\s+against 20 images/);
  const pictures = await page.locator(".gallery-worst > li > .gallery-query img").count();
  assert.equal(pictures, await page.locator(".gallery-worst > li").count(), "each query is shown");
  await shoot("gallery-lists");
  // the vectors of the queries are there already: no image is sent to a worker
  await page.evaluate(() => {
    const { postMessage } = Worker.prototype;
    globalThis.methods = [];
    Worker.prototype.postMessage = function (message, ...more) {
      methods.push(message.method);
      return postMessage.call(this, message, ...more);
    };
  });
  await page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await eventually(
    () => page.evaluate(() => methods),
    (methods) => assert.ok(methods.includes("evaluateVectors"), String(methods)),
  );
  await shows.text(page.locator("gallery-evaluation"), /Queries\s+10\s+against 20 images/, /Took\s+\d/);
  assert.ok(!(await page.evaluate(() => methods)).includes("embed"));
});

onPage("of a large gallery only what can be seen is in the page", {}, async (page) => {
  const count = 6000;
  await page.evaluate(async (count) => {
    const { Gallery } = await import("/image-feature/index.js");
    const gallery = new Gallery({ dimension: 64 });
    const thumbnail = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let state = 1;
    const features = Float32Array.from(
      { length: 64 * count },
      () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) / 2 ** 24 - 0.5,
    );
    await gallery.addMany(
      Array.from({ length: count }, (_, at) => ({ id: `${at}.gif`, label: `label ${at % 50}`, meta: { thumbnail } })),
      features,
    );
    await gallery.save("large");
    gallery.dispose();
  }, count);
  await page.reload();
  await page.getByRole("button", { name: "Open large" }).click();
  await inState(page, "open");
  const cells = page.locator(".gallery-grid li");
  await eventually(
    () => cells.count(),
    (shown) => assert.ok(shown > 10 && shown < 120, `${shown} of ${count} are in the page`),
  );
  for (const part of [0.37, 0.9, 1]) {
    await page
      .locator(".gallery-scroller")
      .evaluate((scroller, part) => (scroller.scrollTop = part * scroller.scrollHeight), part);
    await eventually(
      () =>
        page.locator(".gallery-scroller").evaluate((scroller) => {
          const { top, bottom } = scroller.getBoundingClientRect();
          const seen = [...scroller.querySelectorAll("li")]
            .map((cell) => cell.getBoundingClientRect())
            .filter((cell) => cell.bottom > top && cell.top < bottom);
          return {
            covered:
              seen.length > 0 &&
              Math.min(...seen.map((cell) => cell.top)) <= top + 8 &&
              Math.max(...seen.map((cell) => cell.bottom)) >= bottom - 8,
            shown: scroller.querySelectorAll("li").length,
          };
        }),
      ({ covered, shown }) => assert.ok(covered && shown < 120, `${covered}, ${shown} cells at ${part}`),
    );
  }
  await shows.count(page.locator(`.gallery-grid button[title="${count - 1}.gif"]`), 1);
  await page.locator(`.gallery-grid button[title="${count - 1}.gif"]`).click();
  await shows.text(page.locator(".gallery-query"), /5999\.gif/, /24 hits/);
});

onPage("the example of the documentation runs", {}, async (page) => {
  const photos = readdirSync(join(FOLDER, "Mango")).map((name) => ({
    name,
    data: readFileSync(join(FOLDER, "Mango", name)).toString("base64"),
  }));
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  const kept = await page.evaluate(async (photos) => {
    globalThis.photos = photos.map(
      ({ name, data }) => new File([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))], name),
    );
    globalThis.photo = globalThis.photos[2];
    await import("/example.js");
    const { Gallery } = await import("/image-feature/index.js");
    return (await Gallery.list()).map(({ name, count }) => [name, count]);
  }, photos);
  assert.deepEqual(kept, [["shop", EACH]]);
  await eventually(
    () => said,
    (lines) => assert.equal(lines.filter((line) => / tea /.test(line)).length, 5, lines.join("; ")),
  );
  assert.ok(said.find((line) => / tea /.test(line)).includes(photos[2].name), said.join("; "));
});

for (const [name, options] of Object.entries({
  dark: { colorScheme: "dark" },
  mobile: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
})) {
  onPage(`no part of a gallery is wider than the screen (${name})`, options, async (page, shoot) => {
    const fits = async () => {
      const { scrollWidth, clientWidth } = await page.evaluate(() => ({
        scrollWidth: document.documentElement.scrollWidth,
        clientWidth: document.documentElement.clientWidth,
      }));
      assert.ok(scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth}`);
    };
    await fits();
    await build(page);
    await page.locator(".gallery-grid button").first().click();
    await shows.count(hits(page), 24);
    await fits();
    await shoot(`gallery-search-${name}`);
    await page.getByRole("tab", { name: "Evaluation" }).click();
    await page.getByRole("button", { name: "Evaluate", exact: true }).click();
    await shows.text(page.locator("gallery-evaluation"), /Worst queries/);
    await fits();
    await shoot(`gallery-evaluation-${name}`);
  });
}
