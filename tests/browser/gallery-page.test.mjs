/** The page's collections, as a user sees them: a folder of photos, a search, duplicates, an evaluation, files. */

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
    const { page, close } = await openPage(browser, `${site.url}/?model=none#collections`, {
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
const hits = (page) => page.locator("search-view[data-query=true] .tile");
const openTab = (page, name) => page.getByRole("tab", { name, exact: true }).click();
const head = (page) => page.getByRole("region", { name: "This collection", includeHidden: true });

async function loadModel(page) {
  await page.setInputFiles("input[name=model]", MODEL_FILES);
  await page.waitForSelector("model-panel[data-state=ready]", { state: "attached" });
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
    await shows.text(page.locator("gallery-view"), /32 pictures wait for a model/);
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
    await shows.text(page.locator("gallery-view"), /Stopped: \d+ of 32 pictures looked at/);
    const values = await page.evaluate(() => globalThis.values);
    assert.ok(
      values.every((value, at) => at === 0 || value >= values[at - 1]) && new Set(values).size > 2,
      values.join(),
    );
    await page.getByRole("button", { name: "Go on" }).click();
    await inState(page, "open");
    await shows.text(
      head(page),
      new RegExp(`${ALL} pictures · cosine, f32, 512 values · not saved`),
      /1 picture could not be added/,
    );
    await page.getByRole("link", { name: "Search it" }).click();
    const tiles = page.locator(".tile");
    await shows.count(tiles, ALL);
    await eventually(
      () =>
        page
          .locator(".tile img")
          .evaluateAll(
            (all) =>
              all.filter(({ src, naturalWidth }) => src.startsWith("data:image/webp") && naturalWidth > 20).length,
          ),
      (count) => assert.equal(count, ALL),
    );

    const [banana] = readdirSync(join(FOLDER, "Banana"));
    const photo = join(FOLDER, "Banana", banana);
    await give(page, "drop", photo, "dropped.jpg");
    await shows.text(page.locator("query-panel"), /dropped\.jpg/, new RegExp(`${ALL} pictures, compared in`));
    await shows.text(hits(page).first(), new RegExp(`Banana/${banana}[\\s\\S]*1\\.000`));
    await shoot("gallery-search");
    const slider = page.getByRole("slider", { name: "At least this alike" });
    const set = (value) =>
      slider.evaluate((input, value) => {
        input.value = value === "lowest" ? input.min : value;
        input.dispatchEvent(new Event("input"));
      }, value);
    await set("0.9999");
    await shows.count(hits(page), 1);
    await set("lowest");
    await shows.count(hits(page), ALL);
    await page.getByRole("combobox", { name: "Label" }).selectOption({ label: "Lemon (6)" });
    await eventually(
      () => hits(page).locator(".tile-label").allInnerTexts(),
      (labels) => assert.deepEqual(labels, Array(6).fill("Lemon")),
    );
    await page.getByRole("combobox", { name: "Label" }).selectOption({ label: "all labels" });
    await page.getByRole("searchbox", { name: "Name or label" }).fill("kiwi");
    await eventually(
      () => hits(page).locator(".tile-label").allInnerTexts(),
      (labels) => assert.ok(labels.length >= EACH && labels.length < ALL, `${labels}`),
    );
    await page.getByRole("searchbox", { name: "Name or label" }).fill("");
    await give(page, "paste", photo, "pasted.jpg");
    await shows.text(page.locator("query-panel"), /pasted\.jpg/);
    await shows.count(hits(page), ALL);
    const pressed = await tiles.nth(2).getAttribute("title");
    await tiles.nth(2).click();
    await shows.text(page.locator("query-panel h2"), new RegExp(pressed.replaceAll(/[.+]/g, "\\$&")));
    await shows.count(hits(page), ALL - 1);
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
    await openTab(page, "Duplicates");
    await shows.text(page.locator("gallery-duplicates"), /groups?, \d+ pairs?/);
    await page.getByRole("slider", { name: "At least this alike" }).evaluate((input) => {
      input.value = "0.99999";
      input.dispatchEvent(new Event("input"));
    });
    await shows.text(page.locator("gallery-duplicates"), /2 pictures in 1 group, 1 pair/, /Likeness 1\.000/);
    await shoot("gallery-duplicates");
    const list = await saved(page, () => page.getByRole("button", { name: "Save the list (CSV)" }).click());
    assert.match(readFileSync(list.path, "utf8"), /^\ufeffgroup,picture,label,closest_score\r\n1,"/);
    await page.getByRole("button", { name: "Take out Lime/again.jpg" }).click();
    await shows.text(page.locator("gallery-duplicates"), /No two pictures are that alike/);
    await page.getByRole("button", { name: "Undo" }).click();
    await shows.text(page.locator("gallery-duplicates"), /2 pictures in 1 group, 1 pair/);
    await page.getByRole("button", { name: "Take out Lime/again.jpg" }).click();
    await shows.text(page.locator("gallery-duplicates"), /No two pictures are that alike/);
    await openTab(page, "Collections");
    await shows.text(head(page), new RegExp(`${ALL - 1} pictures`));

    await openTab(page, "Evaluate");
    await shows.address(page, /#evaluate$/);
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
      new RegExp(`${ALL} pictures`),
    );
    await shoot("gallery-kept");
    await page.getByRole("button", { name: "Open My shop" }).click();
    await inState(page, "open");
    await openTab(page, "Search");
    await page.locator(".tile").first().click();
    await shows.count(hits(page), ALL - 1);
    // an image of one's own needs the model
    await give(page, "drop", join(FOLDER, "Kiwi", readdirSync(join(FOLDER, "Kiwi"))[0]), "mine.jpg");
    await shows.text(page.getByRole("alert"), /no model is loaded/);
    await openTab(page, "Collections");

    const file = await saved(page, () => page.getByRole("button", { name: "Save as a file" }).click());
    assert.equal(file.name, "My_shop.safetensors");
    await page.getByRole("combobox", { name: "Form of the file" }).selectOption("jsonl");
    const lines = await saved(page, () => page.getByRole("button", { name: "Save as a file" }).click());
    assert.equal(readFileSync(lines.path, "utf8").trim().split("\n").length, ALL);
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.getByRole("button", { name: "Undo" }).click();
    await shows.text(head(page), /My shop/, new RegExp(`${ALL} pictures`));
    await page.getByRole("button", { name: "Close", exact: true }).click();
    const kept = page.getByRole("region", { name: "Kept in this browser" });
    await page.getByRole("button", { name: "Rename My shop" }).click();
    await kept.getByRole("textbox", { name: "Name" }).fill("Our shop");
    await kept.getByRole("textbox", { name: "Name" }).press("Enter");
    await page.getByRole("button", { name: "Delete Our shop" }).click();
    await shows.count(kept, 0);
    await page.getByRole("button", { name: "Undo" }).click();
    await shows.text(kept, /Our shop/, new RegExp(`${ALL} pictures`));
    await page.getByRole("button", { name: "Delete Our shop" }).click();
    await shows.count(kept, 0);
    await page.setInputFiles("input[name=gallery-file]", {
      name: "shop.safetensors",
      mimeType: "application/octet-stream",
      buffer: readFileSync(file.path),
    });
    await inState(page, "open");
    await shows.text(head(page), /shop/, new RegExp(`${ALL} pictures`));
    await page.getByRole("button", { name: "Close", exact: true }).click();

    await page.setInputFiles("input[name=gallery-file]", {
      name: "torn.safetensors",
      mimeType: "application/octet-stream",
      buffer: readFileSync(file.path).subarray(0, 5000),
    });
    await shows.text(page.getByRole("alert"), /could not be made[\s\S]*torn[\s\S]*damaged[\s\S]*copy/);
    await page.setInputFiles("input[name=gallery-folder]", join(ROOT, "scripts"));
    await shows.text(page.getByRole("alert"), /no picture is among these files/);
    await shoot("gallery-failed");
  },
);

onPage("a data set's lists give the gallery and the queries", {}, async (page, shoot) => {
  await loadModel(page);
  await page.setInputFiles("input[name=gallery-folder]", LISTED);
  await inState(page, "open");
  await shows.text(page.getByRole("alert"), /1 picture of gallery\.txt and query\.txt cannot be found/);
  await shows.text(head(page), /20 pictures/);
  await openTab(page, "Evaluate");
  await shows.text(page.getByRole("combobox", { name: "Queries" }), /the 10 pictures of query\.txt/);
  await page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await shows.text(page.locator("gallery-evaluation"), /Queries\s+10\s+against 20 pictures/);
  const pictures = await page.locator(".gallery-worst > li > .gallery-query img").count();
  assert.equal(pictures, await page.locator(".gallery-worst > li").count(), "each query is shown");
  await shoot("gallery-lists");
  // the vectors of the queries are there already: no image is sent to a worker, once those of the sample are done
  await eventually(
    () => page.evaluate(async () => (await import("/demo/sample-gallery.js")).sampleGallery.complete),
    (complete) => assert.ok(complete),
  );
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
  await shows.text(page.locator("gallery-evaluation"), /Queries\s+10\s+against 20 pictures/, /Took\s+\d/);
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
  await openTab(page, "Search");
  const cells = page.locator(".picture-grid li");
  await eventually(
    () => cells.count(),
    (shown) => assert.ok(shown > 10 && shown < 120, `${shown} of ${count} are in the page`),
  );
  for (const part of [0.37, 0.9, 1]) {
    await page.evaluate((part) => scrollTo(0, part * document.documentElement.scrollHeight), part);
    await eventually(
      () =>
        page.evaluate(() => {
          const seen = [...document.querySelectorAll(".picture-grid li")]
            .map((cell) => cell.getBoundingClientRect())
            .filter((cell) => cell.bottom > 0 && cell.top < innerHeight);
          // below the last row there is the page's margin
          const end = document.querySelector(".picture-grid").getBoundingClientRect().bottom;
          return {
            covered:
              seen.length > 0 &&
              Math.min(...seen.map((cell) => cell.top)) <= 8 &&
              Math.max(...seen.map((cell) => cell.bottom)) >= Math.min(innerHeight, end) - 8,
            shown: document.querySelectorAll(".picture-grid li").length,
          };
        }),
      ({ covered, shown }) => assert.ok(covered && shown < 120, `${covered}, ${shown} cells at ${part}`),
    );
  }
  await shows.count(page.locator(`.tile[title="${count - 1}.gif"]`), 1);
  await page.locator(`.tile[title="${count - 1}.gif"]`).click();
  await shows.text(page.locator("query-panel"), /5999\.gif/, /600 pictures/);
  // further results are asked for at the end of these
  await eventually(
    async () => {
      // the page may still be growing
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      return page.locator("query-panel").innerText();
    },
    (text) => assert.match(text, /[1-6],[0-9]00 pictures/),
  );
  // the keyboard: one stop for all, the arrows go on, also to what is not drawn yet
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole("button", { name: "Show all again" }).click();
  await page.locator(".tile[title='0.gif']").focus();
  assert.equal(await page.locator(".picture-grid button[tabindex='0']").count(), 1);
  await page.keyboard.press("ArrowRight");
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("title"));
  await eventually(focused, (title) => assert.equal(title, "1.gif"));
  await page.keyboard.press("End");
  await eventually(focused, (title) => assert.equal(title, `${count - 1}.gif`));
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
    await openTab(page, "Search");
    await page.locator(".tile").first().click();
    await shows.text(page.locator("query-panel"), new RegExp(`${ALL - 1} pictures`));
    await fits();
    await shoot(`gallery-search-${name}`);
    await openTab(page, "Evaluate");
    await page.getByRole("button", { name: "Evaluate", exact: true }).click();
    await shows.text(page.locator("gallery-evaluation"), /Worst queries/);
    await fits();
    await shoot(`gallery-evaluation-${name}`);
  });
}
