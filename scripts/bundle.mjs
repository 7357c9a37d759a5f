/**
 * Bundles the JavaScript of the npm package: `node scripts/bundle.mjs FOLDER [PLACE...]`, for all places or these. Each
 * file has all that it imports, except the WebAssembly: a page that loads two dozen small files waits for most of them
 * before it can begin.
 *
 * The variants differ in a few modules, which are put in the place of others:
 *
 *   browser  index.js, worker.js, thread.js; element.js, which imports index.js
 *   node     node.js, node-worker.js, node-thread.js: for Node.js, Deno and Bun
 *   inline   inline.js, inline/: for browsers, with the small cores and the model inside of scripts
 *   workerd  workerd.js: for Cloudflare's workerd, which has no workers
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const SOURCE = fileURLToPath(new URL("../www/image-feature/", import.meta.url));
const COMMON = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" };
const SMALL = { "cores.js": "cores-small.js" };

/**
 * Puts modules in the place of others.
 *
 * @param {Record<string, string>} replaced by the names of files
 * @param {RegExp} [external] what is not bundled
 */
function variant(replaced, external = /^\.\/(wasm|inline)\//) {
  return {
    name: "variant",
    setup({ onResolve }) {
      onResolve({ filter: /^\.\// }, ({ path, importer }) => {
        if (external.test(path)) return { path, external: true };
        const instead = replaced[basename(path)];
        if (instead && basename(importer) !== instead) return { path: join(SOURCE, instead) };
      });
    },
  };
}

/**
 * Writes a file as a script: gzipped, in base64.
 *
 * @param {string} from
 * @param {string} to
 */
async function pack(from, to) {
  const packed = gzipSync(await readFile(join(SOURCE, from)), { level: 9 });
  await writeFile(to, `export default "${packed.toString("base64")}";\n`);
}

const entry = (name) => join(SOURCE, name);

/** The bundles of each place, in a folder. @type {Record<string, (folder: string) => Promise<unknown>>} */
const PLACES = {
  async browser(folder) {
    await build({
      ...COMMON,
      entryPoints: ["index.js", "worker.js", "thread.js"].map(entry),
      outdir: folder,
      plugins: [variant({})],
    });
    // a page that has both knows whose features are whose
    await build({
      ...COMMON,
      entryPoints: [entry("element.js")],
      outdir: folder,
      plugins: [variant({}, /^\.\/index\.js$/)],
    });
  },

  node: (folder) =>
    build({
      ...COMMON,
      platform: "node",
      entryPoints: { node: entry("index.js"), "node-worker": entry("worker.js"), "node-thread": entry("thread.js") },
      outdir: folder,
      plugins: [variant({ "platform.js": "platform-node.js" })],
    }),

  async inline(folder) {
    await mkdir(join(folder, "inline"), { recursive: true });
    await bundleInlineWorker(join(folder, "inline/worker.js"));
    const inPage = { ...SMALL, "package-files.js": "package-files-inline.js", "platform.js": "platform-inline.js" };
    // the scripts of the small cores are inside of this file, too, for pages without workers
    await build({
      ...COMMON,
      entryPoints: { inline: entry("index-small.js") },
      outdir: folder,
      plugins: [variant(inPage, /^\.\/inline\//)],
    });
    await pack("wasm/cpu/image_feature_bg.wasm", join(folder, "inline/cpu.js"));
    await pack("wasm/gallery/image_feature_bg.wasm", join(folder, "inline/gallery.js"));
    for (const model of ["default", "tiny"]) {
      await pack(`models/${model}.safetensors`, join(folder, `inline/${model}.js`));
    }
  },

  workerd(folder) {
    const instead = { ...SMALL, "package-files.js": "package-files-workerd.js", "platform.js": "platform-alone.js" };
    return build({
      ...COMMON,
      entryPoints: { workerd: entry("index-small.js") },
      outdir: folder,
      plugins: [variant(instead, /^\.\/inline\/|_bg\.wasm$/)],
    });
  },
};

/**
 * Writes the worker's script as a text in a script.
 *
 * @param {string} to
 */
async function bundleInlineWorker(to) {
  const instead = {
    ...SMALL,
    "package-files.js": "package-files-none.js",
    "platform.js": "platform-inline-worker.js",
  };
  const { outputFiles } = await build({
    ...COMMON,
    minify: true,
    entryPoints: [entry("worker-small.js")],
    write: false,
    plugins: [variant(instead, /^$/)],
  });
  await writeFile(to, `export default ${JSON.stringify(outputFiles[0].text)};\n`);
}

const [folder, ...places] = process.argv.slice(2);
for (const place of places.length > 0 ? places : Object.keys(PLACES)) await PLACES[place](folder);
