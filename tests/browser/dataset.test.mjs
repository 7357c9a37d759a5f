/** Data sets in the browser: through the package, through its WebAssembly, and in the page. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { cases, png, unzipStored, zipStored } from "./dataset-cases.mjs";
import {
  HANG_MS,
  ROOT,
  SHARED,
  WWW,
  launch,
  openPage,
  requireWasm,
  serveDouble,
  shows,
  tar,
  withoutGolden,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

const SCREENSHOTS = join(ROOT, "target/screenshots");
const DATA = join(SHARED, "data");
const withoutData = existsSync(DATA) ? false : `no data at ${DATA}`;
/** The most memory that a worker may take for hostile files. Some of them claim far more. */
const MOST_MEMORY = 256 * 2 ** 20;

let browser;
let site;

before(async () => {
  requireWasm(["dataset"]);
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/tests/", join(ROOT, "tests/browser")],
      ["/shared/", SHARED],
    ],
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/**
 * @param {string} name
 * @param {{ skip?: string | false, options?: import("playwright-core").BrowserContextOptions }} settings
 * @param {(page: import("playwright-core").Page, shoot: (name: string) => Promise<unknown>) => Promise<void>} body
 */
function onPage(name, { skip = false, options = {} }, body) {
  test(name, { timeout: HANG_MS, skip }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/?model=none#data-set`, {
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    page.setDefaultTimeout(120_000);
    await page.evaluate(async () => {
      globalThis.api = await import("/image-feature/index.js");
    });
    await body(page, (name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true }));
    assert.deepEqual(await close(), []);
  });
}

/** As many as a training batch takes. */
const CLASSES = 36;

/** Pictures that are nothing like each other. */
function photo(seed) {
  let state = seed * 7919 + 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  const blocks = Array.from({ length: 144 }, () => [random(), random(), random()]);
  return png(48, 48, (x, y) => blocks[(y >> 2) * 12 + (x >> 2)]);
}

/** A clean data set: of each class two images for training, one for the gallery, and a query. */
function small() {
  const files = [];
  const lists = { train: [], gallery: [], query: [] };
  for (let label = 0; label < CLASSES; label++) {
    ["train", "train", "gallery", "query"].forEach((list, copy) => {
      const path = `images/${label}_${copy}.png`;
      files.push([path, photo(4 * label + copy)]);
      lists[list].push(`${path} ${label}\n`);
    });
  }
  for (const [list, rows] of Object.entries(lists)) files.push([`${list}.txt`, Buffer.from(rows.join(""))]);
  return files;
}

const zipped = (files) => Buffer.concat([...zipStored(files)]);

/** @param {string} name @param {[string, Buffer][]} files */
const archive = (name, files) => ({ name, mimeType: "application/zip", buffer: zipped(files) });

const chooseArchive = (page, file) => page.setInputFiles("input[name=dataset-archive]", file);

const inState = (page, state) => page.waitForSelector(`dataset-view[data-state=${state}]`);

/** The next file that the page saves. */
async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

for (const [release, compat] of [
  ["v372", "paddlex"],
  ["beta1", "paddlex-beta"],
]) {
  onPage(`every golden of ${release}: verdict, JSON and lists are PaddleX's`, { skip: withoutGolden }, async (page) => {
    const all = cases(release);
    assert.ok(all.length >= 40, `${all.length} cases`);
    const runs = await page.evaluate(
      async ({ all, compat }) => {
        const run = async ({ folder, files, convert, split }) => {
          const blobs = Object.entries(files).map(([path, base64]) => [
            path,
            new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))]),
          ]);
          const dataset = await api.Dataset.open(blobs, { name: `<ROOT>/${folder}`, workers: 1 });
          let verdict = { passed: true };
          if (convert) verdict = await dataset.convert({ ...convert, compat });
          if (verdict.passed && split) verdict = await dataset.split({ ...split, compat });
          if (verdict.passed) verdict = await dataset.check({ compat });
          const zip = new Uint8Array(await (await dataset.toZip()).arrayBuffer());
          dataset.dispose();
          return { ...verdict, zip: Array.from(zip, (byte) => String.fromCharCode(byte)).join("") };
        };
        const runs = [];
        for (const one of all) runs.push(await run(one).catch((error) => ({ error: String(error) })));
        return runs;
      },
      { all, compat },
    );
    for (const [index, { case: name, result, lists, outFiles }] of all.entries()) {
      const { error, passed, json, log, samples = [], zip } = runs[index];
      assert.equal(error, undefined, name);
      assert.equal(JSON.stringify(JSON.parse(json)), JSON.stringify(result), `${name}: ${log}`);
      assert.equal(passed, result.done_flag, name);
      const isList = (path) => !path.includes("/") && /\.(txt|bak)$/.test(path);
      const left = Object.fromEntries(
        [...unzipStored(Buffer.from(zip, "latin1"))]
          .filter(([path]) => isList(path))
          .map(([path, bytes]) => [path, bytes.toString()]),
      );
      assert.deepEqual(left, lists, `${name}: lists`);
      const drawn = [
        ...new Set(samples.map((sample) => `check_dataset/demo_img/${sample}`)),
        ...(passed ? ["check_dataset/histogram.png"] : []),
        "check_dataset_result.json",
      ];
      assert.deepEqual(drawn.sort(), [...outFiles].sort(), `${name}: files`);
    }
  });
}

