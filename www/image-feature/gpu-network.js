/**
 * A network on WebGPU, in the place of one in WebAssembly: it has the same methods. A GPU must pass a self-test. Where it is
 * lost later, the network goes on with another one, or on the CPU, and no image is lost.
 */

import { ImageFeatureError, isTrap, toError } from "./errors.js";
import { GpuRunner } from "./gpu-runner.js";
import { PROBES, normalize, probeInputs, verify } from "./gpu-self-test.js";

/**
 * @typedef {import("./wasm/cpu/image_feature.js").ModelFile} ModelFile
 * @typedef {import("./wasm/cpu/image_feature.js").Network} CpuNetwork
 * @typedef {import("./cores.js").CpuCore} CpuCore
 * @typedef {{ device: "webgpu" | "cpu", adapter: string | null, dtype: "f32" | "f16" | "i8", reason: string }} Move
 *
 * @typedef {{ adapter: string, device: GPUDevice, software: boolean }} OpenGpu an open device, its name, and whether the
 *   CPU emulates it
 *
 * @typedef {object} Home
 * @property {CpuCore} core
 * @property {ModelFile} model
 * @property {() => Promise<OpenGpu | { reason: string }>} find another device
 * @property {() => Promise<CpuNetwork>} onCpu the network on the CPU, for the time after the GPU
 * @property {(move: Move) => void} onMoved the network is elsewhere now
 */

/** Images in one submission. */
const BATCH = 8;

/** Runs of a race: the first on the CPU is slower. */
const RACES = 3;

export class GpuNetwork {
  #home;
  /** @type {GpuRunner | undefined} */
  #runner;
  #adapter;
  /** @type {Float32Array} */
  #expected;
  /** The network on the CPU, once it computes. @type {CpuNetwork | undefined} */
  #onCpu;
  /** Failures since the last result. */
  #failures = 0;
  /** @type {Promise<void> | undefined} */
  #moving;

  /**
   * Use `GpuNetwork.load`.
   *
   * @private
   * @param {Home} home
   * @param {GpuRunner} runner
   * @param {string} adapter
   * @param {Float32Array} expected
   */
  constructor(home, runner, adapter, expected) {
    this.#home = home;
    this.#runner = runner;
    this.#adapter = adapter;
    this.#expected = expected;
  }

  /**
   * Puts a network on a GPU and tests it.
   *
   * Rejects with kind `device` if the GPU does not compile the shaders, has too little memory, or computes something else
   * than the CPU.
   *
   * @param {Home} home
   * @param {OpenGpu} found its device is freed if it fails
   * @param {CpuNetwork} reference the network on the CPU in f32
   * @returns {Promise<GpuNetwork>}
   */
  static async load(home, { adapter, device, software }, reference) {
    const program = lower(home, device, software);
    const { buffers } = /** @type {import("./gpu-runner.js").Description} */ (program.description());
    const opening = openRunner(device, program);
    // it has a handler also while the reference computes, or if that fails
    opening.catch(() => {});
    // the GPU compiles and copies meanwhile
    const expected = await reference.run(probeInputs(buffers[0]), PROBES);
    const runner = await opening;
    await verified(runner, adapter, expected);
    return new GpuNetwork(home, runner, adapter, expected);
  }

  /** How the network computes. */
  info() {
    if (this.#onCpu) return this.#onCpu.info();
    return { device: "webgpu", adapter: this.#adapter, simd: null, threads: null, dtype: "f32" };
  }

  /**
   * Features of length 1.
   *
   * @param {Float32Array} input
   * @param {number} count
   */
  async run(input, count) {
    return this.#compute(
      async (runner) => normalize(await runner.run(input, count, "feature"), count),
      (onCpu) => onCpu.run(input, count),
    );
  }

  /**
   * The input of the last layers.
   *
   * @param {Float32Array} input
   * @param {number} count
   */
  async pooled(input, count) {
    return this.#compute(
      (runner) => runner.run(input, count, "pooled"),
      (onCpu) => onCpu.pooled(input, count),
    );
  }

