/**
 * Data sets in headless Chromium: unzipping beside fflate, and the check of all photos.
 *
 * The photos are deflated, as most programs pack them. Each unzips in a worker of its own: fflate the whole archive in
 * memory, without looking at checksums; ours file by file from where the browser keeps the archive, each one checked.
 */

import { once } from "node:events";
import { createWriteStream, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";

import { zipOf } from "../tests/browser/dataset-cases.mjs";
import { ROOT, WWW, launch, openPage } from "../tests/browser/harness.mjs";
import { serveStatic } from "../tests/browser/static-server.mjs";
import { compare, median, round } from "./cpu/statistics.mjs";
import { installNodePeers } from "./peers/install.mjs";

/**
 * @param {{ folder: string, photos: string, rounds: number }} options
 * @returns {Promise<{ lines: ReturnType<typeof compare>[], table: Record<string, object> }>}
 */
export async function inBrowser({ folder, photos, rounds }) {
  const peers = installNodePeers(folder);
  const zip = join(folder, "photos.zip");
  const megabytes = (await writeZip(photos, zip)) / 1e6;
  const site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/bench/", join(ROOT, "benches/peers/browser")],
      ["/fflate/", join(peers, "fflate/esm")],
    ],
    answers: {
      "/empty.html": (response) =>
        response
          .writeHead(200, { "content-type": "text/html" })
          .end("<!doctype html><link rel=icon href=data:,><input type=file>"),
    },
  });
  const browser = await launch();
  const seconds = { ours: [], fflate: [], check: [] };
  let images = 0;
  try {
    for (let turn = 0; turn < rounds; turn++) {
      for (const who of ["ours", "fflate"]) seconds[who].push(await onPage((page) => page.evaluate(unzip, who)));
      const checked = await onPage((page) => page.evaluate(check));
      seconds.check.push(checked.seconds);
      images = checked.images;
    }
  } finally {
    await browser.close();
    await site.close();
  }
  const {
    ours,
    fflate,
    check: checking,
  } = Object.fromEntries(Object.entries(seconds).map(([who, all]) => [who, median(all)]));
  return {
    lines: [compare(`unzip ${round(megabytes, 3)} MB of photos in Chromium`, "seconds", ours, "fflate", fflate)],
    table: {
      "unzip in Chromium, ours": { "MB/s": round(megabytes / ours, 3), seconds: round(ours, 3) },
      "unzip in Chromium, fflate": { "MB/s": round(megabytes / fflate, 3), seconds: round(fflate, 3) },
      "check in Chromium": { "images/s": round(images / checking, 4), seconds: round(checking, 3) },
    },
  };

  /** @template T @param {(page: import("playwright-core").Page) => Promise<T>} run */
  async function onPage(run) {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(600_000);
    await page.setInputFiles("input", zip);
    const result = await run(page);
    const complaints = await close();
    if (complaints.length > 0) throw new Error(complaints.join("; "));
    return result;
  }
}

/** Packs all files of a folder, deflated. Returns their bytes after unpacking. */
async function writeZip(photos, zip) {
  const paths = readdirSync(photos, { recursive: true }).filter((path) => statSync(join(photos, path)).isFile());
  const out = createWriteStream(zip);
  let bytes = 0;
  const files = function* () {
    for (const path of paths) {
      const content = readFileSync(join(photos, path));
      bytes += content.length;
      yield { name: path, packed: deflateRawSync(content), crc: crc32(content), size: content.length, method: 8 };
    }
  };
  for (const part of zipOf(files())) if (!out.write(part)) await once(out, "drain");
  out.end();
  await once(out, "finish");
  return bytes;
}

/** In the browser: seconds of a worker, from the archive to the bytes of all files. */
function unzip(/** @type {"ours" | "fflate"} */ who) {
  const [file] = /** @type {HTMLInputElement} */ (document.querySelector("input")).files ?? [];
  const worker = new Worker("/bench/unzip.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message || "the worker did not start"));
    worker.onmessage = ({ data }) => ("seconds" in data ? resolve(data.seconds) : reject(new Error(data.error)));
    worker.postMessage({ who, file });
  });
}

/** In the browser: the check as the page makes it. */
async function check() {
  const { Dataset } = await import("/image-feature/index.js");
  const [file] = /** @type {HTMLInputElement} */ (document.querySelector("input")).files ?? [];
  const start = performance.now();
  const dataset = await Dataset.open(file);
  const { images } = await dataset.check();
  const seconds = (performance.now() - start) / 1e3;
  dataset.dispose();
  if (images.decoded !== images.listed) throw new Error("not all photos were decoded");
  return { seconds, images: images.decoded };
}