/**
 * A worker with the WebAssembly alone. After a trap the next request gets a new one.
 *
 * @param {import("playwright-core").Page} page
 */
async function openBench(page) {
  await page.evaluate(() => {
    let worker;
    globalThis.ask = (request) =>
      new Promise((resolve) => {
        worker ??= new Worker("/tests/dataset-worker.mjs", { type: "module" });
        worker.onerror = ({ message }) => resolve({ error: `the worker stopped: ${message}` });
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(request);
      });
  });
  return (request) => page.evaluate((request) => ask(request), request);
}

onPage(
  "hostile archives have the verdict they have natively, in bounded memory",
  { skip: withoutData },
  async (page) => {
    const read = (file) =>
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .slice(1)
        .map((row) => row.split("\t"));
    const different = new Map(read(join(ROOT, "tests/archives/torture.tsv")).map(([name, verdict]) => [name, verdict]));
    const python = (text) => ({ ok: "whole", OPEN: "refused" })[text.split(" ")[0]] ?? "part";
    const ask = await openBench(page);
    let most = 0;
    const complaints = [];
    const rows = read(join(DATA, "torture_zip/python_zipfile_verdicts.tsv"));
    assert.ok(rows.length > 80, `${rows.length} archives`);
    for (const [path, , verdict] of rows) {
      const { value, memory, error } = await ask({
        archive: `/shared/data/torture_zip/${path.split("/").map(encodeURIComponent).join("/")}`,
      });
      const expected = different.get(path.split("/").at(-1)) ?? python(verdict);
      if (error || value !== expected) complaints.push(`${path}: ${error ?? value}, expected ${expected}`);
      most = Math.max(most, memory ?? 0);
    }
    assert.deepEqual(complaints, []);
    console.log(`# ${rows.length} archives in ${(most / 2 ** 20).toFixed(0)} MiB`);
    assert.ok(most < MOST_MEMORY, `${most} bytes of memory`);
  },
);

onPage("no hostile image stops the WebAssembly", { skip: withoutData }, async (page) => {
  const folder = join(DATA, "torture_images");
  const files = readdirSync(folder, { recursive: true }).filter(
    (path) => statSync(join(folder, path)).isFile() && !path.endsWith(".tsv"),
  );
  assert.ok(files.length > 800, `${files.length} images`);
  const ask = await openBench(page);
  let decoded = 0;
  let most = 0;
  for (let at = 0; at < files.length; at += 40) {
    const some = files.slice(at, at + 40);
    const images = some.map(
      (path) => `/shared/data/torture_images/${path.split("/").map(encodeURIComponent).join("/")}`,
    );
    const { value, memory, error } = await ask({ images });
    assert.equal(error, undefined, `among ${some.join(", ")}`);
    for (const [index, { problem, pixels }] of value.entries())
      assert.ok(Boolean(problem) !== Boolean(pixels), `${some[index]}: pixels or the reason why not`);
    decoded += value.filter(({ pixels }) => pixels).length;
    most = Math.max(most, memory);
  }
  console.log(`# ${files.length} images, ${decoded} decoded, in ${(most / 2 ** 20).toFixed(0)} MiB`);
  assert.ok(decoded > 100 && decoded < files.length, `${decoded} decoded`);
  assert.ok(most < MOST_MEMORY, `${most} bytes of memory`);
});

