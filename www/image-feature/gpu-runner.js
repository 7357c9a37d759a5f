/**
 * Runs the program of a network on a WebGPU device: the driver of `engine::gpu::Program` in the Rust library, which
 * explains buffers, bindings and dispatches.
 */

import { ImageFeatureError, toError } from "./errors.js";

/**
 * @typedef {{ buffer: number, len: number, stride: number }} Vectors
 * @typedef {{ name: string, source: string }} Pipeline
 * @typedef {{ step: string, pipeline: number, groups: [number, number], input: number, weights: number | null,
 *   gate: number | null, residual: number | null, added: number | null, output: number }} Dispatch
 * @typedef {{ batch: number, buffers: number[], tensors: { step: string, len: number }[], pipelines: Pipeline[],
 *   dispatches: Dispatch[], feature: Vectors, pooled: Vectors }} Description
 * @typedef {{ description: () => unknown, shapes: () => Uint32Array, takeTensor: (tensor: number) => Float32Array,
 *   free: () => void }} GpuProgram
 */

/** Places in a uniform buffer are multiples of this many bytes. */
const ROW_BYTES = 256;

/** Buffers from which results are read: one is read while the next batch computes. */
const STAGES = 2;

/** Flags by the specification of WebGPU; TypeScript's library has no names for them. */
const COMPUTE = 4;
const READ = 1;
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

/** How long after a failure the loss of the device may be told. */
const LOSS_MS = 50;

/** How many bindings a shader has: see `shaders/common.wgsl`. */
const BINDINGS = 6;

export class GpuRunner {
  #device;
  #description;
  #pipelines;
  #memory;
  /** Why the device is gone, once it is. @type {string | undefined} */
  #lost;

  /**
   * Use `GpuRunner.create`.
   *
   * @private
   * @param {GPUDevice} device
   * @param {Description} description
   * @param {GPUComputePipeline[]} pipelines
   * @param {Memory} memory
   */
  constructor(device, description, pipelines, memory) {
    this.#device = device;
    this.#description = description;
    this.#pipelines = pipelines;
    this.#memory = memory;
    device.lost.then(({ message, reason }) => {
      this.#lost = message || reason;
    });
  }

  /**
   * Compiles the shaders and uploads the weights. Takes them out of the program, which it does not free.
   *
   * Rejects with kind `device`: the message names the shader that did not compile, or what the device refused.
   *
   * @param {GPUDevice} device
   * @param {GpuProgram} program
   */
  static async create(device, program) {
    const description = /** @type {Description} */ (program.description());
    const layout = device.createBindGroupLayout({
      entries: Array.from({ length: BINDINGS }, (_, binding) => ({
        binding,
        visibility: COMPUTE,
        buffer: { type: binding === 0 ? "uniform" : binding === BINDINGS - 1 ? "storage" : "read-only-storage" },
      })),
    });
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
    // the driver compiles on threads of its own while the weights are uploaded
    const compiled = Promise.all(description.pipelines.map((pipeline) => compile(device, pipelineLayout, pipeline)));
    const memory = checked(device, "the memory of the network", () =>
      createMemory(device, layout, program, description),
    );
    const [pipelines, created] = await Promise.all([compiled, memory]);
    return new GpuRunner(device, description, pipelines, created);
  }

  /** Why the device is gone; `undefined` while it is there. */
  get lost() {
    return this.#lost;
  }

  /** Numbers of one preprocessed image. */
  get inputLength() {
    return this.#description.buffers[0];
  }

  /** The most images of one submission. */
  get batch() {
    return this.#description.batch;
  }

  /**
   * The features, not yet of length 1, or the pooled vectors of `count` preprocessed images, one after the other.
   *
   * Rejects with kind `device` if the device fails.
   *
   * @param {Float32Array} input
   * @param {number} count
   * @param {"feature" | "pooled"} wanted
   */
  async run(input, count, wanted) {
    const vectors = this.#description[wanted];
    const len = this.inputLength;
    if (input.length !== count * len) {
      throw new ImageFeatureError("internal", `${count} images of ${len} values, ${input.length} values were given`);
    }
    const output = new Float32Array(count * vectors.len);
    /** @type {Promise<void> | undefined} */
    let before;
    for (let first = 0, stage = 0; first < count; first += this.batch, stage = (stage + 1) % STAGES) {
      const images = input.subarray(first * len, Math.min(count, first + this.batch) * len);
      const now = this.#runBatch(images, images.length / len, vectors, stage, output.subarray(first * vectors.len));
      // it is awaited in the next round; until then an error has a handler
      now.catch(() => {});
      await before;
      before = now;
    }
    await before;
    return output;
  }

  /** Frees the device and all that is on it. */
  destroy() {
    this.#device.destroy();
  }

