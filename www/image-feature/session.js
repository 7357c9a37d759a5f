/**
 * One loaded model on one device, as a worker holds it.
 */

import { GLUE } from "./cores.js";
import { orTrap, startCpuCore, startGpuCore } from "./core.js";
import { DetectorSession, noDetector } from "./detector-session.js";
import { ImageFeatureError, isTrap, throwIfAborted, toError } from "./errors.js";
import { decodeByBrowser, readPixels } from "./image-source.js";
import { probeGpu } from "./loader.js";
import { readMessages } from "./messages.js";
import { RelayedProgress } from "./progress.js";
import { readFiles, readImage } from "./session-files.js";

/**
 * @typedef {import("./protocol.js").Embedding} Embedding
 * @typedef {import("./image-source.js").Roi} Roi
 * @typedef {import("./protocol.js").OpenRequest} OpenRequest
 * @typedef {import("./protocol.js").LoadRequest} LoadRequest
 * @typedef {import("./protocol.js").EmbedRequest} EmbedRequest
 * @typedef {import("./protocol.js").EmbedAnswer} EmbedAnswer
 * @typedef {import("./protocol.js").PoolRequest} PoolRequest
 * @typedef {import("./protocol.js").PoolAnswer} PoolAnswer
 * @typedef {import("./protocol.js").TuneRequest} TuneRequest
 * @typedef {import("./protocol.js").TuneProgress} TuneProgress
 * @typedef {import("./protocol.js").TuneAnswer} TuneAnswer
 * @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo
 * @typedef {import("./progress.js").RelayedMessage} RelayedMessage
 * @typedef {import("./wasm/cpu/image_feature.js").ModelFile} ModelFile
 * @typedef {import("./wasm/cpu/image_feature.js").Network | import("./wasm/gpu/image_feature.js").GpuNetwork |
 *   import("./gpu-network.js").GpuNetwork} Network
 * @typedef {{ values: Float32Array, damage?: string, decoder: Embedding["decoder"], milliseconds: number
 *   }} Preprocessed
 */

/**
 * @template [Progress=never]
 * @typedef {import("./bridge.js").Call<Progress>} Call
 */

/** @typedef {ReturnType<typeof createSession>["handlers"]} SessionMethods */

/** Parts of an image that go through the network together. */
const PARTS_TOGETHER = 8;

/** With `auto`, a GPU that gives no first result within this time is not used. */
const GPU_TIMEOUT_MS = 60_000;

/** A model is in memory three times: its file, its tensors, and the tensors in the kernels' layout. */
const MEMORY_PER_MODEL_BYTE = 3;

/** Touching memory ahead takes time, which only a slow download leaves. */
const MAX_WARM_BYTES = 64 * 2 ** 20;

/**
 * The handlers of a worker, and a function that frees what they hold.
 */
