/** The native contenders: how each is installed, built and started. */

import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";

import { ROOT, golden } from "../../tests/browser/harness.mjs";
import { makeVenv } from "../peers/venv.mjs";
import { Contender } from "./contender.mjs";
import { MOST } from "./inputs.mjs";

const PEERS = join(ROOT, "benches/peers");
const MODEL = golden("models/PP-ShiTuV2_rec_infer_pir");

/**
 * @typedef {object} Competitor
 * @property {string} name
 * @property {boolean} ours
 * @property {"f32" | "i8"} dtype
 * @property {(batch: number, threads: number) => Promise<Contender>} start
 */

/**
 * @param {string} folder for what is made
 * @param {string} program of `buildOurs`
 * @param {string} inputs the file of preprocessed images
 * @param {string} models the folder of `makeModels`
 * @returns {Promise<Competitor[]>} without those that cannot be had here, after saying why
 */
export async function lineUp(folder, program, inputs, models) {
  const ours = (command, model, environment) => (batch, threads) =>
    Contender.start({
      name: command,
      command: program,
      arguments: [command, model, inputs, `${batch}`, `${threads}`],
      environment: environment?.(threads),
    });
  const python = (name, worker, model) => (batch, threads) =>
    Contender.start({
      name,
      command: join(folder, `venv-${name}/bin/python`),
      arguments: [join(PEERS, worker), model, inputs, `${batch}`, `${threads}`],
      environment: { PYTHONPYCACHEPREFIX: join(folder, "pycache") },
    });
  const competitors = [
    { name: "engine", ours: true, dtype: "f32", start: ours("engine", MODEL) },
    { name: "engine, i8", ours: true, dtype: "i8", start: ours("engine", join(models, "i8.safetensors")) },
  ];
  const peers = [
    // eager Burn: our code runs it, but it is one of the engine's peers
    { name: "flex", start: ours("flex", MODEL, (threads) => ({ RAYON_NUM_THREADS: `${threads}` })) },
    {
      name: "onnxruntime",
      prepare: () => makeVenv(folder, "onnxruntime"),
      start: python("onnxruntime", "onnxruntime_worker.py", golden("models/PP-ShiTuV2_rec.onnx")),
    },
    {
      name: "paddle",
      prepare: () => makeVenv(folder, "paddle"),
      start: python("paddle", "paddle_worker.py", golden("models/PP-ShiTuV2_rec_infer_pdmodel")),
    },
  ];
  for (const { name, prepare, start } of peers) {
    try {
      prepare?.();
      await (await start(1, 1)).stop();
      competitors.push({ name, ours: false, dtype: "f32", start });
    } catch (error) {
      console.log(`${name} does not take part: ${error.message}`);
    }
  }
  return competitors;
}

/**
 * Compiles our contenders: the engine and Burn. FEATURES names others (`FEATURES=cpu` leaves Burn out).
 *
 * @returns {string} the program
 */
export function buildOurs() {
  const { FEATURES = "cpu,flex" } = process.env;
  const features = ["--no-default-features", "--features", FEATURES];
  const words = ["bench", "--no-run", "--bench", "ours", "--message-format", "json-render-diagnostics", ...features];
  const { status, stdout } = spawnSync("cargo", words, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error("the benchmark `ours` did not compile: look at cargo's message above");
  const messages = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const program = messages.findLast(({ target, executable }) => executable && target?.name === "ours")?.executable;
  if (!program) throw new Error("cargo made no program for the benchmark `ours`");
  return program;
}

/**
 * The model in our own format, as f32, as f16, and as i8 calibrated on the benchmark's images.
 *
 * @param {string} folder for what is made
 * @param {string} program of `buildOurs`
 * @param {string} inputs the file of preprocessed images
 * @returns {string} the folder of `f32.safetensors` and the others
 */
export function makeModels(folder, program, inputs) {
  const models = join(folder, "models");
  execFileSync(program, ["convert", MODEL, inputs, `${MOST}`, models]);
  return models;
}
