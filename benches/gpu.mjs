/**
 * WebGPU in headless Chromium: this package's own shaders, Burn's graph, and ONNX Runtime Web, in one run. Each measurement has
 * a fresh browser, so that nothing compiled is cached; the contenders take turns. Times are medians in milliseconds: from an
 * empty page to the loaded model and to the first feature, each further image, and each image in batches (of 8; in software, of 2 for Burn and the peer).
 *
 * WebGPU computes in software (SwiftShader): that compares the contenders, and says nothing about a GPU. With HARDWARE=1 it
 * computes on the machine's GPU.
 *
 *     ./build.sh bench gpu [plan] [burn] [cpu] [peer]
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { GOLDEN, ROOT, SOFTWARE_WEBGPU, WWW, launch, openPage, withoutGolden } from "../tests/browser/harness.mjs";
import { serveStatic } from "../tests/browser/static-server.mjs";
import { installNodePeers } from "./peers/install.mjs";

const PEER = "onnxruntime-web 1.30.0";
const FOLDER = join(ROOT, "target/bench");
const PACKAGE = join(FOLDER, "package");
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const BATCH = 8;
/** In software, Burn and the peer take seconds for an image, and no less in larger batches. */
const SLOW_BATCH = process.env.HARDWARE ? BATCH : 2;

/** In the browser: our package, from the import to features. */
async function ours({ backend, device, repeats, batch }) {
  const { FeatureExtractor } = await import("/package/index.js");
  const folder = "/golden/models/PP-ShiTuV2_rec_infer_pir";
  const photo = await (await fetch("/golden/features/inputs/china.jpg")).blob();
  const start = performance.now();
  const files = await Promise.all(
    ["inference.json", "inference.pdiparams", "inference.yml"].map(
      async (name) => new File([await (await fetch(`${folder}/${name}`)).blob()], name),
    ),
  );
  const extractor = await FeatureExtractor.load(files, { device, backend, threads: 1 });
  const load = performance.now() - start;
  await extractor.embed(photo);
  const first = performance.now() - start;
  const each = [];
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    await extractor.embed(photo);
    each.push(performance.now() - before);
  }
  const before = performance.now();
  for await (const { error } of extractor.embedMany(Array(2 * batch).fill(photo), { batchSize: batch })) {
    if (error) throw error;
  }
  return { load, first, each, batch: (performance.now() - before) / (2 * batch), adapter: extractor.info.adapter };
}

/** In the browser: the same network in ONNX Runtime Web. It gets a ready tensor: it does not decode. */
async function peer({ repeats, batch }) {
  const start = performance.now();
  const ort = await import("/ort/ort.webgpu.min.mjs");
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("/golden/models/PP-ShiTuV2_rec.onnx", {
    executionProviders: ["webgpu"],
  });
  const load = performance.now() - start;
  const run = async (count) => {
    const input = new ort.Tensor("float32", new Float32Array(count * 3 * 224 * 224).fill(0.1), [count, 3, 224, 224]);
    const outputs = await session.run({ [session.inputNames[0]]: input });
    await outputs[session.outputNames[0]].getData();
  };
  await run(1);
  const first = performance.now() - start;
  const each = [];
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    await run(1);
    each.push(performance.now() - before);
  }
  const before = performance.now();
  await run(batch);
  return { load, first, each, batch: (performance.now() - before) / batch };
}

const CONTENDERS = {
  plan: { body: ours, given: { device: "webgpu", repeats: 10, batch: BATCH } },
  burn: { body: ours, given: { device: "webgpu", backend: "burn", repeats: 2, batch: SLOW_BATCH } },
  cpu: { body: ours, given: { device: "cpu", repeats: 10, batch: BATCH } },
  peer: { body: peer, given: { repeats: 2, batch: SLOW_BATCH } },
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Bytes of a file as a server sends them. */
const gzipped = (path) => gzipSync(readFileSync(path), { level: 9 }).length;

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CONTENDERS);
const unknown = chosen.find((who) => !Object.hasOwn(CONTENDERS, who));
if (unknown) throw new Error(`no contender ${unknown}: there are ${Object.keys(CONTENDERS).join(", ")}`);
if (withoutGolden) throw new Error(withoutGolden);
mkdirSync(FOLDER, { recursive: true });
const peers = join(installNodePeers(FOLDER), "onnxruntime-web/dist");
const site = await serveStatic({
  mounts: [
    ["/", WWW],
    ["/package/", PACKAGE],
    ["/package/wasm/", join(WWW, "image-feature/wasm")],
    ["/golden/", GOLDEN],
    ["/ort/", peers],
  ],
  answers: {
    "/empty.html": (response) => {
      // the peer starts its thread from a blob
      response.setHeader("content-security-policy", "script-src 'self' 'wasm-unsafe-eval' blob:");
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>");
    },
  },
});

const measured = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const who of chosen) {
    const { body, given } = CONTENDERS[who];
    const browser = await launch(process.env.HARDWARE ? [] : SOFTWARE_WEBGPU);
    const { page, complaints } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(600_000);
    const { adapter, each, ...times } = await page.evaluate(body, given);
    await browser.close();
    if (who !== "peer" && complaints.length > 0) throw new Error(complaints.join("; "));
    const own = (measured[who] ??= { adapter });
    for (const [metric, value] of Object.entries({ ...times, each: median(each) })) (own[metric] ??= []).push(value);
  }
}
await site.close();

const rows = Object.entries(measured).map(([who, { adapter, ...metrics }]) => {
  const ratio = (metric) =>
    measured.peer && Number((median(metrics[metric]) / median(measured.peer[metric])).toFixed(3));
  const milliseconds = (metric) => Math.round(median(metrics[metric]));
  return {
    who: who === "peer" ? PEER : who,
    "load (ms)": milliseconds("load"),
    "first (ms)": milliseconds("first"),
    "each (ms)": milliseconds("each"),
    "in a batch (ms)": milliseconds("batch"),
    "first / peer": ratio("first"),
    "each / peer": ratio("each"),
    "batch / peer": ratio("batch"),
  };
});
console.table(rows);
const wasm = (kind) => gzipped(join(WWW, `image-feature/wasm/${kind}/image_feature_bg.wasm`));
console.log(`gzipped: plan's driver ${gzipped(join(PACKAGE, "worker.js"))} bytes with the whole worker, \
its shaders in the CPU's WebAssembly (${wasm("cpu-relaxed")}); Burn ${wasm("gpu")} more`);
console.log(`${measured.plan?.adapter}; ${ROUNDS} rounds; load average ${loadavg()[0].toFixed(1)}`);
writeFileSync(join(FOLDER, "gpu.json"), JSON.stringify(rows, null, 2));
