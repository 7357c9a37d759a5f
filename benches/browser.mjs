/**
 * Time to the first feature and to each further one in headless Chromium, ours beside ONNX Runtime Web, on the CPU (one
 * thread) and on WebGPU. Each measurement has a fresh browser, so that no compiled code is cached; ours and the peer
 * take turns in one run. The figures are medians in milliseconds; a ratio below 1 means that ours is faster.
 *
 * Without a GPU, WebGPU computes in software (SwiftShader): that compares the two, and says nothing about a GPU.
 *
 *     ./build.sh bench browser
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";

import { GOLDEN, ROOT, SOFTWARE_WEBGPU, WWW, launch, openPage, withoutGolden } from "../tests/browser/harness.mjs";
import { serveStatic } from "../tests/browser/static-server.mjs";
import { installNodePeers } from "./peers/install.mjs";

const PEER = "onnxruntime-web 1.30.0";
const FOLDER = join(ROOT, "target/bench");
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const REPEATS = { cpu: 15, webgpu: 2 };

/** In the browser: our package, from the import to features. */
async function ours({ device, repeats }) {
  const { FeatureExtractor } = await import("/image-feature/index.js");
  const folder = "/golden/models/PP-ShiTuV2_rec_infer_pir";
  const photo = await (await fetch("/golden/features/inputs/china.jpg")).blob();
  const start = performance.now();
  const files = await Promise.all(
    ["inference.json", "inference.pdiparams", "inference.yml"].map(
      async (name) => new File([await (await fetch(`${folder}/${name}`)).blob()], name),
    ),
  );
  const extractor = await FeatureExtractor.load(files, { device, threads: 1 });
  const load = performance.now() - start;
  await extractor.embed(photo);
  const first = performance.now() - start;
  const each = [];
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    await extractor.embed(photo);
    each.push(performance.now() - before);
  }
  return { load, first, each };
}

/** In the browser: the same network in ONNX Runtime Web. It gets a ready tensor: it does not decode. */
async function peer({ device, repeats }) {
  const start = performance.now();
  const ort = await import(device === "webgpu" ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("/golden/models/PP-ShiTuV2_rec.onnx", {
    executionProviders: [device === "webgpu" ? "webgpu" : "wasm"],
  });
  const load = performance.now() - start;
  const run = async () => {
    const input = new ort.Tensor("float32", new Float32Array(3 * 224 * 224).fill(0.1), [1, 3, 224, 224]);
    const outputs = await session.run({ [session.inputNames[0]]: input });
    await outputs[session.outputNames[0]].getData();
  };
  await run();
  const first = performance.now() - start;
  const each = [];
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    await run();
    each.push(performance.now() - before);
  }
  return { load, first, each };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

if (withoutGolden) throw new Error(withoutGolden);
mkdirSync(FOLDER, { recursive: true });
const site = await serveStatic({
  mounts: [
    ["/", WWW],
    ["/golden/", GOLDEN],
    ["/ort/", join(installNodePeers(FOLDER), "onnxruntime-web/dist")],
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
  for (const device of ["cpu", "webgpu"]) {
    for (const [who, body] of Object.entries({ ours, peer })) {
      const browser = await launch(SOFTWARE_WEBGPU);
      const { page, complaints } = await openPage(browser, `${site.url}/empty.html`);
      page.setDefaultTimeout(300_000);
      const { load, first, each } = await page.evaluate(body, { device, repeats: REPEATS[device] });
      await browser.close();
      if (who === "ours" && complaints.length > 0) throw new Error(complaints.join("; "));
      for (const [metric, value] of Object.entries({ load, first, each: median(each) })) {
        ((measured[device] ??= {})[metric] ??= { ours: [], peer: [] })[who].push(value);
      }
    }
  }
}
await site.close();

const table = Object.entries(measured).flatMap(([device, metrics]) =>
  Object.entries(metrics).map(([metric, { ours, peer }]) => ({
    case: device,
    metric: `${metric} (ms)`,
    ours: Math.round(median(ours)),
    peer: PEER,
    peer_value: Math.round(median(peer)),
    ratio: Number((median(ours) / median(peer)).toFixed(2)),
  })),
);
console.table(table);
console.log(`${ROUNDS} rounds; load average ${loadavg()[0].toFixed(1)}`);
writeFileSync(join(FOLDER, "browser.json"), JSON.stringify(table, null, 2));
