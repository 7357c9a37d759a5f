/** Helpers of the browser tests: servers, a browser, golden data. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

import { serveStatic } from "./static-server.mjs";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const WWW = join(ROOT, "www");
export const SHARED = join(ROOT, "../shared");
export const GOLDEN = join(SHARED, "golden");

/** The reason for skipping a test that needs golden data, or `false`. */
export const withoutGolden = existsSync(GOLDEN) ? false : `no golden data at ${GOLDEN}`;

/** The WebAssembly artefacts. */
export const CORES = ["cpu", "cpu-relaxed", "cpu-threads", "cpu-threads-relaxed", "gpu", "dataset", "gallery"];

/** Throws if the WebAssembly is missing: tests that need it must fail then, and not be skipped. */
export function requireWasm(cores = CORES) {
  for (const core of cores) {
    const file = join(WWW, `image-feature/wasm/${core}/image_feature_bg.wasm`);
    if (!existsSync(file)) throw new Error(`${file} is missing: run ./build.sh wasm first`);
  }
}

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--no-first-run",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const SOFTWARE_WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** @param {string[]} [flags] */
export function launch(flags = []) {
  return chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS, ...flags] });
}

/**
 * Opens a page. Its `close` returns all complaints: requests to other sites, violations of the page's policy, reported
 * errors.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function openPage(browser, url, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = [];
  const requests = [];
  context.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.stack ?? error}`));
  await page.goto(url);
  return {
    page,
    requests,
    complaints,
    /** Closes the page, and gives all complaints that do not match `expected`. */
    async close(expected = /^$/) {
      await context.close();
      const foreign = requests.filter(
        (address) => !address.startsWith(new URL(url).origin) && !/^(blob|data):/.test(address),
      );
      const all = [...complaints, ...foreign.map((address) => `foreign request: ${address}`)];
      return all.filter((complaint) => !expected.test(complaint));
    },
  };
}

/** How long tests wait for a page on a busy machine. */
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 300_000);

/** Whether the machine does other things, too: times that are measured then say nothing, and are printed only. */
export const isBusy = () => loadavg()[0] > 1.5 * availableParallelism();

/** A test that takes longer than this hangs. A machine that is busy with other things takes minutes for WebGPU in software. */
export const HANG_MS = 1_200_000;

/**
 * Reads a page until `check` accepts the value, because a page is drawn some time after an event. After `PATIENCE_MS`
 * it throws the error of the last check.
 *
 * @template T
 * @param {() => T | Promise<T>} read
 * @param {(value: T) => void} check an assertion; another error is thrown at once
 */
export async function eventually(read, check) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    try {
      return check(value);
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || performance.now() > deadline) throw error;
    }
    await setTimeout(50);
  }
}

/** Assertions on what a page shows or will show soon; each gets a locator, or a page for its address. */
export const shows = {
  /** @param {import("playwright-core").Locator} locator @param {RegExp[]} expected each is found in its text */
  text: (locator, ...expected) =>
    eventually(
      () => locator.innerText(),
      (text) => expected.forEach((pattern) => assert.match(text, pattern)),
    ),
  /** @param {import("playwright-core").Locator} locator @param {number} expected how many elements it finds */
  count: (locator, expected) =>
    eventually(
      () => locator.count(),
      (count) => assert.equal(count, expected, `${locator}: how many`),
    ),
  /** @param {import("playwright-core").Locator} locator @param {string} name @param {string} expected */
  attribute: (locator, name, expected) =>
    eventually(
      () => locator.getAttribute(name),
      (value) => assert.equal(value, expected, `${locator}: ${name}`),
    ),
  /** @param {import("playwright-core").Locator} locator */
  checked: (locator) =>
    eventually(
      () => locator.isChecked(),
      (checked) => assert.ok(checked, `${locator} is not checked`),
    ),
  /** @param {import("playwright-core").Page} page @param {RegExp} expected */
  address: (page, expected) =>
    eventually(
      () => page.url(),
      (url) => assert.match(url, expected),
    ),
};

