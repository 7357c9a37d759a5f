/**
 * The package where it is asked for most: Node.js, the variant with all files inside, pages with strict policies, pages
 * whose bundler leaves files out, another site. The rest is in `matrix/`.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { HANG_MS, ROOT, launch } from "../browser/harness.mjs";
import { serveStatic } from "../browser/static-server.mjs";
import { PACKAGE, PHOTO, assertNative, assertWorksInPage, embedInPage, makeProject, page, script } from "./project.mjs";

const STRICT = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self' data:";

const execute = promisify(execFile);

let browser;
let project;

before(async () => {
  project = makeProject({});
  project.write("strict.js", script("./node_modules/image-feature/index.js"));
  project.write("strict.html", page("/strict.js"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (project) rmSync(project.folder, { recursive: true });
});

const inPlace = (name, run) => test(name, { timeout: HANG_MS }, run);

/**
 * Runs a module in Node.js, which ends by itself, and gives what it prints as JSON.
 *
 * @param {string} text
 */
async function inNode(text) {
  project.write("program.mjs", `import { Dataset, FeatureExtractor, Gallery } from "image-feature";\n${text}`);
  const options = { cwd: project.folder, timeout: 60_000 };
  return JSON.parse((await execute(process.execPath, ["program.mjs", PHOTO], options)).stdout);
}

inPlace("Node.js computes on threads, on one, and without a worker, from paths, addresses and bytes", async () => {
  const results = await inNode(`
    import { readFileSync } from "node:fs";
    import { pathToFileURL } from "node:url";
    const path = process.argv[2];
    const results = [];
    const bytes = readFileSync(path);
    const model = new URL("models/default.safetensors", import.meta.resolve("image-feature"));
    for (const [photo, source, options] of [
      [path, "default", { threads: 2 }],
      [pathToFileURL(path), model, { threads: 1 }],
      [bytes, readFileSync(model), { worker: false }],
      [new Blob([bytes]), "default", {}],
    ]) {
      const extractor = await FeatureExtractor.load(source, options);
      const { feature } = await extractor.embed(photo);
      results.push({ feature: [...feature], info: extractor.info });
      if (options.threads) extractor.dispose();
    }
    console.log(JSON.stringify(results));
  `);
  for (const { feature } of results) assertNative(feature);
  assert.deepEqual(
    results.slice(0, 3).map(({ info }) => info.threads),
    [2, 1, 1],
  );
  for (const { info } of results) assert.equal(info.device, "cpu");
});

inPlace("Node.js: many images, a gallery and its file; errors name the file, and what to do", async () => {
  const result = await inNode(`
    const extractor = await FeatureExtractor.load("default", { threads: 1 });
    const gallery = new Gallery({ dimension: 512 });
    for await (const { name, feature } of extractor.embedMany([process.argv[2], process.argv[2]], { batchSize: 1 }))
      await gallery.add({ id: String(gallery.size), label: name, feature });
    const again = await Gallery.fromFile(await gallery.toFile());
    const hits = await again.search(await again.vector("1"), { k: 1 });
    const failure = (promise) => promise.then(() => "none", ({ kind, message }) => kind + ": " + message);
    const errors = [
      await failure(extractor.embed("no-such-photo.jpg")),
      await failure(FeatureExtractor.load("no-such-model.tar")),
      await failure(extractor.embed(new Uint8Array(20))),
      await failure(extractor.embed({ data: new Uint8Array(3), width: 1, height: 1 })),
      await failure(gallery.save("shop")),
      await failure(Dataset.open([["train.txt", new Blob([""])]])),
    ];
    console.log(JSON.stringify({ hits, errors, size: again.size }));
  `);
  assert.equal(result.size, 2);
  assert.deepEqual([result.hits[0].id, result.hits[0].label], ["0", PHOTO]);
  const [photo, model, noImage, pixels, save, dataset] = result.errors;
  assert.match(photo, /^io: file:\/\/.*no-such-photo\.jpg: the file could not be read/);
  assert.match(model, /^io: file:\/\/.*no-such-model\.tar: the file could not be read/);
  assert.match(noImage, /^(decode|unsupported): /);
  assert.match(pixels, /^usage: pixels must be RGBA of 8 bits: 1x1 are 4 bytes, got 3/);
  assert.match(save, /^unsupported: .*toFile/);
  assert.match(dataset, /^unsupported: data sets need a browser/);
});

