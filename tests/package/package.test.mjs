/** The npm package as users get it: packed, installed into a fresh project, opened in a browser. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
  CORES,
  HANG_MS,
  MODEL_FILES,
  ROOT,
  SOFTWARE_WEBGPU,
  golden,
  goldenFeature,
  largestDifference,
  launch,
  openPage,
  withoutGolden,
} from "../browser/harness.mjs";
import { serveStatic } from "../browser/static-server.mjs";
import { PACKAGE, makeProject, page, script } from "./project.mjs";

const VITE = "8.3.8";

let browser;
let project;
let run;
let write;

before(async () => {
  ({ folder: project, run, write } = makeProject({ devDependencies: { vite: VITE } }));
  write("main.js", script("image-feature"));
  browser = await launch(SOFTWARE_WEBGPU);
});

after(async () => {
  await browser?.close();
  if (project) rmSync(project, { recursive: true });
});

/**
 * Opens a folder's page and compares a feature from it, in the worker and on the page's thread; checks a data set, and
 * searches a gallery.
 *
 * @param {string} folder
 * @param {string} path
 */
async function assertWorks(folder, path) {
  const site = await serveStatic({ mounts: [["/", folder]] });
  const { page, close } = await openPage(browser, `${site.url}${path}`);
  await page.waitForFunction(() => "FeatureExtractor" in globalThis);
  await page.setInputFiles("input", [...MODEL_FILES, golden("features/inputs/chelsea.png")]);
  for (const options of [
    { device: "cpu", threads: 2 },
    { device: "cpu", threads: 1 },
    { device: "webgpu" },
    { device: "cpu", worker: false },
  ]) {
    const { feature, info } = await page.evaluate(async (options) => {
      const files = [...document.querySelector("input").files];
      const photo = files.pop();
      const extractor = await globalThis.FeatureExtractor.load(files, options);
      return { feature: [...(await extractor.embed(photo)).feature], info: extractor.info };
    }, options);
    const difference = largestDifference(feature, goldenFeature("chelsea.png"));
    assert.ok(difference < 1e-4, `${JSON.stringify(options)}: ${difference}`);
    assert.equal(info.threads, options.threads ?? 1, `${JSON.stringify(options)}: ${info.reasons}`);
  }
  const bundled = await page.evaluate(async () => {
    const extractor = await globalThis.FeatureExtractor.load();
    const { feature } = await extractor.embed([...document.querySelector("input").files].pop());
    return { length: Math.hypot(...feature), dimension: extractor.info.dimension };
  });
  assert.ok(bundled.dimension === 512 && Math.abs(bundled.length - 1) < 1e-5, JSON.stringify(bundled));
  const found = await page.evaluate(async () => {
    const dataset = await globalThis.Dataset.open([["train.txt", new File(["images/a.png 0\n"], "train.txt")]]);
    const { codes } = await dataset.check();
    dataset.dispose();
    return codes.map(({ name }) => name);
  });
  assert.ok(found.includes("file-missing"), found.join());
  const hits = await page.evaluate(async () => {
    const gallery = new globalThis.Gallery({ dimension: 2 });
    await gallery.addMany([{ id: "a", label: "tea" }, { id: "b" }], Float32Array.of(1, 0, 0, 1));
    await gallery.save("shop");
    const opened = await globalThis.Gallery.open("shop");
    const hits = await opened.search([1, 0], { k: 1 });
    for (const each of [gallery, opened]) each.dispose();
    return hits;
  });
  assert.deepEqual(hits, [{ id: "a", label: "tea", score: 1 }]);
  assert.deepEqual(await close(), []);
  await site.close();
}

