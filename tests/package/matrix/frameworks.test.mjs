/** The element `<image-search>` in frameworks: as a property, an event listener and a search in each. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { HANG_MS, launch, openPage } from "../../browser/harness.mjs";
import { serveStatic } from "../../browser/static-server.mjs";
import { PHOTO, makeProject } from "../project.mjs";

/** Each gets a gallery as a property and `k` as an attribute, and listens to the results. */
const FRAMEWORKS = {
  react: `
    import { createElement } from "react";
    import { createRoot } from "react-dom/client";
    export const show = (place, gallery, take) =>
      createRoot(place).render(createElement("image-search", { gallery, k: 2, "onsearch-results": take }));`,
  vue: `
    import { createApp, h } from "vue";
    export const show = (place, gallery, take) =>
      createApp({ render: () => h("image-search", { gallery, k: 2, "onSearch-results": take }) }).mount(place);`,
  svelte: `
    import { mount } from "svelte";
    import Search from "./search.svelte.js";
    export const show = (target, gallery, take) => mount(Search, { target, props: { gallery, take } });`,
};

const SVELTE = `<script>let { gallery, take } = $props();</script>
<image-search {gallery} k={2} {...{ "onsearch-results": take }}></image-search>`;

const main = (framework) => `
  import "image-feature/element";
  import { FeatureExtractor, Gallery } from "image-feature";
  import { show } from "./show-${framework}.js";
  const extractor = await FeatureExtractor.load("tiny");
  const gallery = new Gallery({ dimension: extractor.info.dimension });
  const photo = await (await fetch("/photo.png")).blob();
  for (const id of ["a", "b", "c"]) await gallery.add({ id, feature: (await extractor.embed(photo)).feature });
  show(document.querySelector("main"), gallery, ({ detail }) => (globalThis.found = detail.hits.map(({ id }) => id)));
  const wait = () => document.querySelector("image-search") ?? new Promise((done) => setTimeout(done)).then(wait);
  Object.assign(await wait(), { extractor });
  globalThis.ready = true;
`;

let browser;
let project;

before(async () => {
  const here = (name) => fileURLToPath(new URL(name, import.meta.url));
  const { devDependencies } = JSON.parse(readFileSync(here("package.json"), "utf8"));
  project = makeProject({ devDependencies }, here("package-lock.json"));
  const { compile } = createRequire(join(project.folder, "package.json"))("svelte/compiler");
  project.write("search.svelte.js", compile(SVELTE, { filename: "search.svelte", generate: "client" }).js.code);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (project) rmSync(project.folder, { recursive: true });
});

for (const [framework, text] of Object.entries(FRAMEWORKS)) {
  test(`<image-search> in ${framework}`, { timeout: HANG_MS }, async () => {
    project.write(`show-${framework}.js`, text);
    project.write(`${framework}.js`, main(framework));
    const options = ["--mode", "production", "--entry", `./${framework}.js`, "--output-path", framework];
    project.run(project.bin("webpack"), ["build", ...options, "--devtool", "false"], { stdio: "pipe" });
    const folder = join(project.folder, framework);
    mkdirSync(folder, { recursive: true });
    const html = '<!doctype html><link rel="icon" href="data:,"><main></main><script defer src="/main.js"></script>';
    writeFileSync(join(folder, "index.html"), html);
    writeFileSync(join(folder, "photo.png"), readFileSync(PHOTO));
    const site = await serveStatic({ mounts: [["/", folder]] });
    try {
      const { page, close } = await openPage(browser, `${site.url}/index.html`);
      await page.waitForFunction(() => globalThis.ready);
      await page.locator("image-search input").setInputFiles(PHOTO);
      await page.waitForFunction(() => globalThis.found);
      assert.deepEqual(await page.evaluate(() => globalThis.found), ["a", "b"]);
      assert.deepEqual(await close(), []);
    } finally {
      await site.close();
    }
  });
}