onPage("a data set is opened from whatever a browser has", {}, async (page) => {
  const files = small().map(([path, bytes]) => [path, bytes.toString("base64")]);
  const reports = await page.evaluate(
    async ({ files, zip, tgz }) => {
      const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const top = await (await navigator.storage.getDirectory()).getDirectoryHandle("shop", { create: true });
      for (const [path, content] of files) {
        let folder = top;
        const parts = path.split("/");
        for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create: true });
        const writer = await (await folder.getFileHandle(parts.at(-1), { create: true })).createWritable();
        await writer.write(bytes(content));
        await writer.close();
      }
      const gzipped = (stream) => new Response(stream.pipeThrough(new CompressionStream("gzip"))).blob();
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes(zip)], "dropped.zip"));
      const inputs = {
        file: new File([bytes(zip)], "shop.zip"),
        blob: new Blob([bytes(zip)]),
        "tar.gz": new File([bytes(tgz)], "shop.tar.gz"),
        "folder's handle": top,
        "dropped item": transfer.items[0],
        "dropped files": transfer.files,
        paths: files.map(([path, content]) => [path, new Blob([bytes(content)])]),
        "files alone": files
          .filter(([path]) => path.endsWith(".txt"))
          .map(([path, content]) => new File([bytes(content)], path)),
        "not an archive": new File(["hello"], "notes.txt"),
        "gzip of no tar": new File([await gzipped(new Blob(["hello"]).stream())], "x.tar.gz"),
        number: 7,
      };
      const reports = {};
      for (const [name, input] of Object.entries(inputs)) {
        try {
          const dataset = await api.Dataset.open(input);
          const { name: called, passed, images, thumbnails, findings } = await dataset.check();
          reports[name] = {
            called,
            passed,
            decoded: images.decoded,
            pictures: Object.values(thumbnails).filter((uri) => uri.startsWith("data:image/jpeg;base64,")).length,
            findings: findings.map(({ code, reason }) => `${code} ${reason}`).join("; "),
          };
          dataset.dispose();
        } catch (error) {
          reports[name] = [error.name, error.kind, error.message];
        }
      }
      return reports;
    },
    {
      files,
      zip: zipped(small()).toString("base64"),
      tgz: gzipSync(tar(small().map(([name, bytes]) => ({ name, bytes })))).toString("base64"),
    },
  );
  const good = (called) => ({ called, passed: true, decoded: 144 });
  const expected = {
    file: "shop.zip",
    blob: "data set",
    "tar.gz": "shop.tar.gz",
    "folder's handle": "shop",
    "dropped item": "dropped.zip",
    "dropped files": "dropped.zip",
    paths: "data set",
  };
  for (const [name, called] of Object.entries(expected)) {
    const { findings, pictures, ...rest } = reports[name];
    assert.deepEqual(rest, good(called), `${name}: ${findings}`);
    assert.ok(pictures >= 36, `${name}: ${pictures} small pictures`);
  }
  assert.deepEqual([reports["files alone"].passed, reports["files alone"].decoded], [false, 0]);
  for (const [name, kind] of [
    ["not an archive", "unsupported"],
    ["gzip of no tar", "decode"],
    ["number", "usage"],
  ]) {
    assert.deepEqual(
      reports[name].slice?.(0, 2),
      ["ImageFeatureError", kind],
      `${name}: ${JSON.stringify(reports[name])}`,
    );
  }
});