/** The program. */
export const PROGRAM = process.env.IMAGE_FEATURE_BIN ?? join(ROOT, "target/release/image-feature");

/** The reason for skipping a test that needs the program, or `false`. */
export const withoutProgram = existsSync(PROGRAM) ? false : `no program at ${PROGRAM}`;

/** Starts `image-feature serve`, if the program was built, else a server with the same headers. */
export async function serveSite(folder = WWW) {
  if (withoutProgram) return serveStatic({ mounts: [["/", folder]] });
  const server = spawn(PROGRAM, ["serve", folder, "--port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const said = [];
  for await (const line of createInterface({ input: server.stderr })) {
    said.push(line);
    const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0];
    if (!url) continue;
    const close = () => {
      server.kill("SIGINT");
      return ended;
    };
    return { url, close };
  }
  throw new Error(`${PROGRAM} serve did not start: ${said.join("\n")}`);
}

/** One function, `trap`, that traps. */
export const TRAP_WASM = Buffer.from("0061736d0100000001040160000003020100070801047472617000000a05010300000b", "hex");

/**
 * The package with doubles in place of the WebAssembly cores.
 *
 * @param {Record<string, (response: import("node:http").ServerResponse) => void>} [answers]
 * @param {{ isolated?: boolean }} [options] as of `serveStatic`
 */
export function serveDouble(answers = {}, options = {}) {
  const wasm = (/** @type {import("node:http").ServerResponse} */ response) =>
    response.writeHead(200, { "content-type": "application/wasm", "content-length": TRAP_WASM.length }).end(TRAP_WASM);
  const glue = (/** @type {import("node:http").ServerResponse} */ response) =>
    response
      .writeHead(200, { "content-type": "text/javascript" })
      .end(readFileSync(new URL("./double/core.js", import.meta.url)));
  return serveStatic({
    ...options,
    mounts: [["/", WWW]],
    answers: {
      ...Object.fromEntries(CORES.map((core) => [`/image-feature/wasm/${core}/image_feature.js`, glue])),
      ...Object.fromEntries(CORES.map((core) => [`/image-feature/wasm/${core}/image_feature_bg.wasm`, wasm])),
      ...answers,
    },
  });
}

/** @param {string} path under golden */
export function golden(path) {
  return join(GOLDEN, path);
}

export const MODEL_FILES = ["inference.json", "inference.pdiparams", "inference.yml"].map((name) =>
  golden(`models/PP-ShiTuV2_rec_infer_pir/${name}`),
);

/**
 * The f32 tensors of a safetensors file.
 *
 * @param {string} path
 * @returns {Map<string, Float32Array>}
 */
export function readSafetensors(path) {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, 8 + headerLength).toString());
  delete header.__metadata__;
  const data = file.subarray(8 + headerLength);
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          data_offsets: [start, end],
        },
      ]) => {
        if (dtype !== "F32") throw new Error(`${name} is ${dtype}`);
        return [name, new Float32Array(new Uint8Array(data.subarray(start, end)).buffer)];
      },
    ),
  );
}

/** The feature that PaddleX gives for an image of `golden/features/inputs`. */
export function goldenFeature(/** @type {string} */ image) {
  const feature = readSafetensors(golden("features/PP-ShiTuV2_rec_features.safetensors")).get(
    `${image}/predict/feature`,
  );
  if (!feature) throw new Error(`no golden feature for ${image}`);
  return feature;
}

/**
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 */
export function largestDifference(a, b) {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    const difference = Math.abs(a[index] - b[index]);
    // a NaN stays
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/**
 * A tar archive (ustar) of some files.
 *
 * @param {{ name: string, bytes: Buffer }[]} files
 */
export function tar(files) {
  const blocks = [];
  for (const { name, bytes } of files) {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        0", 148);
    header.write("ustar\0" + "00", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