test("the package holds what it needs, and no more", () => {
  const packed = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", PACKAGE], { stdio: ["ignore", "pipe", "ignore"] }),
  )[0];
  const names = packed.files.map(({ path }) => path);
  const needed = [
    "LICENSE",
    "README.md",
    "index.js",
    "element.js",
    "worker.js",
    "thread.js",
    "node.js",
    "node-worker.js",
    "node-thread.js",
    "inline.js",
    "inline/cpu.js",
    "inline/gallery.js",
    "inline/default.js",
    "inline/tiny.js",
    "inline/worker.js",
    "workerd.js",
    "types/index.d.ts",
    "models/default.safetensors",
    "models/tiny.safetensors",
    "models/NOTICE",
    "models/README.md",
    ...CORES.map((core) => `wasm/${core}/image_feature_bg.wasm`),
  ];
  assert.deepEqual(
    needed.filter((name) => !names.includes(name)),
    [],
  );
  assert.deepEqual(
    names.filter(
      (name) =>
        !/^(LICENSE|README\.md|package\.json|[\w-]+\.js|types\/[\w-]+\.d\.ts|inline\/[\w-]+\.js|models\/((default|tiny)\.safetensors|NOTICE|README\.md)|wasm\/(cpu(-threads)?(-relaxed)?|gpu|dataset|gallery)\/image_feature[\w.]*)$/.test(
          name,
        ),
    ),
    [],
  );
});

test("its types are those of its API", () => {
  write(
    "types.ts",
    `import { Dataset, FeatureExtractor, Gallery, ImageFeatureError, type DatasetReport, type Embedding, type Evaluation, type GalleryHit, type KeptGallery, type LoadOptions } from "image-feature";
     const options: LoadOptions = { device: "auto", onProgress: ({ fraction }) => fraction.toFixed() };
     export async function use(file: File): Promise<Float32Array> {
       (await FeatureExtractor.load()).dispose();
       const extractor = await FeatureExtractor.load(file, options);
       const embedding: Embedding = await extractor.embed(file, { roi: { x: 0, y: 0, width: 1, height: 1 } });
       for await (const result of extractor.embedMany([file, { source: file, name: "again" }])) {
         if (result.error) throw new ImageFeatureError(result.error.kind, result.name);
         result.feature.subarray(1);
       }
       extractor.dispose();
       // @ts-expect-error no such device
       await FeatureExtractor.load(file, { device: "tpu" });
       return embedding.feature;
     }
     export async function check(files: FileList): Promise<Blob> {
       const dataset = await Dataset.open(files, { workers: 2 });
       const report: DatasetReport = await dataset.check({ batchSize: 64 });
       const { json } = await dataset.check({ compat: "paddlex" });
       const { train } = await dataset.split({ train: report.passed ? 70 : 60, gallery: 20, query: 10, by: "class" });
       const { notes } = await dataset.convert({ from: "folders", divisions: "no", seed: train + (json?.length ?? 0) });
       await dataset.convert({ from: "csv", labelColumn: notes[0], skipFaulty: true });
       // @ts-expect-error no such form
       await dataset.convert({ from: "yolo" });
       return dataset.toZip();
     }
     export async function find(feature: Float32Array, names: string[]): Promise<GalleryHit[]> {
       const gallery = new Gallery({ dimension: 512, metric: "cosine", dtype: "i8" });
       await gallery.addMany(names.map((id) => ({ id, label: "tea", meta: { price: 2 } })), feature);
       const hits: GalleryHit[] = await gallery.search(feature, { k: 5, filter: { label: ["tea"], meta: { price: { max: 3 } } } });
       const report: Evaluation = await gallery.evaluate({ recallAt: [1] });
       const kept: KeptGallery[] = await Gallery.list();
       const file: File = await gallery.toFile();
       const files: File[] = await gallery.toFile({ format: "paddlex" });
       await gallery.update({ id: hits[0].id, label: null });
       // @ts-expect-error no such metric
       new Gallery({ dimension: 512, metric: "l1" });
       return report.worst[kept.length + file.size + files.length].nearest;
     }`,
  );
  const options = [
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--module",
    "es2022",
    "--moduleResolution",
    "bundler",
    "--lib",
    "es2022,dom",
    "--types",
    "",
    "types.ts",
  ];
  run(join(ROOT, "node_modules/.bin/tsc"), options);
});

test("as plain ES modules, without a bundler", { skip: withoutGolden, timeout: HANG_MS }, async () => {
  // no import map: a page's policy may forbid inline scripts
  write("plain.js", script("./node_modules/image-feature/index.js"));
  write("plain.html", page("/plain.js"));
  await assertWorks(project, "/plain.html");
});

test("bundled by Vite, as it comes", { skip: withoutGolden, timeout: HANG_MS }, async () => {
  run(join(project, "node_modules/.bin/vite"), ["build", "--logLevel", "warn"]);
  await assertWorks(join(project, "dist"), "/");
});