  /**
   * Times one image on the GPU and on the CPU.
   *
   * @param {CpuNetwork} onCpu
   * @returns {Promise<{ quicker: boolean, words: string }>} whether the GPU is quicker, and both times
   */
  async race(onCpu) {
    const runner = /** @type {GpuRunner} */ (this.#runner);
    const image = probeInputs(runner.inputLength).subarray(0, runner.inputLength);
    const gpu = await medianTime(() => runner.run(image, 1, "feature"));
    const cpu = await medianTime(() => onCpu.run(image, 1));
    const times = `an image takes ${gpu.toFixed(1)} ms on ${this.#adapter}, ${cpu.toFixed(1)} ms on the CPU`;
    return { quicker: gpu < cpu, words: times };
  }

  /** Frees the device. */
  free() {
    this.#runner?.destroy();
    this.#onCpu?.free();
  }

  /**
   * @param {(runner: GpuRunner) => Promise<Float32Array>} onGpu
   * @param {(onCpu: CpuNetwork) => Promise<Float32Array>} onCpu
   * @returns {Promise<Float32Array>}
   */
  async #compute(onGpu, onCpu) {
    for (;;) {
      await this.#moving;
      if (!this.#runner) return onCpu(/** @type {CpuNetwork} */ (this.#onCpu));
      const runner = this.#runner;
      try {
        const result = await onGpu(runner);
        this.#failures = 0;
        return result;
      } catch (error) {
        const { kind, message } = toError(error);
        if (kind !== "device") throw error;
        // of several calls that fail together, one moves the network
        if (runner === this.#runner) {
          this.#moving ??= this.#move(message).finally(() => (this.#moving = undefined));
        }
      }
    }
  }

  /** Goes on with a new device; after a second failure, or where there is none, on the CPU. */
  async #move(/** @type {string} */ why) {
    this.#runner?.destroy();
    const { find, onCpu, onMoved } = this.#home;
    let reason = why;
    if (++this.#failures === 1) {
      try {
        const found = await find();
        if ("reason" in found) throw new ImageFeatureError("device", found.reason);
        const runner = await openRunner(found.device, lower(this.#home, found.device, found.software));
        await verified(runner, found.adapter, this.#expected);
        this.#runner = runner;
        this.#adapter = found.adapter;
        onMoved({
          device: "webgpu",
          adapter: found.adapter,
          dtype: "f32",
          reason: `WebGPU: ${why}; a new device computes`,
        });
        return;
      } catch (error) {
        reason = `${why}; then: ${toError(error).message}`;
      }
    }
    this.#onCpu = await onCpu();
    this.#runner = undefined;
    const { dtype } = /** @type {{ dtype: Move["dtype"] }} */ (this.#onCpu.info());
    onMoved({ device: "cpu", adapter: null, dtype, reason: `WebGPU: ${reason}; the CPU computes` });
  }
}

/**
 * The program of a network. Where there is none, the device that would run it is freed.
 *
 * @param {Home} home
 * @param {GPUDevice} device
 * @param {boolean} software
 * @returns {import("./gpu-runner.js").GpuProgram}
 */
function lower({ core, model }, device, software) {
  try {
    return core.GpuProgram.lower(model, BATCH, software);
  } catch (error) {
    device.destroy();
    if (isTrap(error)) throw error;
    // a network for which there are no shaders still runs on the CPU
    throw new ImageFeatureError("device", toError(error).message, { cause: error });
  }
}

/**
 * Opens a device. Features and limits are the default ones: no shader needs more.
 *
 * @param {GPUAdapter} gpu
 */
export async function openDevice(gpu) {
  try {
    return await gpu.requestDevice({ requiredFeatures: [], requiredLimits: {} });
  } catch (error) {
    throw new ImageFeatureError("device", `the GPU did not open: ${toError(error).message}`, { cause: error });
  }
}

/**
 * Puts a program on a device. The program is freed, and where it fails, the device.
 *
 * @param {GPUDevice} device
 * @param {import("./gpu-runner.js").GpuProgram} program
 */
async function openRunner(device, program) {
  try {
    return await GpuRunner.create(device, program);
  } catch (error) {
    device.destroy();
    throw error;
  } finally {
    program.free();
  }
}

/**
 * Runs the self-test; where it fails, the device is freed.
 *
 * @param {GpuRunner} runner
 * @param {string} adapter
 * @param {Float32Array} expected features of the probes
 */
async function verified(runner, adapter, expected) {
  try {
    await verify(runner, adapter, expected);
  } catch (error) {
    runner.destroy();
    throw error;
  }
}

/** The median of some runs, in milliseconds. */
async function medianTime(/** @type {() => Promise<unknown>} */ run) {
  const times = [];
  for (let index = 0; index < RACES; index++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[RACES >> 1];
}