onPage("a folder that cannot be listed is a finding, and does not end the others", {}, async (page) => {
  const outcome = await page.evaluate(
    async (files) => {
      const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("partly", { create: true });
      for (const [path, content] of files) {
        const parts = path.split("/");
        let inner = folder;
        for (const part of parts.slice(0, -1)) inner = await inner.getDirectoryHandle(part, { create: true });
        const writable = await (await inner.getFileHandle(parts.at(-1), { create: true })).createWritable();
        await writable.write(bytes(content));
        await writable.close();
      }
      await folder.getDirectoryHandle("shut", { create: true });
      await folder.getFileHandle("gone.jpg", { create: true });
      const { values } = FileSystemDirectoryHandle.prototype;
      const { getFile } = FileSystemFileHandle.prototype;
      FileSystemDirectoryHandle.prototype.values = function () {
        if (this.name === "shut") throw new DOMException("no", "NotAllowedError");
        return values.call(this);
      };
      FileSystemFileHandle.prototype.getFile = function () {
        return this.name === "gone.jpg" ? Promise.reject(new DOMException("no", "NotFoundError")) : getFile.call(this);
      };
      try {
        const dataset = await api.Dataset.open(folder);
        const { name, images, findings } = await dataset.check();
        dataset.dispose();
        const told = findings.filter(({ code }) => code === "I001").map(({ image, reason }) => [image, reason]);
        const shut = await folder.getDirectoryHandle("shut");
        const alone = await api.Dataset.open(shut).then(
          () => "fine",
          ({ kind, message }) => `${kind}: ${message}`,
        );
        return { name, decoded: images.decoded, told, alone };
      } finally {
        Object.assign(FileSystemDirectoryHandle.prototype, { values });
        Object.assign(FileSystemFileHandle.prototype, { getFile });
      }
    },
    small().map(([path, content]) => [path, content.toString("base64")]),
  );
  const { name, decoded, told, alone } = outcome;
  assert.deepEqual([name, decoded], ["partly", 144]);
  assert.deepEqual(told.map(([image]) => image).sort(), ["gone.jpg", "shut"]);
  for (const [, reason] of told) assert.match(reason, /^path-unreadable: it cannot be looked at/);
  assert.match(alone, /^io: shut could not be read/);
});

onPage("archives of other formats are named", {}, async (page) => {
  const errors = await page.evaluate(async () => {
    const starts = {
      "7z": [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4],
      rar: [0x52, 0x61, 0x72, 0x21, 0x1a, 7, 1, 0],
      page: [...new TextEncoder().encode("<!DOCTYPE html><html>403</html>")],
    };
    const errors = {};
    for (const [name, start] of Object.entries(starts)) {
      errors[name] = await api.Dataset.open(new File([new Uint8Array(start)], "shop.zip")).then(
        () => "fine",
        ({ kind, message }) => `${kind}: ${message}`,
      );
    }
    return errors;
  });
  assert.deepEqual(errors, {
    "7z": "unsupported: shop.zip: a 7z archive, which is not read; unpack it, or pack it as .zip or .tar.gz",
    rar: "unsupported: shop.zip: a rar archive, which is not read; unpack it, or pack it as .zip or .tar.gz",
    page:
      "unsupported: shop.zip: not an archive but an HTML page; download the file again: this looks like a server's " +
      "answer in its place, such as an error or a login",
  });
});