export function createSession() {
  /** @type {Cores | undefined} */
  let cores;
  /** @type {Session | undefined} */
  let session;
  /** @type {DetectorSession | undefined} */
  let detector;
  const loaded = () => {
    if (!session) throw new ImageFeatureError("internal", "no model is loaded");
    return session;
  };
  const handlers = {
    /** Fetches the JavaScript of a core, while the page compiles its WebAssembly. */
    async fetchGlue(/** @type {import("./protocol.js").CpuKind} */ kind) {
      // an error is reported by `open`, which imports it again
      await GLUE[kind]().catch(() => {});
      return {};
    },
    async open(/** @type {OpenRequest} */ request, /** @type {Call<RelayedMessage>} */ { signal, onProgress }) {
      cores = await openCores(request, signal, new RelayedProgress(onProgress));
      return {};
    },
    /** Touches memory for a model of this many bytes, while the page waits for its download. */
    async warmUp(/** @type {number} */ bytes) {
      cores?.cpu.core.warmUp(MEMORY_PER_MODEL_BYTE * Math.min(bytes, MAX_WARM_BYTES));
      return {};
    },
    async load(/** @type {LoadRequest} */ request, /** @type {Call<RelayedMessage>} */ { signal, onProgress }) {
      if (!cores) throw new ImageFeatureError("internal", "no WebAssembly is loaded");
      session = await Session.load(cores, request, signal, new RelayedProgress(onProgress));
      return { value: session.info };
    },
    /** Loads a detector in place of a model of features. */
    async loadDetector(/** @type {LoadRequest} */ request, /** @type {Call<RelayedMessage>} */ { signal, onProgress }) {
      if (!cores) throw new ImageFeatureError("internal", "no WebAssembly is loaded");
      throwIfAborted(signal);
      detector = DetectorSession.load(cores.cpu, request);
      const progress = new RelayedProgress(onProgress);
      progress.finish("upload");
      progress.finish("warmup");
      return { value: detector.info };
    },
    async detect(/** @type {import("./protocol.js").DetectRequest} */ request, /** @type {Call} */ { signal }) {
      if (!detector) throw noDetector();
      return { value: await detector.detect(request, signal) };
    },
    async embedParts(/** @type {import("./protocol.js").PartsRequest} */ request, /** @type {Call} */ { signal }) {
      const value = await loaded().embedParts(request, signal);
      loaded().tellMove(value);
      return { value, transfer: value.flatMap((answer) => ("feature" in answer ? [answer.feature.buffer] : [])) };
    },
    async embed(/** @type {EmbedRequest[]} */ requests, /** @type {Call} */ { signal }) {
      const value = await loaded().embed(requests, signal);
      loaded().tellMove(value);
      return { value, transfer: value.flatMap((answer) => ("feature" in answer ? [answer.feature.buffer] : [])) };
    },
    async pool(/** @type {PoolRequest} */ request, /** @type {Call} */ { signal }) {
      const value = await loaded().pool(request, signal);
      loaded().tellMove(value);
      return { value, transfer: value.flatMap((answer) => ("pooled" in answer ? [answer.pooled.buffer] : [])) };
    },
    async tune(/** @type {TuneRequest} */ request, /** @type {Call<TuneProgress>} */ { signal, onProgress }) {
      if (!cores) throw new ImageFeatureError("internal", "no WebAssembly is loaded");
      const value = await loaded().tune(cores.cpu.core, request, signal, onProgress);
      return { value, transfer: [value.model.buffer] };
    },
    /** The model's name, and its hash, for which all weights are read. */
    async identify() {
      return { value: loaded().identify() };
    },
    async exportModel(/** @type {import("./protocol.js").Dtype} */ dtype) {
      const value = loaded().exportModel(dtype);
      return { value, transfer: [value.buffer] };
    },
  };
  // after a trap, freeing may fail, too
  const dispose = async () => {
    await session?.dispose().catch(() => {});
    detector?.dispose();
  };
  return { handlers, dispose };
}

/**
 * The WebAssembly cores of a session: the CPU's, and the GPU's or the reason why it is not used.
 *
 * @typedef {{ device: OpenRequest["device"], cpu: Awaited<ReturnType<typeof startCpuCore>>, gpu: Gpu | undefined }}
 *   Cores
 */

/**
 * Starts the WebAssembly cores, while the page fetches the model.
 *
 * @param {OpenRequest} request
 * @param {AbortSignal} signal
 * @param {import("./progress.js").Progress} progress
 * @returns {Promise<Cores>}
 */
