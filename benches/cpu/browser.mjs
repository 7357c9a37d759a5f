/**
 * Our package and its peers in headless Chromium, on the CPU: each page in a fresh browser, so that no compiled code is
 * cached.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { GOLDEN, ROOT, WWW, launch, openPage } from "../../tests/browser/harness.mjs";
import { serveStatic } from "../../tests/browser/static-server.mjs";
import { installNodePeers } from "../peers/install.mjs";
import { MOST, check } from "./inputs.mjs";
import { compare, median, round } from "./statistics.mjs";
import { caveat, medianOf, takeTurn, trust } from "./turn.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const BATCHES = [1, MOST];
/** Number of runs in a turn, for each batch size. */
const RUNS = { 1: 15, [MOST]: 3 };
const WASM = join(WWW, "image-feature/wasm");

/**
 * The input of each contender's page. `script` is a file of benches/peers/browser, `dtype` the data type of the
 * weights.
 */
const CONTENDERS = [1, 2].flatMap((threads) => [
  ...[
    { simd: "simd128", dtype: "f32" },
    { simd: "relaxed-simd", dtype: "f32" },
    { simd: "relaxed-simd", dtype: "f16" },
    { simd: "simd128", dtype: "i8" },
    { simd: "relaxed-simd", dtype: "i8" },
  ].map(({ simd, dtype }) => ({
    name: `ours, ${simd}, ${dtype}`,
    ours: true,
    script: "ours",
    threads,
    simd,
    dtype,
    model: `/models/${dtype}.safetensors`,
  })),
  {
    name: "onnxruntime-web",
    script: "onnxruntime",
    threads,
    dtype: "f32",
    model: "/golden/models/PP-ShiTuV2_rec.onnx",
  },
  { name: "tfjs-wasm", script: "tfjs", threads, dtype: "f32", model: "/plan" },
]);

/**
 * @param {string} folder for what is made
 * @param {string} program of `buildOurs`
 * @param {{ pixels: string, tensors: string }} inputs files
 * @param {string} models the folder of `makeModels`
 * @returns {Promise<object[]>} lines as `compare` makes them
 */
export async function measureBrowser(folder, program, inputs, models) {
  execFileSync(program, ["plan", join(GOLDEN, "models/PP-ShiTuV2_rec_infer_pir"), join(folder, "plan")]);
  const peers = installNodePeers(folder);
  const results = CONTENDERS.map((contender) => ({
    ...contender,
    version: "",
    files: new Set(),
    loads: [],
    firsts: [],
    turns: { 1: [], [MOST]: [] },
  }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const result of results) await visit(result, { folder, peers, inputs, models });
  }
  return report(results);
}

/** One contender in a fresh browser: from the start to a first feature, then a turn for each batch size. */
async function visit(result, places) {
  const { name, script, threads, simd, dtype, model } = result;
  const who = `${name}, ${threads} thread${threads > 1 ? "s" : ""}`;
  const site = await openSite(result, places);
  const browser = await launch();
  try {
    const { page, complaints } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(300_000);
    await page.evaluate(prepare, { script, most: MOST });
    const { version, load, first } = await page.evaluate(begin, { threads, simd, dtype, model });
    result.version = version;
    // without turns: these happen once in each browser, while its own threads compete
    result.loads.push(load);
    result.firsts.push(first);
    for (const batch of BATCHES) {
      check(`${who}, batch ${batch}`, await page.evaluate(features, batch), batch, dtype);
      const run = (/** @type {number} */ count) => page.evaluate(turn, { batch, count });
      result.turns[batch].push(await takeTurn(process.pid, run, RUNS[batch]));
    }
    if (result.ours && complaints.length > 0) throw new Error(complaints.join("; "));
  } catch (error) {
    throw new Error(`${who}: ${error.message}`, { cause: error });
  } finally {
    await browser.close();
    await site.close();
  }
}

/**
 * A site for one contender, which records the requests. The package takes the best artefact for the browser. To time the
 * artefact without relaxed SIMD, this site serves it under the names of both.
 */
async function openSite({ ours, simd, files }, { folder, peers, inputs, models }) {
  const plain = ["cpu", "cpu-threads"].flatMap((kind) =>
    ours && simd === "simd128" && existsSync(join(WASM, kind))
      ? [[`/image-feature/wasm/${kind}-relaxed/`, join(WASM, kind)]]
      : [],
  );
  return serveStatic({
    mounts: [
      // the package as it is published
      ["/image-feature/", join(folder, "package")],
      ["/image-feature/wasm/", WASM],
      ["/models/", models],
      ["/golden/", GOLDEN],
      ["/plan/", join(folder, "plan")],
      ["/contenders/", join(ROOT, "benches/peers/browser")],
      ["/ort/", join(peers, "onnxruntime-web/dist")],
      ["/tfjs-core/", join(peers, "@tensorflow/tfjs-core/dist")],
      ["/tfjs-wasm/", join(peers, "@tensorflow/tfjs-backend-wasm/dist")],
      ...plain,
    ],
    answers: {
      "/empty.html": (response) => {
        // the peers start threads from blobs, and TensorFlow.js makes functions out of text
        response.setHeader("content-security-policy", "script-src 'self' 'unsafe-eval' blob:");
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>");
      },
      "/inputs/pixels": (response) => response.end(readFileSync(inputs.pixels)),
      "/inputs/tensors": (response) => response.end(readFileSync(inputs.tensors)),
    },
    onFile: (path, file) => !path.startsWith("/contenders/") && files.add(file),
  });
}