onPage("calls wait for each other, stop when they are told to, and end with dispose", {}, async (page) => {
  const outcome = await page.evaluate(async (zip) => {
    const bytes = Uint8Array.from(atob(zip), (character) => character.charCodeAt(0));
    const tell = (promise) =>
      promise.then(
        () => "fine",
        ({ name, kind }) => `${name} ${kind}`,
      );
    const dataset = await api.Dataset.open(new File([bytes], "shop.zip"), { workers: 2 });
    const events = [];
    const stop = new AbortController();
    const aborted = tell(
      dataset.check({
        signal: stop.signal,
        onProgress: (event) => {
          events.push(event);
          stop.abort();
        },
      }),
    );
    const told = { aborted: await aborted, before: await tell(dataset.check({ signal: AbortSignal.abort() })) };
    const fractions = [];
    const [report, zipAgain] = await Promise.all([
      dataset.check({ onProgress: ({ stage, fraction }) => fractions.push(`${stage} ${fraction}`) }),
      dataset.toZip(),
    ]);
    const sizes = await dataset.split({ train: 50, gallery: 25, query: 25, seed: 3 });
    const paths = await dataset.paths();
    const rows = new TextDecoder()
      .decode(await dataset.read("train.txt"))
      .trim()
      .split("\n").length;
    const wrong = {
      percent: await tell(dataset.split({ train: 50 })),
      sum: await tell(dataset.split({ train: 50, gallery: 25, query: 20 })),
      batch: await tell(dataset.check({ batchSize: 0 })),
      seed: await tell(dataset.split({ seed: -1 })),
      by: await tell(dataset.split({ by: "colour" })),
      compat: await tell(dataset.check({ compat: "paddle" })),
      form: await tell(dataset.convert({ from: "yolo" })),
      divisions: await tell(dataset.convert({ from: "folders", divisions: "perhaps" })),
      column: await tell(dataset.convert({ from: "csv", labelColumn: {} })),
      path: await tell(dataset.read("gone.txt")),
      encoding: await tell(api.Dataset.open(new File([bytes], "shop.zip"), { encoding: "klingon" })),
      workers: await tell(api.Dataset.open(new File([bytes], "shop.zip"), { workers: 0 })),
    };
    const running = tell(dataset.check({ onProgress: () => dataset.dispose() }));
    return {
      told,
      stage: events[0].stage,
      passed: report.passed,
      size: zipAgain.size,
      fractions,
      sizes,
      rows,
      paths,
      wrong,
      ended: [await running, await tell(dataset.check())],
    };
  }, zipped(small()).toString("base64"));
  const { told, stage, passed, size, fractions, sizes, rows, paths, wrong, ended } = outcome;
  assert.deepEqual(told, { aborted: "ImageFeatureError cancelled", before: "ImageFeatureError cancelled" });
  assert.equal(stage, "check");
  assert.ok(passed && size > 144 * 100, `${passed}, ${size} bytes`);
  assert.equal(fractions.at(-1), "check 1");
  assert.ok(
    fractions.every(
      (text, index) => index === 0 || Number(text.split(" ")[1]) >= Number(fractions[index - 1].split(" ")[1]),
    ),
    fractions.join(),
  );
  assert.deepEqual(sizes, { train: 72, gallery: 36, query: 36 });
  assert.equal(rows, 72);
  assert.deepEqual([paths.length, paths.at(-1)], [147, "train.txt"]);
  for (const [name, told] of Object.entries(wrong)) assert.equal(told, "ImageFeatureError usage", name);
  assert.deepEqual(ended, ["ImageFeatureError usage", "ImageFeatureError usage"]);
});

onPage("divisions, columns and encodings are those of the program", {}, async (page) => {
  const outcome = await page.evaluate(async () => {
    const image = new TextEncoder().encode("P3 1 1 255  9 9 9");
    const opened = (files) =>
      api.Dataset.open(
        Object.entries(files).map(([path, bytes]) => [path, new Blob([bytes])]),
        { encoding: "gbk", workers: 1 },
      );
    const told = async (files, options) => {
      const dataset = await opened(files);
      try {
        const outcome = await dataset.convert(options);
        const text = new TextDecoder().decode(await dataset.read("label.txt"));
        return { ...outcome, classes: text.trim().split("\n") };
      } catch ({ kind, message }) {
        return { kind, message };
      } finally {
        dataset.dispose();
      }
    };
    const pets = { "train/cat/1.ppm": image, "train/dog/2.ppm": image, "val/cat/3.ppm": image, "val/dog/4.ppm": image };
    const mixed = { ...pets, "bird/5.ppm": image };
    // "a.ppm,绿茶" and "a.ppm 0" with 绿 in the path, in GBK
    const table = [...new TextEncoder().encode("id,path,label\n7,a.ppm,"), 0xc2, 0xcc, 0xb2, 0xe8, 10];
    const list = [...new TextEncoder().encode("images/"), 0xc2, 0xcc, ...new TextEncoder().encode(".ppm 0\n")];
    const csv = { "list.csv": new Uint8Array(table), "a.ppm": image };
    const dataset = await opened({ "images/绿.ppm": image, "train.txt": new Uint8Array(list) });
    const report = await dataset.check({ thumbnails: false });
    dataset.dispose();
    return {
      pets: await told(pets, { from: "folders" }),
      mixed: await told(mixed, { from: "folders" }),
      classes: await told(mixed, { from: "folders", divisions: "no" }),
      csv: await told(csv, { from: "csv" }),
      byId: await told(csv, { from: "csv", labelColumn: "id" }).then(({ notes }) => notes.join()),
      decoded: report.images.decoded,
      codes: report.codes.map(({ code }) => code),
    };
  });
  assert.deepEqual(outcome.pets.classes, ["cat", "dog"]);
  assert.equal(outcome.pets.train, 2);
  assert.deepEqual(outcome.pets.notes[0], "train -> train.txt (2 images)");
  assert.equal(outcome.mixed.kind, "unsupported");
  assert.match(outcome.mixed.message, /`train`, `val` may be divisions/);
  assert.deepEqual(outcome.classes.classes, ["bird", "train", "val"]);
  assert.deepEqual(outcome.csv.classes, ["绿茶"]);
  assert.match(outcome.csv.notes.join(), /label is `label`, not used: `id`/);
  assert.match(outcome.byId, /label is `id`, name of the class is `label`/);
  assert.equal(outcome.decoded, 1);
  assert.ok(outcome.codes.includes("L004") && !outcome.codes.includes("F001"), outcome.codes.join());
});

