/** A fresh project with the packed package, and the feature that the program gives. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PROGRAM, ROOT, openPage } from "../browser/harness.mjs";
import { serveStatic } from "../browser/static-server.mjs";

export const PACKAGE = join(ROOT, "dist/npm");

/** A picture that lies in the repository. */
export const PHOTO = join(ROOT, "docs/page.png");

/**
 * The model computes in 8 bits. Instruction sets round the other layers differently in the last bit, and where that moves a number
 * over the edge between two of 8 bits, later layers differ more.
 */
const LEAST_COSINE = 0.999;

/**
 * Packs the package, and installs it in a new folder beside what `manifest` names.
 *
 * @param {{ dependencies?: Record<string, string>, devDependencies?: Record<string, string> }} manifest
 * @param {string} [lock] a package-lock.json of all but the package itself
 */
export function makeProject({ dependencies, ...manifest }, lock) {
  if (!existsSync(join(PACKAGE, "package.json"))) throw new Error(`${PACKAGE} is missing: run ./build.sh npm first`);
  const folder = mkdtempSync(join(tmpdir(), "image-feature-package-"));
  const run = (program, args, options = {}) =>
    execFileSync(program, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", ...options });
  const write = (name, text) => writeFileSync(join(folder, name), text);
  run("npm", ["pack", "--silent", "--pack-destination", folder, PACKAGE]);
  const archive = `file:./${readdirSync(folder).find((name) => name.endsWith(".tgz"))}`;
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const json = (more) => JSON.stringify({ private: true, type: "module", ...manifest, dependencies: more });
  if (lock) {
    write("package.json", json(dependencies));
    write("package-lock.json", readFileSync(lock));
    run("npm", ["ci", ...quiet]);
    run("npm", ["install", "--no-save", ...quiet, archive]);
  } else {
    write("package.json", json({ ...dependencies, "image-feature": archive }));
    run("npm", ["install", ...quiet]);
  }
  write("main.js", script("image-feature"));
  write("index.html", page("/main.js"));
  return { folder, run, write, bin: (name) => join(folder, "node_modules/.bin", name) };
}

/**
 * A script that gives the package to the page's global scope.
 *
 * @param {string} from
 * @param {string} [more] runs after the import
 */
export function script(from, more = "") {
  return `import * as imageFeature from "${from}";\n${more}\nObject.assign(globalThis, imageFeature);\n`;
}

/** @param {string} address of a script */
export function page(address) {
  return `<!doctype html><link rel="icon" href="data:,"><input type="file" multiple><script type="module" src="${address}"></script>`;
}

let native;

/** The feature of `PHOTO` by the program. */
function nativeFeature() {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: set IMAGE_FEATURE_BIN`);
  native ??= JSON.parse(execFileSync(PROGRAM, ["predict", PHOTO, "--json", "--quiet"], { encoding: "utf8" }));
  return native.feature ?? native.res?.feature;
}

/** @param {ArrayLike<number>} feature of `PHOTO` */
export function assertNative(feature) {
  const native = nativeFeature();
  assert.equal(feature.length, native.length);
  const cosine = native.reduce((sum, value, at) => sum + value * feature[at], 0);
  assert.ok(cosine > LEAST_COSINE, `its cosine to the program's feature is ${cosine}`);
}

/**
 * Opens a folder's page, and computes the feature of `PHOTO` there with the bundled model.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder
 * @param {object} [options]
 * @param {string} [options.path] of the page
 * @param {unknown} [options.load] the options of `FeatureExtractor.load`
 * @param {RegExp} [options.expected] complaints that may come
 * @param {Record<string, string>} [options.headers]
 * @param {Parameters<typeof serveStatic>[0]["answers"]} [options.answers]
 * @param {boolean} [options.isolated]
 * @returns {Promise<{ feature?: number[], info?: any, kind?: string, message?: string }>}
 */
export async function embedInPage(browser, folder, { path = "/", load = {}, expected = /^$/, ...server } = {}) {
  const site = await serveStatic({ mounts: [["/", folder]], ...server });
  try {
    const { page, close } = await openPage(browser, `${site.url}${path}`);
    await page.waitForFunction(() => "FeatureExtractor" in globalThis);
    await page.setInputFiles("input", PHOTO);
    const result = await page.evaluate(async (load) => {
      try {
        const extractor = await globalThis.FeatureExtractor.load("default", load);
        const { feature } = await extractor.embed(document.querySelector("input").files[0]);
        return { feature: [...feature], info: extractor.info };
      } catch ({ kind, message }) {
        return { kind, message };
      }
    }, load);
    assert.deepEqual(await close(expected), []);
    return result;
  } finally {
    await site.close();
  }
}

/**
 * Asserts that a folder's page gives the program's feature, in a worker.
 *
 * @param {Parameters<typeof embedInPage>} given
 */
export async function assertWorksInPage(...given) {
  const { feature, info, message } = await embedInPage(...given);
  assert.ok(feature, message);
  assertNative(feature);
  assert.ok(!info.reasons.some((reason) => reason.startsWith("Worker:")), info.reasons.join());
  return info;
}