/** In the browser: the inputs in each contender's own form, and the contender's script. */
async function prepare({ script, most }) {
  const [rgb, planes] = await Promise.all(
    ["pixels", "tensors"].map(async (name) => (await fetch(`/inputs/${name}`)).arrayBuffer()),
  ).then(([pixels, tensors]) => [new Uint8Array(pixels), new Float32Array(tensors)]);
  const pixels = 224 * 224;
  const inputs = (/** @type {number} */ count) => ({
    count,
    planes: planes.slice(0, 3 * pixels * count),
    pixelMajor: Float32Array.from({ length: 3 * pixels * count }, (_, at) => {
      const [image, pixel, channel] = [Math.floor(at / (3 * pixels)), Math.floor(at / 3) % pixels, at % 3];
      return planes[(3 * image + channel) * pixels + pixel];
    }),
    images: Array.from({ length: count }, (_, image) => {
      const data = new ImageData(224, 224);
      for (let pixel = 0; pixel < pixels; pixel++) {
        data.data.set(rgb.subarray(3 * (image * pixels + pixel), 3 * (image * pixels + pixel) + 3), 4 * pixel);
        data.data[4 * pixel + 3] = 255;
      }
      return data;
    }),
  });
  globalThis.bench = {
    inputs: { 1: inputs(1), [most]: inputs(most) },
    script: await import(`/contenders/${script}.js`),
  };
}

/** In the browser: milliseconds from the import of the library to a loaded model, and to the first feature. */
async function begin(options) {
  const { bench } = globalThis;
  const start = performance.now();
  bench.contender = await bench.script.load(options);
  const load = performance.now() - start;
  await bench.contender.run(bench.inputs[1]);
  return { load, first: performance.now() - start, version: bench.contender.version };
}

/** In the browser */
async function features(batch) {
  return (await globalThis.bench.contender.run(globalThis.bench.inputs[batch])).features;
}

/** In the browser: milliseconds of each of some runs. */
async function turn({ batch, count }) {
  const { contender, inputs } = globalThis.bench;
  const times = [];
  for (let run = 0; run < count; run++) times.push((await contender.run(inputs[batch])).milliseconds);
  return times;
}

/** Prints the table and gives the lines. */
function report(results) {
  // each metric's value, and the turns it comes from
  const metrics = {
    "load (ms)": [({ loads }) => median(loads)],
    "load to first feature (ms)": [({ firsts }) => median(firsts)],
    "batch 1 (ms)": [({ turns }) => medianOf(turns[1]), ({ turns }) => turns[1]],
    [`batch ${MOST} (ms)`]: [({ turns }) => medianOf(turns[MOST]), ({ turns }) => turns[MOST]],
    "program, gzipped (KB)": [({ files }) => gzipped([...files].filter((file) => !isModel(file))) / 1e3],
    "model (MB)": [({ files }) => sum([...files].filter(isModel).map((file) => readFileSync(file).length)) / 1e6],
  };
  const measured = results.map((result) => ({
    ...result,
    values: Object.fromEntries(Object.entries(metrics).map(([metric, [value]]) => [metric, value(result)])),
  }));
  console.table(
    Object.fromEntries(
      measured.map(({ name, threads, version, values }) => [
        `${name}, ${threads} thread${threads > 1 ? "s" : ""}`,
        { version, ...Object.fromEntries(Object.entries(values).map(([metric, value]) => [metric, round(value, 3)])) },
      ]),
    ),
  );
  const lines = measured
    .filter(({ ours }) => ours)
    .flatMap((ours) =>
      measured
        .filter((peer) => !peer.ours && peer.threads === ours.threads)
        .flatMap((peer) =>
          Object.entries(metrics).map(([metric, [, turns]]) =>
            compare(
              `browser, ${ours.threads} thread${ours.threads > 1 ? "s" : ""}, ${ours.name}`,
              metric + (turns ? caveat(turns(ours), turns(peer)) : ""),
              ours.values[metric],
              `${peer.name} ${peer.version}`,
              peer.values[metric],
            ),
          ),
        ),
    );
  console.table(lines);
  console.log(`${ROUNDS} rounds; ${trust(results.flatMap(({ turns }) => Object.values(turns).flat()))}`);
  return lines;
}

const isModel = (/** @type {string} */ file) =>
  file.startsWith(GOLDEN) || /\.safetensors$|plan\/(plan\.json|weights\.bin)$/.test(file);
const sum = (/** @type {number[]} */ values) => values.reduce((total, value) => total + value, 0);
const gzipped = (/** @type {string[]} */ files) =>
  sum(files.map((file) => gzipSync(readFileSync(file), { level: 9 }).length));