inPlace("Node.js: a worker that ends without a word fails its calls, and the next call gets another", async () => {
  const result = await inNode(`
    import worker_threads from "node:worker_threads";
    const extractor = await FeatureExtractor.load("default", { threads: 1 });
    const { terminate } = worker_threads.Worker.prototype;
    // the package's own worker is the one that gets the next message
    const { postMessage } = worker_threads.Worker.prototype;
    worker_threads.Worker.prototype.postMessage = function (...given) {
      worker_threads.Worker.prototype.postMessage = postMessage;
      void terminate.call(this);
    };
    const lost = await extractor.embed(process.argv[2]).then(() => "none", ({ kind, message }) => kind + ": " + message);
    console.log(JSON.stringify({ lost, feature: [...(await extractor.embed(process.argv[2])).feature] }));
  `);
  assert.match(result.lost, /^internal: the worker was ended/);
  assertNative(result.feature);
});

inPlace("as plain modules with an import map, without the headers for threads", async () => {
  project.write("map.js", script("image-feature"));
  const map = '{"imports":{"image-feature":"/node_modules/image-feature/index.js"}}';
  project.write("map.html", page("/map.js").replace("<script", `<script type="importmap">${map}</script><script`));
  const headers = { "content-security-policy": "" };
  const info = await assertWorksInPage(browser, project.folder, { path: "/map.html", headers, isolated: false });
  assert.equal(info.threads, 1);
});

inPlace("under a strict policy, with threads", async () => {
  const headers = { "content-security-policy": STRICT };
  const info = await assertWorksInPage(browser, project.folder, {
    path: "/strict.html",
    headers,
    load: { threads: 2 },
  });
  assert.equal(info.threads, 2);
});