async function openCores(request, signal, progress) {
  // stops the other download when one fails
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    const { device, backend, wasm, compiled, distress } = request;
    const options = { signal: stop.signal, progress, folder: wasm, compiled, distress };
    const [cpu, gpu] = await Promise.all([
      startCpuCore(request, options),
      device === "cpu" ? undefined : findGpu(device, backend, options),
    ]);
    progress.finish("compile");
    throwIfAborted(signal);
    return { device, cpu, gpu };
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

class Session {
  #model;
  #network;
  #orientation;
  /** @type {Promise<unknown>} */
  #lastRun = Promise.resolve();

  /**
   * @param {ModelFile} model
   * @param {Network} network
   * @param {ExtractorInfo} info
   * @param {import("./protocol.js").Orientation} orientation
   */
  constructor(model, network, info, orientation) {
    this.#model = model;
    this.#network = network;
    this.#orientation = orientation;
    this.info = info;
  }

  /** Whether the page does not know yet on which device the network is. */
  #moved = false;

  /** The network went to another device. */
  move(/** @type {import("./gpu-network.js").Move} */ { reason, ...placed }) {
    this.info = { ...this.info, ...placed, reasons: [...this.info.reasons, reason] };
    this.#moved = true;
  }

  /** Tells the page with the next answers that the network went to another device. */
  tellMove(/** @type {import("./protocol.js").Moved[]} */ answers) {
    if (!this.#moved || answers.length === 0) return;
    answers[0].moved = this.info;
    this.#moved = false;
  }

  /**
   * @param {Cores} cores
   * @param {LoadRequest} request
   * @param {AbortSignal} signal
   * @param {import("./progress.js").Progress} progress
   */
  static async load({ device, cpu, gpu }, { files, dtype, orientation = "opencv" }, signal, progress) {
    const { ModelFile, Network } = cpu.core;
    const model = readFiles(ModelFile, files);
    const onCpu = await orTrap(Network.load(model, { threads: cpu.threads, dtype }));
    const { simd, threads: computing, dtype: computed } = infoOf(onCpu);
    if (dtype === "i8" && computed !== "i8") {
      throw new ImageFeatureError("unsupported", `this build computes in ${computed}, not in i8`);
    }
    // a GPU always computes in f32
    const inF32 = () =>
      computed === "f32" ? onCpu : orTrap(Network.load(model, { threads: cpu.threads, dtype: "f32" }));
    /** @type {Session | undefined} */
    let session;
    const again = {
      // in f32 as on the GPU, so that features stay the same
      onCpu: () => orTrap(Network.load(model, { threads: cpu.threads, dtype: "f32" })),
      onMoved: (/** @type {import("./gpu-network.js").Move} */ move) => session?.move(move),
    };
    const { network, reasons, ...placed } = await placeNetwork(
      device,
      model,
      cpu.core,
      onCpu,
      gpu,
      progress,
      inF32,
      again,
    );
    throwIfAborted(signal);
    const { name, dimension } = /** @type {{ name: string, dimension: number }} */ (model.info());
    progress.finish("upload");
    progress.finish("warmup");
    // reasons why the CPU is slow matter only if it computes
    if (placed.device === "cpu") reasons.push(...cpu.reasons);
    const info = {
      model: name,
      dimension,
      ...placed,
      threads: computing ?? 1,
      simd,
      dtype: infoOf(network).dtype,
      reasons,
    };
    session = new Session(model, network, info, orientation);
    return session;
  }

  /**
   * Computes the features of several images in one run of the network. An image that cannot be read has an error as its
   * answer.
   *
   * @param {EmbedRequest[]} requests
   * @param {AbortSignal} signal
   * @returns {Promise<EmbedAnswer[]>}
   */
  async embed(requests, signal) {
    const run = (/** @type {Float32Array} */ input, /** @type {number} */ count) => this.#network.run(input, count);
    const { images, outputs, milliseconds } = await this.#outputs(requests, 1, run, signal);
    return images.map((image) => {
      if (image instanceof ImageFeatureError) return { error: { kind: image.kind, message: image.message } };
      const feature = /** @type {Float32Array<ArrayBuffer>} */ (outputs.shift());
      return {
        feature,
        decoder: image.decoder,
        ...(image.damage !== undefined && { damaged: image.damage }),
        milliseconds: { preprocess: image.milliseconds, network: milliseconds },
      };
    });
  }

  /**
   * Computes the features of several parts of one image, which is decoded once.
   *
   * @param {import("./protocol.js").PartsRequest} request
   * @param {AbortSignal} signal
   * @returns {Promise<EmbedAnswer[]>}
   */
  async embedParts({ requests: [{ input }], rois }, signal) {
    const image = await this.#preprocess({ input, roi: rois }, 1);
    if (image instanceof ImageFeatureError) return [{ error: { kind: image.kind, message: image.message } }];
    const size = image.values.length / rois.length;
    const run = (/** @type {Float32Array} */ input, /** @type {number} */ count) => this.#network.run(input, count);
    /** @type {EmbedAnswer[]} */
    const answers = [];
    for (let from = 0; from < rois.length; from += PARTS_TOGETHER) {
      const parts = rois.slice(from, from + PARTS_TOGETHER).map((_, index) => {
        const start = (from + index) * size;
        return { ...image, values: image.values.subarray(start, start + size) };
      });
      const { outputs, milliseconds } = await this.#run(parts, 1, run, signal);
      for (const output of outputs) {
        answers.push({
          feature: /** @type {Float32Array<ArrayBuffer>} */ (output),
          decoder: image.decoder,
          ...(image.damage !== undefined && { damaged: image.damage }),
          milliseconds: { preprocess: image.milliseconds / rois.length, network: milliseconds },
        });
      }
    }
    return answers;
  }

  /**
   * Computes the input of the last layers, for several views of each image.
   *
   * @param {PoolRequest} request
   * @param {AbortSignal} signal
   * @returns {Promise<PoolAnswer[]>}
   */
  async pool({ requests, views }, signal) {
    const run = (/** @type {Float32Array} */ input, /** @type {number} */ count) => this.#network.pooled(input, count);
    const { images, outputs } = await this.#outputs(requests, views, run, signal);
    return images.map((image) => {
      if (image instanceof ImageFeatureError) return { error: { kind: image.kind, message: image.message } };
      return { pooled: /** @type {Float32Array<ArrayBuffer>} */ (outputs.shift()) };
    });
  }

  /**
   * Fine-tunes the last layers. Between epochs messages are read, so that an abort is noticed.
   *
   * @param {import("./cores.js").CpuCore} core
   * @param {TuneRequest} request
   * @param {AbortSignal} signal
   * @param {(progress: TuneProgress) => void} onProgress
   * @returns {Promise<TuneAnswer>}
   */
  async tune(core, { pooled, views, labels, name, options }, signal, onProgress) {
    const tuning = core.FineTune.begin(this.#model, pooled, views, labels, options);
    try {
      for (;;) {
        const progress = /** @type {TuneProgress | undefined} */ (tuning.epoch());
        if (!progress) break;
        onProgress(progress);
        await readMessages(signal);
      }
    } catch (error) {
      // after a trap it cannot be freed, and the error of that would hide the trap
      if (!isTrap(error)) tuning.free();
      throw error;
    }
    // frees the tuning, also where it fails
    const tuned = tuning.finish(this.#model, name);
    const outcome = /** @type {import("./protocol.js").TuneOutcome} */ (tuned.outcome);
    const answer = { ...outcome, model: /** @type {Uint8Array<ArrayBuffer>} */ (tuned.safetensors) };
    tuned.free();
    return answer;
  }

  identify() {
    return /** @type {import("./makers.js").ModelId} */ (this.#model.id());
  }

  /**
   * The model as a `.safetensors` file.
   *
   * @param {import("./protocol.js").Dtype} dtype
   */
  exportModel(dtype) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (this.#model.toSafetensors(dtype));
  }

  /**
   * Runs the network on images. An image that cannot be read has an error instead. An output has one part for each of
   * the `views` of an image; `milliseconds` is an image's share of the run.
   *
   * @param {EmbedRequest[]} requests
   * @param {number} views
   * @param {(input: Float32Array, count: number) => Promise<Float32Array>} run
   * @param {AbortSignal} signal
   */
  async #outputs(requests, views, run, signal) {
    /** @type {(Preprocessed | ImageFeatureError)[]} */
    const images = [];
    for (const request of requests) {
      throwIfAborted(signal);
      images.push(await this.#preprocess(request, views));
    }
    const good = images.flatMap((image) => (image instanceof ImageFeatureError ? [] : [image]));
    if (good.length === 0) return { images, outputs: [], milliseconds: 0 };
    return { images, ...(await this.#run(good, views, run, signal)) };
  }

  /** Frees the memory, after the run that is under way. */
  async dispose() {
    await this.#lastRun;
    this.#network.free();
    this.#model.free();
  }

  /**
   * @param {{ input: EmbedRequest["input"], roi?: Roi | Roi[] }} request
   * @param {number} views
   * @returns {Promise<Preprocessed | ImageFeatureError>}
   */
  async #preprocess({ input, roi }, views) {
    try {
      if ("blob" in input) return await this.#fromFile(input.blob, roi, views);
      return this.#fromPixels(input, roi, views);
    } catch (error) {
      // not the error of one image: the instance must not be used again
      if (isTrap(error)) throw error;
      return toError(error);
    }
  }

  /**
   * @param {Blob} blob
   * @param {Roi | Roi[] | undefined} roi
   * @param {number} views
   * @returns {Promise<Preprocessed>}
   */
  async #fromFile(blob, roi, views) {
    const bytes = await readImage(blob);
    const start = performance.now();
    try {
      const preprocessed = this.#model.preprocessBytes(bytes, roi, views, this.#orientation);
      const { damage } = preprocessed;
      // frees it, too
      const values = preprocessed.intoValues();
      return { values, damage, decoder: "image-feature", milliseconds: performance.now() - start };
    } catch (error) {
      if (toError(error).kind !== "unsupported") throw error;
      // the browser may know other formats, such as AVIF
      const bitmap = await decodeByBrowser(blob).catch(() => {
        throw error;
      });
      return this.#fromPixels({ bitmap }, roi, views);
    }
  }

  /**
   * @param {{ bitmap: ImageBitmap } | { pixels: Uint8Array, width: number, height: number }} input
   * @param {Roi | Roi[] | undefined} roi
   * @param {number} views
   * @returns {Preprocessed}
   */
  #fromPixels(input, roi, views) {
    const start = performance.now();
    const { pixels, width, height } = "bitmap" in input ? readPixels(input.bitmap) : input;
    const values = this.#model.preprocessRgba(pixels, width, height, roi, views);
    return { values, decoder: "browser", milliseconds: performance.now() - start };
  }

  /**
   * @param {Preprocessed[]} images
   * @param {number} views
   * @param {(input: Float32Array, count: number) => Promise<Float32Array>} call
   * @param {AbortSignal} signal
   */
  #run(images, views, call, signal) {
    const size = images[0].values.length;
    const input = new Float32Array(size * images.length);
    images.forEach(({ values }, index) => input.set(values, index * size));
    // one run at a time; the next batch is preprocessed meanwhile
    const run = this.#lastRun.then(async () => {
      throwIfAborted(signal);
      const start = performance.now();
      const output = await orTrap(call(input, images.length * views));
      const milliseconds = (performance.now() - start) / images.length;
      const each = output.length / images.length;
      return { outputs: images.map((_, index) => output.slice(index * each, (index + 1) * each)), milliseconds };
    });
    this.#lastRun = run.catch(() => {});
    return run;
  }
}

/**
 * How a network computes.
 *
 * @param {Network} network
 */
function infoOf(network) {
  /** @type {Pick<ExtractorInfo, "simd" | "dtype"> & { threads: number | null | undefined }} */
  const info = network.info();
  return info;
}

/**
 * The GPU: an open device with what puts a network on it, or the reason why it is not used.
 *
 * @typedef {import("./gpu-network.js").OpenGpu & { GpuNetwork: typeof import("./gpu-network.js").GpuNetwork }} PlanGpu
 * @typedef {{ core: typeof import("./wasm/gpu/image_feature.js"), adapter: string }} BurnGpu
 * @typedef {PlanGpu | BurnGpu | { reason: string }} Gpu
 *
 * @param {"auto" | "webgpu"} device
 * @param {import("./protocol.js").Backend | undefined} backend
 * @param {Pick<import("./core.js").StartOptions, "signal"> & Partial<import("./core.js").StartOptions>} options
 * @returns {Promise<Gpu>}
 */
async function findGpu(device, backend, options) {
  const found = await probeGpu(device === "webgpu");
  if ("reason" in found) {
    if (device === "webgpu") throw new ImageFeatureError("device", `WebGPU cannot be used: ${found.reason}`);
    return found;
  }
  try {
    if (backend === "burn")
      return {
        core: await startGpuCore(/** @type {import("./core.js").StartOptions} */ (options)),
        adapter: found.adapter,
      };
    // only pages with a GPU need this
    const { GpuNetwork, openDevice } = await import("./gpu-network.js");
    return { GpuNetwork, ...found, device: await openDevice(found.gpu) };
  } catch (error) {
    throwIfAborted(options.signal);
    if (device === "webgpu") throw error;
    return { reason: `${backend === "burn" ? "its WebAssembly did not load: " : ""}${toError(error).message}` };
  }
}

/**
 * Moves the network to the GPU if the GPU computes correctly and, with `auto`, is quicker; else leaves it on the CPU.
 *
 * @param {"auto" | "webgpu" | "cpu"} device
 * @param {ModelFile} model
 * @param {import("./cores.js").CpuCore} core
 * @param {import("./wasm/cpu/image_feature.js").Network} onCpu
 * @param {Gpu | undefined} gpu
 * @param {import("./progress.js").Progress} progress
 * @param {() => import("./wasm/cpu/image_feature.js").Network | Promise<import("./wasm/cpu/image_feature.js").Network>}
 *   inF32 the network on the CPU in f32: `onCpu`, or another one, which is freed here
 * @param {Pick<import("./gpu-network.js").Home, "onCpu" | "onMoved">} again for the time after a GPU was lost
 * @returns {Promise<{ network: Network, device: "webgpu" | "cpu", adapter: string | null, reasons: string[] }>}
 */
async function placeNetwork(device, model, core, onCpu, gpu, progress, inF32, again) {
  const stay = (/** @type {string[]} */ reasons) => ({
    network: onCpu,
    device: /** @type {const} */ ("cpu"),
    adapter: null,
    reasons,
  });
  if (!gpu) return stay([]);
  if ("reason" in gpu) return stay([`WebGPU: ${gpu.reason}`]);
  // outside of the `try`: an error of the CPU is an error of the load
  const reference = await inF32();
  /** @type {() => Promise<Network>} */
  const open =
    "core" in gpu
      ? await onBurn(gpu, model, reference)
      : () => onPlan(gpu, device, { core, model, ...again }, reference);
  progress.finish("upload");
  try {
    const opened = orTrap(open());
    const network = await (device === "auto" ? withinTimeout(opened) : opened);
    const reasons = [];
    if (device === "auto" && "race" in network) {
      const { quicker, words } = await network.race(onCpu);
      reasons.push(`WebGPU: ${words}`);
      if (!quicker) {
        network.free();
        return stay(reasons);
      }
    }
    onCpu.free();
    return { network, device: "webgpu", adapter: gpu.adapter, reasons };
  } catch (error) {
    const { kind, message } = toError(error);
    // the CPU's share in the self-test
    if (!("core" in gpu) && kind !== "device") throw error;
    if (device === "webgpu")
      throw new ImageFeatureError("device", `WebGPU cannot be used: ${message}`, { cause: error });
    return stay([`WebGPU: ${message}`]);
  } finally {
    if (reference !== onCpu) reference.free();
  }
}

/**
 * Opens the network on Burn. Its input is made here, so that an error in that is an error of the load.
 *
 * @param {BurnGpu} gpu
 * @param {ModelFile} model
 * @param {import("./wasm/cpu/image_feature.js").Network} reference
 * @returns {Promise<() => Promise<Network>>}
 */
async function onBurn({ core }, model, reference) {
  const expected = await orTrap(reference.probe());
  const weights = model.toSafetensors("f32");
  return () => core.GpuNetwork.load(weights, expected);
}

/**
 * Opens the network's own program.
 *
 * @param {PlanGpu} gpu
 * @param {"auto" | "webgpu" | "cpu"} device
 * @param {Omit<import("./gpu-network.js").Home, "find">} home
 * @param {import("./wasm/cpu/image_feature.js").Network} reference
 * @returns {Promise<Network>}
 */
function onPlan({ GpuNetwork, ...opened }, device, home, reference) {
  const find = async () => {
    const found = await findGpu(device === "webgpu" ? device : "auto", "plan", {
      signal: new AbortController().signal,
    });
    return /** @type {import("./gpu-network.js").OpenGpu | { reason: string }} */ (found);
  };
  return GpuNetwork.load({ ...home, find }, opened, reference);
}

/**
 * @template T
 * @param {Promise<T>} opened
 * @returns {Promise<T>}
 */
function withinTimeout(opened) {
  return new Promise((resolve, reject) => {
    const late = () =>
      reject(new ImageFeatureError("device", `no first result within ${GPU_TIMEOUT_MS / 1000} seconds`));
    const timer = setTimeout(late, GPU_TIMEOUT_MS);
    opened.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