  /**
   * One pass and one submission for a batch, whose vectors are written to `output`.
   *
   * @param {Float32Array} images
   * @param {number} count
   * @param {Vectors} vectors
   * @param {number} stage
   * @param {Float32Array} output
   */
  async #runBatch(images, count, vectors, stage, output) {
    if (this.#lost !== undefined) throw gone(this.#lost);
    const { maps, stages, groups } = this.#memory;
    const bytes = 4 * count * vectors.stride;
    try {
      const submitted = checked(this.#device, "a run of the network", () => {
        this.#device.queue.writeBuffer(maps[0], 0, /** @type {AllowSharedBufferSource} */ (images));
        const encoder = this.#device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        this.#description.dispatches.forEach(({ pipeline, groups: [x, y] }, index) => {
          pass.setPipeline(this.#pipelines[pipeline]);
          pass.setBindGroup(0, groups[index]);
          pass.dispatchWorkgroups(x, y, count);
        });
        pass.end();
        encoder.copyBufferToBuffer(maps[vectors.buffer], 0, stages[stage], 0, bytes);
        this.#device.queue.submit([encoder.finish()]);
      });
      const mapped = stages[stage].mapAsync(READ, 0, bytes);
      mapped.catch(() => {});
      await submitted;
      await mapped;
    } catch (error) {
      // the error of a lost device says less than the loss itself, which may be told a little later
      await Promise.race([this.#device.lost, new Promise((resolve) => setTimeout(resolve, LOSS_MS))]);
      if (this.#lost !== undefined) throw gone(this.#lost);
      if (error instanceof ImageFeatureError) throw error;
      throw new ImageFeatureError("device", `a result could not be read: ${toError(error).message}`, { cause: error });
    }
    const numbers = new Float32Array(stages[stage].getMappedRange(0, bytes));
    for (let image = 0; image < count; image++) {
      const start = image * vectors.stride;
      output.set(numbers.subarray(start, start + vectors.len), image * vectors.len);
    }
    stages[stage].unmap();
  }
}

/** @param {string} why */
const gone = (why) => new ImageFeatureError("device", `the GPU was lost: ${why}`);

/**
 * The buffers on the device, and what each dispatch binds.
 *
 * @typedef {{ maps: GPUBuffer[], stages: GPUBuffer[], groups: GPUBindGroup[] }} Memory
 *
 * @param {GPUDevice} device
 * @param {GPUBindGroupLayout} layout
 * @param {GpuProgram} program
 * @param {Description} description
 * @returns {Memory}
 */
function createMemory(device, layout, program, { batch, buffers, tensors, dispatches, feature, pooled }) {
  const make = (/** @type {number} */ numbers, /** @type {number} */ usage) =>
    device.createBuffer({ size: 4 * numbers, usage });
  const maps = buffers.map((numbers) => make(numbers * batch, STORAGE | COPY_DST | COPY_SRC));
  // one tensor at a time, so that the weights are not in memory twice
  const weights = tensors.map(({ len }, index) => {
    const buffer = make(len, STORAGE | COPY_DST);
    device.queue.writeBuffer(buffer, 0, /** @type {AllowSharedBufferSource} */ (program.takeTensor(index)));
    return buffer;
  });
  const table = make((ROW_BYTES / 4) * dispatches.length, UNIFORM | COPY_DST);
  const shapes = program.shapes();
  const row = shapes.length / dispatches.length;
  const groups = dispatches.map(({ input, weights: tensor, gate, residual, added, output }, index) => {
    device.queue.writeBuffer(
      table,
      index * ROW_BYTES,
      /** @type {AllowSharedBufferSource} */ (shapes),
      index * row,
      row,
    );
    // what a step does not need is bound to its input
    const bound = [
      maps[input],
      tensor === null ? maps[input] : weights[tensor],
      maps[gate ?? input],
      added === null ? maps[residual ?? input] : weights[added],
      maps[output],
    ];
    return device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: table, offset: index * ROW_BYTES, size: 4 * row } },
        ...bound.map((buffer, place) => ({ binding: place + 1, resource: { buffer } })),
      ],
    });
  });
  const longest = Math.max(feature.stride, pooled.stride) * batch;
  const stages = Array.from({ length: STAGES }, () => make(longest, MAP_READ | COPY_DST));
  return { maps, stages, groups };
}

/**
 * @param {GPUDevice} device
 * @param {GPUPipelineLayout} layout
 * @param {Pipeline} pipeline
 */
async function compile(device, layout, { name, source }) {
  const failed = (/** @type {string} */ why) =>
    new ImageFeatureError("device", `the shader \`${name}\` did not compile: ${why}`);
  // errors of the text are reported by the pipeline, too; the scope keeps them out of the console
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: name, code: source });
  const inText = device.popErrorScope();
  try {
    return await device.createComputePipelineAsync({ label: name, layout, compute: { module, entryPoint: "main" } });
  } catch (error) {
    throw failed((await inText.catch(() => null))?.message ?? toError(error).message);
  }
}

/**
 * Does some work on a device, and rejects with what the device says about it: else it would only be written to the
 * console, and results would be wrong.
 *
 * @template T
 * @param {GPUDevice} device
 * @param {string} what
 * @param {() => T} work
 * @returns {Promise<T>}
 */
async function checked(device, what, work) {
  const filters = /** @type {const} */ (["internal", "out-of-memory", "validation"]);
  for (const filter of filters) device.pushErrorScope(filter);
  /** @type {T | undefined} */
  let done;
  /** @type {unknown} */
  let thrown;
  try {
    done = work();
  } catch (error) {
    thrown = error;
  }
  const failures = await Promise.all(filters.map(() => device.popErrorScope()));
  const failure = failures.find((error) => error !== null);
  if (failure) throw new ImageFeatureError("device", `${what} failed: ${failure.message}`);
  if (thrown) throw toError(thrown, "device", what);
  return /** @type {T} */ (done);
}
