/** TensorFlow.js on its WebAssembly backend (XNNPACK): the network is built step by step from the engine's plan. */

/** @typedef {{ operation: string, input: number, output: number, [field: string]: any }} Step */

export async function load({ threads, model }) {
  await script("/tfjs-core/tf-core.min.js");
  await script("/tfjs-wasm/tf-backend-wasm.min.js");
  const { tf } = globalThis;
  // it uses at most half of the reported cores, because it takes them for two threads of one core
  Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 * threads });
  tf.wasm.setThreadsCount(threads);
  tf.wasm.setWasmPaths("/tfjs-wasm/");
  const [plan, weights] = await Promise.all([
    fetch(`${model}/plan.json`).then((answer) => answer.json()),
    fetch(`${model}/weights.bin`).then((answer) => answer.arrayBuffer()),
  ]);
  await tf.setBackend("wasm");
  await tf.ready();
  const steps = plan.steps.map((/** @type {Step} */ step) => ({
    ...step,
    forward: layer(tf, plan, new Float32Array(weights), step),
  }));
  const used = tf.wasm.getThreadsCount();
  if (used !== threads) throw new Error(`asked for ${threads} threads, got ${used}`);

  const forward = (/** @type {any} */ images) => {
    const values = [images];
    for (const step of steps) values[step.output] = step.forward(values[step.input], values);
    return values[steps.at(-1).output];
  };
  return {
    version: tf.version_core,
    async run({ pixelMajor, count }) {
      const start = performance.now();
      const result = tf.tidy(() => forward(tf.tensor4d(pixelMajor, [count, 224, 224, 3])));
      const features = await result.data();
      const milliseconds = performance.now() - start;
      result.dispose();
      return { milliseconds, features: [...features] };
    },
  };
}

/**
 * A step as a function of its input and of all values so far.
 *
 * @param {any} tf
 * @param {{ values: number[][] }} plan
 * @param {Float32Array} weights of all steps
 * @param {Step} step
 */
function layer(tf, plan, weights, step) {
  const part = ([offset, length]) => weights.subarray(offset, offset + length);
  const channels = (value) => plan.values[value][2];
  const activation = step.relu ? "relu" : "linear";
  /** Ours are [out, in, height, width], theirs [height, width, in, out]. */
  const dense = (where, [out, from, side]) =>
    tf.tidy(() => tf.transpose(tf.tensor4d(part(where), [out, from, side, side]), [2, 3, 1, 0]));
  const settings = { strides: step.stride ?? 1, pad: Math.floor((step.side ?? 1) / 2), activation };

  switch (step.operation) {
    case "convolution": {
      const filter = dense(step.weights, [channels(step.output), channels(step.input), step.side]);
      const bias = tf.tensor1d(part(step.bias));
      return (x) => tf.fused.conv2d({ x, filter, bias, ...settings });
    }
    case "depthwise": {
      const shape = [channels(step.input), step.side, step.side, 1];
      const filter = tf.tidy(() => tf.transpose(tf.tensor4d(part(step.weights), shape), [1, 2, 0, 3]));
      const bias = tf.tensor1d(part(step.bias));
      return (x) => tf.fused.depthwiseConv2d({ x, filter, bias, ...settings });
    }
    case "pointwise": {
      const filter = dense(step.weights, [channels(step.output), channels(step.input), 1]);
      const bias = tf.tensor1d(part(step.bias));
      return (x, values) => {
        const gated = step.gate === null ? x : tf.mul(x, values[step.gate]);
        const sums = tf.fused.conv2d({ x: gated, filter, bias, ...settings });
        return step.residual === null ? sums : tf.add(sums, values[step.residual]);
      };
    }
    case "gate": {
      const hidden = step.reduce_bias[1];
      const reduce = {
        filter: dense(step.reduce, [hidden, channels(step.input), 1]),
        bias: tf.tensor1d(part(step.reduce_bias)),
      };
      const expand = {
        filter: dense(step.expand, [channels(step.output), hidden, 1]),
        bias: tf.tensor1d(part(step.expand_bias)),
      };
      const plain = { strides: 1, pad: 0 };
      return (x) => {
        const inner = tf.fused.conv2d({ x: tf.mean(x, [1, 2], true), ...reduce, ...plain, activation: "relu" });
        return tf.fused.conv2d({ x: inner, ...expand, ...plain, activation: "sigmoid" });
      };
    }
    case "mean":
      return (x) => tf.mean(x, [1, 2], true);
    default:
      throw new Error(`TensorFlow.js is not told how to do "${step.operation}"`);
  }
}

/** The files for plain pages hang their names on `globalThis.tf`. */
function script(source) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.onload = () => resolve(undefined);
    element.onerror = () => reject(new Error(`${source} did not load`));
    element.src = source;
    document.head.append(element);
  });
}
