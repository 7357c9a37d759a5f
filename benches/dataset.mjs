/**
 * `image-feature check` beside a check in Python with Pillow, on the same photos and the same number of cores. All take
 * turns in one run; a ratio below 1 means that ours is faster. Processes are timed as a whole. Ours does more in any
 * case: it reads the lists to the letter, compares all images with each other, and writes the report. Then the same in
 * a browser: see dataset-browser.mjs.
 *
 *     ./build.sh bench dataset
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { compare, median, round } from "./cpu/statistics.mjs";
import { inBrowser } from "./dataset-browser.mjs";
import { makeVenv } from "./peers/venv.mjs";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const FOLDER = join(ROOT, "target/bench");
const PHOTOS = join(ROOT, "../shared/data/grocery");
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const WORKS = { decode: "decoded only", equal: "equal work on each image" };

if (!existsSync(PHOTOS)) throw new Error(`no photos at ${PHOTOS}`);
mkdirSync(FOLDER, { recursive: true });
const program = buildProgram();
const python = makeVenv(FOLDER, "pillow");
const cores = availableParallelism();

/** The contenders. Each run gives the seconds for all images. */
const contenders = [...new Set([1, cores])].flatMap((threads) => [
  { name: `check, ${on(threads)}`, threads, run: () => runOurs(threads) },
  ...Object.entries(WORKS).map(([work, words]) => ({
    name: `Pillow, ${on(threads)}, ${words}`,
    threads,
    work,
    run: () => runPillow(work, threads),
  })),
]);
let images = 0;
// the first turn reads the files from the disk
runPillow("decode", cores);
const seconds = contenders.map(() => /** @type {number[]} */ ([]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, { run }] of contenders.entries()) seconds[index].push(run());
}

const lines = [];
const table = {};
for (const [index, { name, threads, work }] of contenders.entries()) {
  const time = median(seconds[index]);
  table[name] = { "images/s": round(images / time, 4), seconds: round(time, 3) };
  if (!work) continue;
  const ours = median(seconds[contenders.findIndex((other) => !other.work && other.threads === threads)]);
  lines.push(compare(`check of ${images} photos, ${on(threads)}, ${WORKS[work]}`, "seconds", ours, "Pillow 12", time));
}
const browser = await inBrowser({ folder: FOLDER, photos: PHOTOS, rounds: ROUNDS });
Object.assign(table, browser.table);
lines.push(...browser.lines);
console.table(table);
console.table(lines);
console.log(`${ROUNDS} rounds, load average ${loadavg()[0].toFixed(1)}; written to target/bench/dataset.json`);
writeFileSync(join(FOLDER, "dataset.json"), JSON.stringify(lines, null, 2));

/** @param {number} threads */
function on(threads) {
  return `${threads} core${threads > 1 ? "s" : ""}`;
}

/** @param {number} threads */
function runOurs(threads) {
  const { status, stdout, took } = timed(program, ["check", PHOTOS, "--json", "--quiet", "--threads", `${threads}`]);
  // 1: the photos have faults, which do not matter here
  if (status !== 0 && status !== 1) throw new Error(`image-feature check ended with ${status}`);
  const report = JSON.parse(stdout);
  if (report.images.decoded !== report.images.listed) throw new Error("not all photos were decoded");
  return took;
}

/** @param {string} work @param {number} processes */
function runPillow(work, processes) {
  const script = fileURLToPath(new URL("peers/pillow_check.py", import.meta.url));
  const { status, stdout, took } = timed(python, [script, PHOTOS, work, `${processes}`], {
    OMP_NUM_THREADS: "1",
    PYTHONPYCACHEPREFIX: join(FOLDER, "pycache"),
  });
  if (status !== 0) throw new Error(`the check in Python ended with ${status}`);
  images = JSON.parse(stdout).images;
  return took;
}

/** @param {string} command @param {string[]} words @param {Record<string, string>} [environment] */
function timed(command, words, environment = {}) {
  const start = performance.now();
  const { status, stdout } = spawnSync(command, words, {
    encoding: "utf8",
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 28,
  });
  return { status, stdout, took: (performance.now() - start) / 1e3 };
}

function buildProgram() {
  const words = [
    "build",
    "--release",
    "--package",
    "image-feature-cli",
    "--no-default-features",
    "--message-format",
    "json-render-diagnostics",
  ];
  const { status, stdout } = spawnSync("cargo", words, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error("the program did not compile: look at cargo's message above");
  const messages = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return messages.findLast(({ target, executable }) => executable && target?.name === "image-feature").executable;
}
