/**
 * The engine on the CPU beside its peers: eager burn-flex, ONNX Runtime and Paddle with oneDNN natively, ONNX Runtime
 * Web and TensorFlow.js in headless Chromium; and the share of the core's peak that each step of the plan reaches. All
 * contenders of a table take turns in one run. A ratio below 1 means that ours is faster or smaller; only speeds, in
 * GMAC/s, are better where larger.
 *
 *     ./build.sh bench cpu [native] [roofline] [browser]
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";

import { ROOT, withoutGolden } from "../tests/browser/harness.mjs";
import { measureBrowser } from "./cpu/browser.mjs";
import { pixels, tensors } from "./cpu/inputs.mjs";
import { buildOurs, lineUp, makeModels } from "./cpu/line-up.mjs";
import { measureNative } from "./cpu/native.mjs";
import { measureRoofline } from "./cpu/roofline.mjs";

const PARTS = ["native", "roofline", "browser"];
const FOLDER = join(ROOT, "target/bench");

const chosen = process.argv.length > 2 ? process.argv.slice(2) : PARTS;
const unknown = chosen.find((part) => !PARTS.includes(part));
if (unknown) throw new Error(`no part "${unknown}": there are ${PARTS.join(", ")}`);
if (withoutGolden) throw new Error(withoutGolden);

mkdirSync(FOLDER, { recursive: true });
const inputs = { pixels: join(FOLDER, "pixels.bin"), tensors: join(FOLDER, "tensors.bin") };
const rgb = pixels();
writeFileSync(inputs.pixels, rgb);
writeFileSync(inputs.tensors, new Uint8Array(tensors(rgb).buffer));
const program = buildOurs();
const models = makeModels(FOLDER, program, inputs.tensors);

const lines = [];
if (chosen.includes("native"))
  lines.push(...(await measureNative(await lineUp(FOLDER, program, inputs.tensors, models))));
if (chosen.includes("roofline")) lines.push(...measureRoofline(program, inputs.tensors));
if (chosen.includes("browser")) lines.push(...(await measureBrowser(FOLDER, program, inputs, models)));

console.log(`load average ${loadavg()[0].toFixed(1)}; written to target/bench/cpu.json`);
writeFileSync(join(FOLDER, "cpu.json"), JSON.stringify(lines, null, 2));