test("an image that stops the WebAssembly is one that cannot be read; the others are looked at", {
  timeout: HANG_MS,
}, async () => {
  const glue = readFileSync(new URL("./double/dataset.js", import.meta.url));
  const double = await serveDouble({
    "/image-feature/wasm/dataset/image_feature.js": (response) =>
      response.writeHead(200, { "content-type": "text/javascript" }).end(glue),
  });
  const { page, close } = await openPage(browser, `${double.url}/?model=none`);
  const { facts, loaded } = await page.evaluate(async () => {
    const { Dataset } = await import("/image-feature/index.js");
    const dataset = await Dataset.open(new Blob(["x"]), { workers: 2 });
    let loaded = 0;
    const { facts } = await dataset.check({ onProgress: (event) => (loaded = event.loaded) });
    dataset.dispose();
    return { facts, loaded };
  });
  assert.equal(loaded, 20);
  facts.forEach((text, index) =>
    index === 7 ? assert.match(text, /^broken: the WebAssembly core stopped/) : assert.equal(text, `saw ${index}`),
  );
  assert.equal(facts.length, 20);
  assert.deepEqual(await close(), []);
  await double.close();
});

onPage(
  "in the page: faults are shown, names stay text, a copy is mended, divided and converted",
  {},
  async (page, shoot) => {
    const name = "<img src=x onerror=alert(1)>.png";
    const files = small();
    const train = files.find(([path]) => path === "train.txt");
    train[1] = Buffer.from(
      `\ufeff${train[1].toString().replaceAll("\n", "\r\n")}images/gone.png 1\r\nimages/${name} 7\r\n`,
    );
    files.push([`images/${name}`, photo(999)]);
    await shoot("dataset-empty");
    await chooseArchive(page, archive("shop.zip", files));
    await inState(page, "done");
    const report = page.locator("dataset-report");
    await shows.text(report, /1 error|\d errors/, /train\.txt/);
    assert.equal(await page.locator("dataset-report img[src=x]").count(), 0);
    await page.getByRole("searchbox", { name: "Search in findings" }).fill("onerror");
    await shows.text(page.locator(".report-findings"), /<img src=x onerror=alert\(1\)>\.png/);
    await page.getByRole("searchbox", { name: "Search in findings" }).fill("");
    await shoot("dataset-report-light");

    const json = await saved(page, () => page.getByRole("button", { name: "Save as JSON" }).click());
    assert.equal(json.name, "shop-report.json");
    assert.equal(JSON.parse(json.bytes.toString()).schema, "dataset-report");
    const html = await saved(page, () => page.getByRole("button", { name: "Save the report" }).click());
    const text = html.bytes.toString();
    assert.ok(
      !text.includes("<img") && !/^\s*(import|export) /m.test(text) && !/\{\{\w+\}\}/.test(text),
      "the file is whole and holds no name as HTML",
    );
    const alone = await page.context().newPage();
    await alone.setContent(text);
    await shows.text(alone.locator("dataset-report"), /shop\.zip/, /Findings/);
    await alone.close();

    await page.getByText("What would PaddleX say?").click();
    await page.getByRole("button", { name: "Ask" }).click();
    await shows.text(page.locator(".dataset-tools"), /PaddleX refuses it[\s\S]*"done_flag": false/);

    const mended = await saved(page, () => page.getByRole("button", { name: "Save a repaired copy (.zip)" }).click());
    await inState(page, "done");
    assert.equal(mended.name, "shop-mended.zip");
    const copy = unzipStored(mended.bytes);
    const mendedRows = copy.get("train.txt").toString().split("\n");
    assert.deepEqual(
      [mendedRows[0], mendedRows[72], mendedRows.length],
      ["images/0_0.png 0", "images/<img_src=x_onerror=alert(1)>.png 7", 74],
    );
    assert.match(copy.get("set_aside.tsv").toString(), /images\/gone\.png/);
    await shows.text(
      page.locator("dataset-view .notice"),
      /Repaired: 145 rows kept\. 1 row set aside .*\. 1 image renamed/,
    );
    await shows.text(report, /Passed/);

    await page.getByText("Divide the images again").click();
    for (const [label, value] of [
      ["Train %", 50],
      ["Gallery %", 25],
      ["Query %", 20],
    ])
      await page.getByRole("spinbutton", { name: label }).first().fill(`${value}`);
    await page.getByRole("button", { name: "Divide and save (.zip)" }).click();
    await shows.text(page.getByRole("alert"), /it must be 100/);
    await page.getByText("Divide the images again").click();
    for (const [label, value] of [
      ["Train %", 50],
      ["Gallery %", 25],
      ["Query %", 25],
    ])
      await page.getByRole("spinbutton", { name: label }).first().fill(`${value}`);
    const divided = await saved(page, () => page.getByRole("button", { name: "Divide and save (.zip)" }).click());
    const rows = (list) => unzipStored(divided.bytes).get(list).toString().trim().split("\n").length;
    const [forTraining, inGallery, queries] = ["train.txt", "gallery.txt", "query.txt"].map(rows);
    assert.equal(forTraining + inGallery + queries, 145);
    assert.ok(
      Math.abs(forTraining - 72.5) < 2 && Math.abs(inGallery - 36) < 2,
      `${forTraining}, ${inGallery}, ${queries}`,
    );
    await inState(page, "done");

    const folders = Array.from({ length: 8 }, (_, at) => [`${at % 2 ? "cup" : "shoe"}/${at}.png`, photo(at)]);
    await chooseArchive(page, archive("folders.zip", folders));
    await shows.text(report, /folders\.zip/, /errors/);
    await page.getByText("Convert from another form").click();
    const converted = await saved(page, () => page.getByRole("button", { name: "Convert and save (.zip)" }).click());
    assert.equal(unzipStored(converted.bytes).get("label.txt").toString(), "cup\nshoe\n");
    await inState(page, "done");

    await chooseArchive(page, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
    await shows.text(page.getByRole("alert"), /could not be read[\s\S]*notes\.txt[\s\S]*\.zip/);
    await shoot("dataset-failed");
  },
);

onPage("in the page: a folder is dropped, and one is picked", {}, async (page) => {
  const folder = join(ROOT, "target/dropped/shop");
  for (const [path, bytes] of small()) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"])
    await devtools.send("Input.dispatchDragEvent", { type, x: 800, y: 400, data });
  await inState(page, "done");
  await shows.text(page.locator("dataset-report"), /Passed/, /\bshop\b/, /144/);
  // files that are dropped on this tab are not added to the images
  assert.equal(await page.locator(".row").count(), 0);
  await page.setInputFiles("input[name=dataset-folder]", folder);
  await inState(page, "working");
  await inState(page, "done");
  await shows.text(page.locator("dataset-report"), /Passed/, /\bshop\b/);
});

onPage("in the page: names in an old encoding are guessed, and can be told", {}, async (page) => {
  const apple = Buffer.from([0xc6, 0xbb, 0xb9, 0xfb]); // GBK
  const files = small().map(([path, bytes]) =>
    path.endsWith(".txt")
      ? [path, Buffer.from(bytes.toString().replaceAll("images/", "images/苹果"))]
      : [Buffer.concat([Buffer.from("images/"), apple, Buffer.from(path.slice(7))]), bytes],
  );
  await chooseArchive(page, archive("shop.zip", files));
  await inState(page, "done");
  await shows.text(page.locator("dataset-report"), /Passed/, /144/);
  await page.getByText("File names look wrong").click();
  await page.getByLabel("They are in").selectOption("koi8-r");
  await page.getByRole("button", { name: "Open again" }).click();
  await shows.text(page.locator("dataset-report"), /A listed file does not exist/);
});

onPage("in the page: the keyboard is enough, and focus is never lost", {}, async (page) => {
  await page.getByRole("tab", { name: "Search", exact: true }).focus();
  for (let tab = 0; tab < 5; tab++) await page.keyboard.press("ArrowRight");
  await shows.attribute(page.getByRole("tab", { name: "Check a data set" }), "aria-selected", "true");
  await shows.address(page, /#data-set$/);
  await chooseArchive(page, archive("shop.zip", small()));
  await inState(page, "done");
  await shows.text(page.locator("dataset-view > [role=status]"), /shop\.zip is checked: 0 errors/);
  await page.getByRole("button", { name: "Save a repaired copy (.zip)" }).focus();
  await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  await shows.text(page.locator("dataset-view .notice"), /Repaired/);
  assert.ok(
    await page.evaluate(() => document.querySelector("dataset-view").contains(document.activeElement)),
    "focus is in the view",
  );
});

onPage(
  "in the page: the whole grocery set is checked with a moving bar, and can be cancelled",
  { skip: withoutData },
  async (page, shoot) => {
    const folder = join(DATA, "grocery");
    const zip = join(ROOT, "target/grocery.zip");
    const paths = readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());
    writeFileSync(zip, "");
    for (const part of zipStored(paths.map((path) => [path, readFileSync(join(folder, path))])))
      writeFileSync(zip, part, { flag: "a" });

    await page.evaluate(() => {
      globalThis.values = [];
      const look = () => {
        const bar = document.querySelector("dataset-view [role=progressbar]");
        if (bar) values.push(Number(bar.getAttribute("aria-valuenow")));
      };
      new MutationObserver(look).observe(document.querySelector("dataset-view"), {
        subtree: true,
        childList: true,
        attributes: true,
      });
    });
    const percent = (least) =>
      page.waitForFunction(
        (least) =>
          Number(document.querySelector("dataset-view [role=progressbar]")?.getAttribute("aria-valuenow")) >= least,
        least,
      );
    await chooseArchive(page, zip);
    await percent(5);
    await page.getByRole("button", { name: "Cancel" }).click();
    await inState(page, "stopped");
    const stopped = await page.evaluate(() => values.length);
    await page.waitForTimeout(1000);
    assert.equal(await page.evaluate(() => values.length), stopped, "nothing moves any more");
    await page.getByRole("button", { name: "Go on" }).click();
    await percent(40);
    await shoot("dataset-progress");
    const start = performance.now();
    await inState(page, "done");
    const values = await page.evaluate((from) => globalThis.values.slice(from), stopped);
    assert.ok(
      values.every((value, index) => index === 0 || value >= values[index - 1]),
      "the bar never goes back",
    );
    assert.ok(new Set(values).size > 50, `${new Set(values).size} places of the bar`);
    await shows.text(page.locator("dataset-report"), /grocery\.zip/, /5,502/, /all decoded/);
    console.log(`# the last 60 % took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await shoot("dataset-grocery");
  },
);

for (const [name, options] of Object.entries({
  dark: { colorScheme: "dark" },
  mobile: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
})) {
  onPage(`in the page: no part of a data set is wider than the screen (${name})`, { options }, async (page, shoot) => {
    const fits = async () => {
      const { scrollWidth, clientWidth } = await page.evaluate(() => ({
        scrollWidth: document.documentElement.scrollWidth,
        clientWidth: document.documentElement.clientWidth,
      }));
      assert.ok(scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth}`);
    };
    await fits();
    await shoot(`dataset-empty-${name}`);
    const files = small();
    files.find(([path]) => path === "query.txt")[1] = Buffer.from(
      `images/${"long".repeat(40)}.png 0\nimages/0_3.png x\n`,
    );
    await chooseArchive(page, archive(`${"long".repeat(30)}.zip`, files));
    await inState(page, "done");
    for (const details of ["Divide the images again", "Convert from another form"])
      await page.getByText(details).click();
    await fits();
    await shoot(`dataset-report-${name}`);
  });
}
