/**
 * A double of the WebAssembly cores, for tests of the code around them: it traps, refuses and waits on request.
 *
 * Its input files say what to do: a model `{ "refuse": "model" }`, an image `trap`. The feature of an image is made from
 * the bytes of the image.
 */

const DIMENSION = 512;

/** A channel to the page, to tell it each step and to wait for its messages: so tests do not depend on time. */
const channel = new BroadcastChannel("double");

/** Settles when the page sends these words. */
function said(words) {
  return new Promise((resolve) => {
    const listen = ({ data }) => {
      if (data !== words) return;
      channel.removeEventListener("message", listen);
      resolve();
    };
    channel.addEventListener("message", listen);
  });
}

let exports;
let shared;
let threads = 1;

export default async function init({ module_or_path, memory }) {
  ({ exports } = await WebAssembly.instantiate(module_or_path));
  shared =
    memory ??
    (globalThis.crossOriginIsolated ? new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }) : undefined);
  channel.postMessage("started");
  return { memory: shared };
}

/** Counts the threads in the shared memory, then waits, and traps on request. */
export function serveAsThread() {
  const words = new Int32Array(shared.buffer);
  Atomics.add(words, 0, 1);
  Atomics.wait(words, 1, 0);
  exports.trap();
}

export function startThreads(helpers) {
  const started = new Int32Array(shared.buffer);
  for (const deadline = performance.now() + 60_000; Atomics.load(started, 0) < helpers; ) {
    if (performance.now() > deadline) throw new Error(`${Atomics.load(started, 0)} of ${helpers} threads came`);
  }
  threads = 1 + helpers;
}

let warmed = 0;

export function warmUp(memory) {
  warmed = memory;
  channel.postMessage("warmed");
}

function refuse(kind, message) {
  throw Object.assign(new Error(message), { kind });
}

export class ModelFile {
  static fromFiles(names, contents) {
    const text = new TextDecoder().decode(contents[0]);
    if (!text.startsWith("{")) refuse("model", `${names[0]}: not a model`);
    return Object.assign(new ModelFile(), { orders: JSON.parse(text) });
  }
  info() {
    return { name: this.orders.tell === "memory" ? `warmed ${warmed}` : "double", dimension: DIMENSION };
  }
  id() {
    return { name: this.info().name, hash: this.orders.hash ?? "d0".repeat(32) };
  }
  toSafetensors() {
    return new TextEncoder().encode(JSON.stringify(this.orders));
  }
  preprocessBytes(bytes, _roi, _views, orientation) {
    const text = new TextDecoder().decode(bytes.subarray(0, 200));
    const give = (values, damage) => ({ damage, intoValues: () => values });
    if (text.startsWith("trap")) exports.trap();
    // the worker ends, and says nothing more
    if (text.startsWith("vanish")) globalThis.close();
    if (text.startsWith("thread trap")) return give(Float32Array.of(THREAD_TRAP));
    if (text.startsWith("slow")) return give(Float32Array.of(SLOW));
    if (text.startsWith("damaged")) refuse("decode", "the image is damaged");
    if (text.startsWith("cut")) return give(sumUp(bytes), `the file ends early (${orientation})`);
    if (text.startsWith("GIF")) refuse("unsupported", "not an image format that is read");
    return give(sumUp(bytes));
  }
  preprocessRgba(rgba) {
    return sumUp(rgba);
  }
  free() {}
}

/**
 * Stand for the pixels of two images. The batch of the first waits for the page's "go on". The second makes another
 * thread trap.
 */
const SLOW = -1;
const THREAD_TRAP = -2;

/** A seed in place of pixels. */
function sumUp(bytes) {
  let seed = 17;
  for (let index = 0; index < bytes.length; index += 1 + (bytes.length >> 12))
    seed = (seed * 31 + bytes[index]) % 65521;
  return Float32Array.of(seed);
}

export class Network {
  static async load(first, expected) {
    // on the CPU a model, on the GPU its weights and the CPU's answer
    const onGpu = expected instanceof Float32Array;
    const orders = onGpu ? JSON.parse(new TextDecoder().decode(first)) : first.orders;
    if (onGpu) {
      // the real core computes in f32
      if (expected[5] !== featureOf(1)[5])
        refuse("device", "the self-test failed: its feature differs from that of f32");
      if (orders.gpu === "refuse") refuse("device", "the self-test failed: its feature differs");
      if (orders.gpu === "trap") exports.trap();
      if (orders.gpu === "trap later") {
        setTimeout(() => exports.trap());
        await new Promise(() => {});
      }
    }
    return Object.assign(new Network(), { orders, dtype: onGpu ? "f32" : expected.dtype });
  }
  info() {
    return {
      simd: import.meta.url.includes("relaxed") ? "relaxed-simd" : "simd128",
      threads,
      dtype: this.orders.dtype ?? this.dtype ?? "f32",
    };
  }
  async run(input, count) {
    if (this.orders.lost) refuse("device", "the device was lost");
    if (this.orders.run === "trap later") {
      setTimeout(() => exports.trap());
      await new Promise(() => {});
    }
    if (input.includes(THREAD_TRAP)) {
      const words = new Int32Array(shared.buffer);
      Atomics.store(words, 1, 1);
      Atomics.notify(words, 1);
      // waits for a thread that has stopped, as the real core does
      Atomics.wait(words, 2, 0);
    }
    if (this.orders.wait || input.includes(SLOW)) {
      const goOn = said("go on");
      channel.postMessage("running");
      await goOn;
    } else {
      await new Promise((resolve) => setTimeout(resolve, this.orders.milliseconds ?? 0));
    }
    const output = new Float32Array(count * DIMENSION);
    for (let image = 0; image < count; image++) output.set(featureOf(input[image]), image * DIMENSION);
    return output;
  }
  async probe() {
    return featureOf(this.dtype === "i8" ? 2 : 1);
  }
  free() {}
}

function featureOf(seed) {
  const feature = new Float32Array(DIMENSION);
  let state = seed + 1;
  for (let index = 0; index < DIMENSION; index++) {
    state = (state * 48271) % 2147483647;
    feature[index] = state / 2147483647 - 0.35 + Math.sin(index);
  }
  const length = Math.hypot(...feature);
  return feature.map((value) => value / length);
}

/** The name of the network in the core for WebGPU. */
export { Network as GpuNetwork };
