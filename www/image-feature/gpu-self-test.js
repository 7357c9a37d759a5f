/** The self-test of a GPU: whether a network on it gives the CPU's features. */

import { ImageFeatureError } from "./errors.js";

/** The largest difference of a feature's element from the CPU's. A wrong kernel gives 1e-2 or more. */
const TOLERANCE = 2e-3;

/** Images of the self-test: drivers are known that are right for the first one only. */
export const PROBES = 2;

/**
 * One image alone, then both in a batch, the other one first: so the second run has another image than the first in each
 * place. Features must be the CPU's each time.
 *
 * @param {import("./gpu-runner.js").GpuRunner} runner
 * @param {string} adapter
 * @param {Float32Array} expected
 */
export async function verify(runner, adapter, expected) {
  const inputs = probeInputs(runner.inputLength);
  const runs = [
    { what: "one image", order: [0] },
    { what: "a batch", order: [1, 0] },
  ];
  for (const { what, order } of runs) {
    const input = inOrder(inputs, order, runner.inputLength);
    const features = normalize(await runner.run(input, order.length, "feature"), order.length);
    const difference = largestDifference(features, inOrder(expected, order, expected.length / PROBES));
    // with `<=` a NaN fails
    if (difference <= TOLERANCE) continue;
    throw new ImageFeatureError(
      "device",
      `the self-test on ${adapter} failed at ${what}: its feature differs from the CPU's by ${difference.toPrecision(2)} (allowed ${TOLERANCE})`,
    );
  }
}

/**
 * Parts of some numbers, one after the other.
 *
 * @param {Float32Array} numbers
 * @param {number[]} order
 * @param {number} length of a part
 */
function inOrder(numbers, order, length) {
  const parts = new Float32Array(order.length * length);
  order.forEach((from, place) => parts.set(numbers.subarray(from * length, (from + 1) * length), place * length));
  return parts;
}

/** Pseudo-random values in [-2, 2), the range of normalised pixels, for all probes. */
export function probeInputs(/** @type {number} */ length) {
  const values = new Float32Array(PROBES * length);
  for (let index = 0; index < values.length; index++) {
    let hash = Math.imul(index, 0x9e3779b9);
    hash = Math.imul((hash << 15) | (hash >>> 17), 0x85ebca6b);
    values[index] = (hash >>> 8) / 2 ** 22 - 2;
  }
  return values;
}

/**
 * Divides each feature by its length, in place.
 *
 * @param {Float32Array} features
 * @param {number} count
 */
export function normalize(features, count) {
  const dimension = features.length / count;
  for (let start = 0; start < features.length; start += dimension) {
    const feature = features.subarray(start, start + dimension);
    const length = Math.sqrt(feature.reduce((sum, value) => sum + value * value, 0));
    if (!(length > 0 && length < Infinity)) {
      // of kind `device`, so that the CPU is asked: it tells whether the weights are damaged
      throw new ImageFeatureError("device", `a feature has length ${length}, which cannot be normalised`);
    }
    for (let index = 0; index < dimension; index++) feature[index] /= length;
  }
  return features;
}

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function largestDifference(a, b) {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    const difference = Math.abs(a[index] - b[index]);
    // a NaN stays
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