inPlace("a policy that forbids WebAssembly is named, and so is HTML in place of WebAssembly", async () => {
  const expected = /Content Security Policy|violates/;
  const headers = { "content-security-policy": STRICT.replace(" 'wasm-unsafe-eval'", "") };
  const forbidden = await embedInPage(browser, project.folder, { path: "/strict.html", headers, expected });
  assert.equal(forbidden.kind, "unsupported");
  assert.match(forbidden.message, /the page's policy forbids WebAssembly; add 'wasm-unsafe-eval' to script-src/);
  const html = (response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
  const answers = Object.fromEntries(
    ["cpu", "cpu-relaxed"].map((core) => [`/node_modules/image-feature/wasm/${core}/image_feature_bg.wasm`, html]),
  );
  const load = { threads: 1 };
  const instead = await embedInPage(browser, project.folder, { path: "/strict.html", answers, load });
  assert.equal(instead.kind, "io");
  assert.match(instead.message, /the server sent an HTML page in place of WebAssembly/);
});

inPlace(
  "image-feature/inline needs no other file; where Blobs may be no workers, the page's thread computes",
  async () => {
    const bundle = join(project.folder, "inline");
    project.write("inline-main.js", script("image-feature/inline"));
    esbuild("inline-main.js", bundle);
    project.write("inline/index.html", page("/inline-main.js"));
    const info = await assertWorksInPage(browser, bundle);
    assert.match(info.reasons.join(), /Threads: image-feature\/inline has no core for threads/);
    const headers = { "content-security-policy": STRICT };
    const strict = await embedInPage(browser, bundle, { headers, expected: /Content Security Policy/ });
    assertNative(strict.feature);
    assert.match(strict.info.reasons[0], /^Worker: .*policy/);
  },
);

/** @param {string} entry @param {string} to */
function esbuild(entry, to) {
  const options = ["--bundle", "--format=esm", "--minify", "--log-level=error", `--outdir=${to}`];
  project.run(join(ROOT, "node_modules/.bin/esbuild"), [entry, ...options]);
}

inPlace("esbuild: with the files copied it works; without them the error says so", async () => {
  const bundle = join(project.folder, "esbuild");
  project.write("configured.js", script("image-feature", 'imageFeature.configure({ files: "/image-feature/" });'));
  esbuild("configured.js", bundle);
  esbuild("main.js", bundle);
  project.write("esbuild/index.html", page("/configured.js"));
  project.write("esbuild/bare.html", page("/main.js"));
  mkdirSync(join(bundle, "image-feature"));
  for (const name of ["worker.js", "thread.js", "wasm", "models"])
    cpSync(join(project.folder, "node_modules/image-feature", name), join(bundle, "image-feature", name), {
      recursive: true,
    });
  await assertWorksInPage(browser, bundle, { load: { threads: 2 } });
  const bare = await embedInPage(browser, bundle, { path: "/bare.html", expected: /404/ });
  assert.equal(bare.kind, "io");
  assert.match(
    bare.message,
    /404 Not Found; are all files .* configure\(\{ files \}\), or import image-feature\/inline/,
  );
});

inPlace("from another site: in a worker if the policy lets Blobs be workers, else on the page's thread", async () => {
  const headers = { "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin" };
  const cdn = await serveStatic({ mounts: [["/", PACKAGE]], headers });
  try {
    project.write("cdn.js", script(`${cdn.url}/index.js`));
    project.write("cdn.html", page("/cdn.js"));
    const policy = (workers) =>
      `default-src 'self' data:; script-src 'self' 'wasm-unsafe-eval' ${cdn.url}; connect-src ${cdn.url}; worker-src ${workers}`;
    const embed = (workers, load, expected) =>
      embedInPage(browser, project.folder, {
        path: "/cdn.html",
        load,
        headers: { "content-security-policy": policy(workers) },
        expected: new RegExp(`^foreign request: ${cdn.url}/|${expected}`),
      });
    const free = await embed("'self' blob:", { threads: 2 }, "^$");
    assertNative(free.feature);
    assert.deepEqual([free.info.threads, free.info.reasons.filter((reason) => !/WebGPU/.test(reason))], [2, []]);
    const strict = await embed("'self'", {}, "Content Security Policy");
    assertNative(strict.feature);
    assert.match(strict.info.reasons[0], /^Worker: /);
    const asked = await embed("'self'", { worker: true }, "Content Security Policy");
    assert.equal(asked.feature, undefined);
  } finally {
    await cdn.close();
  }
});

inPlace("WebAssembly as bytes, a Response, a module and an address of its own", async () => {
  const site = await serveStatic({ mounts: [["/", PACKAGE]] });
  try {
    const results = await inNode(`
      import { readFileSync } from "node:fs";
      const file = new URL("wasm/cpu/image_feature_bg.wasm", import.meta.resolve("image-feature"));
      const address = "${site.url}/wasm/cpu/image_feature_bg.wasm";
      const bytes = readFileSync(file);
      const results = [];
      for (const wasm of [bytes, await fetch(address), fetch(address), await WebAssembly.compile(bytes), file, address]) {
        const extractor = await FeatureExtractor.load("default", { wasm });
        results.push([...(await extractor.embed(process.argv[2])).feature]);
        extractor.dispose();
      }
      const failure = (wasm) =>
        FeatureExtractor.load("default", { wasm }).then(() => "none", ({ kind, message }) => kind + ": " + message);
      results.push(await failure(new Uint8Array(8)), await failure(42), await failure(new Response("", { status: 404 })));
      console.log(JSON.stringify(results));
    `);
    for (const feature of results.slice(0, 6)) assertNative(feature);
    assert.match(results[6], /^unsupported: wasm: not WebAssembly that this program can run/);
    assert.match(results[7], /^usage: wasm must be an address, a Response, bytes, or a WebAssembly\.Module/);
    assert.match(results[8], /^io: wasm: the server answered 404/);
  } finally {
    await site.close();
  }
});

/** Bytes at most, gzipped: what a page loads, and what `image-feature/inline` adds to a bundle. */
const SIZES = {
  "index.js": 60_000,
  "worker.js": 22_000,
  "element.js": 8_000,
  "node.js": 60_000,
  "inline.js": 70_000,
  "workerd.js": 70_000,
  "inline/worker.js": 24_000,
  "inline/cpu.js": 775_000,
  "inline/gallery.js": 345_000,
  "inline/default.js": 4_600_000,
  "inline/tiny.js": 1_400_000,
};

test("no file is larger than it may be", (t) => {
  for (const [name, most] of Object.entries(SIZES)) {
    const bytes = gzipSync(readFileSync(join(PACKAGE, name)), { level: 9 }).length;
    t.diagnostic(`${name}: ${statSync(join(PACKAGE, name)).size} bytes, ${bytes} gzipped, ${most} at most`);
    assert.ok(bytes <= most, `${name} has ${bytes} bytes gzipped, more than ${most}`);
  }
});
