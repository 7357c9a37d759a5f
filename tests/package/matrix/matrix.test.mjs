/**
 * The package in every bundler and runtime: packed, installed, built for production, opened, and its feature compared
 * with the program's. package-lock.json has their versions; esbuild, Vite, Node.js and plain pages are in the other
 * tests of the package.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { HANG_MS, launch } from "../../browser/harness.mjs";
import { PHOTO, assertNative, assertWorksInPage, embedInPage, makeProject, page, script } from "../project.mjs";

/** These bundlers put inline scripts into the page. */
const INLINE_SCRIPTS = { "content-security-policy": "" };

const execute = promisify(execFile);

let browser;
let project;

before(async () => {
  const here = (name) => fileURLToPath(new URL(name, import.meta.url));
  const { devDependencies } = JSON.parse(readFileSync(here("package.json"), "utf8"));
  project = makeProject({ devDependencies }, here("package-lock.json"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (project) rmSync(project.folder, { recursive: true });
});

const inPlace = (name, run) => test(name, { timeout: HANG_MS }, run);
const built = (folder, name, text) => {
  mkdirSync(join(project.folder, folder), { recursive: true });
  writeFileSync(join(project.folder, folder, name), text);
};
const inBuild = (folder, options) =>
  assertWorksInPage(browser, join(project.folder, folder), { load: { threads: 2 }, ...options });

inPlace("webpack", async () => {
  const options = ["--mode", "production", "--entry", "./main.js", "--output-path", "webpack", "--devtool", "false"];
  project.run(project.bin("webpack"), ["build", ...options], { stdio: "pipe" });
  built("webpack", "index.html", page("/main.js").replace(' type="module"', " defer"));
  assert.equal((await inBuild("webpack")).threads, 2);
  const text = readFileSync(join(project.folder, "webpack/main.js"), "utf8");
  assert.ok(!text.includes(project.folder), "the bundle has the address of a folder on this computer");
});

inPlace("Rollup, with the files copied and with the files inside", async () => {
  project.write(
    "rollup.config.mjs",
    `import resolve from "@rollup/plugin-node-resolve";
     export default ["configured", "inside"].map((name) => ({
       input: name + ".js",
       output: { dir: "rollup-" + name, format: "es" },
       plugins: [resolve({ browser: true })],
     }));`,
  );
  project.write("configured.js", script("image-feature", 'imageFeature.configure({ files: "/image-feature/" });'));
  project.write("inside.js", script("image-feature/inline"));
  project.run(project.bin("rollup"), ["--config", "--silent"]);
  built("rollup-configured", "index.html", page("/configured.js"));
  built("rollup-inside", "index.html", page("/inside.js"));
  for (const name of ["worker.js", "thread.js", "wasm", "models"]) {
    const [from, to] = ["node_modules/image-feature", "rollup-configured/image-feature"];
    cpSync(join(project.folder, from, name), join(project.folder, to, name), { recursive: true });
  }
  assert.equal((await inBuild("rollup-configured")).threads, 2);
  await inBuild("rollup-inside");
});

inPlace("Parcel", async () => {
  const options = ["--dist-dir", "parcel", "--no-cache", "--no-source-maps", "--log-level", "error"];
  project.run(project.bin("parcel"), ["build", "index.html", ...options]);
  assert.equal((await inBuild("parcel", { headers: INLINE_SCRIPTS })).threads, 2);
});

for (const bundler of ["turbopack", "webpack"]) {
  inPlace(`Next.js with ${bundler}: the server renders, the browser computes`, async () => {
    const folder = `next-${bundler}`;
    mkdirSync(join(project.folder, folder, "app"), { recursive: true });
    const root = JSON.stringify(project.folder);
    project.write(
      `${folder}/next.config.mjs`,
      `export default { output: "export", turbopack: { root: ${root} }, outputFileTracingRoot: ${root} };`,
    );
    project.write(
      `${folder}/app/layout.js`,
      'export default ({ children }) => <html lang="en"><head><link rel="icon" href="data:,"/></head><body>{children}</body></html>;',
    );
    project.write(
      `${folder}/app/page.js`,
      `"use client";
       import * as imageFeature from "image-feature";
       import { useEffect } from "react";
       export default function Page() {
         useEffect(() => void Object.assign(globalThis, imageFeature), []);
         return <><p>{typeof imageFeature.FeatureExtractor.load}</p><input type="file" multiple/></>;
       }`,
    );
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1" };
    const cwd = join(project.folder, folder);
    project.run(project.bin("next"), ["build", `--${bundler}`], { cwd, env, stdio: "pipe" });
    const rendered = readFileSync(join(cwd, "out/index.html"), "utf8");
    assert.match(rendered, /<p>function<\/p>/);
    assert.equal((await inBuild(`${folder}/out`, { headers: INLINE_SCRIPTS })).threads, 2);
  });
}

/** Runs in Deno and Bun as in Node.js. */
const PROGRAM = `
  import { readFileSync } from "node:fs";
  import { FeatureExtractor, Gallery } from "image-feature";
  const path = process.argv[2];
  const results = [];
  for (const [photo, options] of [
    [path, { threads: 2 }],
    [readFileSync(path), { threads: 1 }],
    [new Blob([readFileSync(path)]), { worker: false }],
  ]) {
    const extractor = await FeatureExtractor.load("default", { device: "cpu", ...options });
    results.push({ feature: [...(await extractor.embed(photo)).feature], threads: extractor.info.threads });
    extractor.dispose();
  }
  const gallery = new Gallery({ dimension: 2 });
  await gallery.add({ id: "a", feature: [1, 0] });
  const again = await Gallery.fromFile(await gallery.toFile());
  console.log(JSON.stringify({ results, hits: await again.search([1, 0]) }));
`;

for (const [name, file, options] of [
  ["Deno", "deno", ["run", "--allow-all"]],
  ["Bun", "bun", []],
]) {
  inPlace(`${name}: on threads, on one, and without a worker; it ends by itself`, async () => {
    project.write("program.mjs", PROGRAM);
    const given = [...options, "program.mjs", PHOTO];
    const { stdout } = await execute(binary(file), given, { cwd: project.folder, timeout: 120_000 });
    const { results, hits } = JSON.parse(stdout);
    for (const { feature } of results) assertNative(feature);
    assert.deepEqual(
      results.map(({ threads }) => threads),
      [2, 1, 1],
    );
    assert.deepEqual(hits, [{ id: "a", score: 1 }]);
  });
}

/** The program in the package for this machine: the one in `bin` is made by a script of the installation. */
function binary(name) {
  const scope = { deno: "@deno", bun: "@oven" }[name];
  const folder = join(project.folder, "node_modules", scope);
  const [platform] = readdirSync(folder).filter((other) => !/musl|baseline/.test(other));
  const inside = readdirSync(join(folder, platform)).includes("bin") ? ["bin", name] : [name];
  return join(folder, platform, ...inside);
}

inPlace("Cloudflare's workerd: one thread, WebAssembly as modules", async () => {
  const entry = `
    import { FeatureExtractor, Gallery } from "image-feature";
    export default {
      async fetch(request) {
        const extractor = await FeatureExtractor.load();
        const { feature } = await extractor.embed(await request.arrayBuffer());
        const gallery = new Gallery({ dimension: 512 });
        await gallery.add({ id: "a", feature });
        const again = await Gallery.fromFile(await gallery.toFile());
        return Response.json({ feature: [...feature], info: extractor.info, hits: await again.search(feature) });
      },
    };`;
  project.write("cloud.js", entry);
  const options = ["--bundle", "--format=esm", "--conditions=workerd", "--loader:.wasm=copy", "--outdir=cloud"];
  project.run(project.bin("esbuild"), ["cloud.js", ...options, "--log-level=error"]);
  const { Miniflare } = createRequire(join(project.folder, "main.js"))("miniflare");
  const worker = new Miniflare({
    modules: true,
    modulesRoot: join(project.folder, "cloud"),
    modulesRules: [
      { type: "ESModule", include: ["**/*.js"] },
      { type: "CompiledWasm", include: ["**/*.wasm"] },
    ],
    scriptPath: join(project.folder, "cloud/cloud.js"),
    compatibilityDate: "2026-05-01",
  });
  try {
    const response = await worker.dispatchFetch("http://localhost/", { method: "POST", body: readFileSync(PHOTO) });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const { feature, info, hits } = JSON.parse(text);
    assertNative(feature);
    assert.deepEqual([info.device, info.threads, hits[0].id], ["cpu", 1, "a"]);
  } finally {
    await worker.dispose();
  }
});

inPlace("from static hosting: no header, every file with a type that the host guesses", async () => {
  mkdirSync(join(project.folder, "hosted"));
  cpSync(join(project.folder, "node_modules/image-feature"), join(project.folder, "hosted/image-feature"), {
    recursive: true,
  });
  copyFileSync(join(project.folder, "index.html"), join(project.folder, "hosted/index.html"));
  built("hosted", "main.js", script("./image-feature/index.js"));
  const none = ["content-security-policy", "cross-origin-opener-policy", "cross-origin-embedder-policy"];
  const headers = Object.fromEntries([...none, "x-content-type-options", "cache-control"].map((name) => [name, ""]));
  const { feature, info } = await embedInPage(browser, join(project.folder, "hosted"), { headers });
  assertNative(feature);
  assert.match(info.reasons.join(), /Threads: this page is not cross-origin isolated/);
});
