/** The golden detector: Paddle's file of weights, made by the formula of `golden/scripts/detweights_det.py`. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { GOLDEN } from "./harness.mjs";

/** Of the file that `make_det_pdiparams.py` writes. */
const SHA256 = "e6fe299875dcf5b1f7a1a005d48a047ecd334a2772742b82f0a2d45f9be47a5e";
/** The class's bias at each level. */
const CLASS_BIAS = [-8, -9, -3, -2];
const STRIDES = [8, 16, 32, 64];

/** The bytes of `inference.pdiparams`. */
export function detectorParams() {
  const statistics = readStatistics();
  const order = readFileSync(join(GOLDEN, "models/PP-ShiTuV2_det_pdiparams_order.tsv"), "utf8");
  const parts = order
    .trimEnd()
    .split("\n")
    .flatMap((line) => {
      const [name, shape] = line.split("\t");
      const sides = JSON.parse(shape);
      return tensorParts(sides, valuesOf(name, sides, statistics));
    });
  const bytes = Buffer.concat(parts);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), SHA256);
  return bytes;
}

/** The means and variances of the BatchNorms, which have no formula: half floats in safetensors. */
function readStatistics() {
  const file = readFileSync(join(GOLDEN, "models/PP-ShiTuV2_det_bn_stats.safetensors"));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, start).toString());
  return (/** @type {string} */ name) => {
    const [from, to] = header[name].data_offsets;
    return Float32Array.from({ length: (to - from) / 2 }, (_, index) =>
      half(file.readUInt16LE(start + from + 2 * index)),
    );
  };
}

/** @param {number} bits */
function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15, (bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return sign ? -size : size;
}

/**
 * @param {string} name
 * @param {number[]} shape
 * @param {(name: string) => Float32Array} statistics
 */
function valuesOf(name, shape, statistics) {
  if (/\._(mean|variance)$/.test(name)) return statistics(name);
  if (name === "const:project") return Float32Array.from({ length: 8 }, (_, bin) => bin);
  if (name.startsWith("const:")) {
    const ofCell = (/** @type {number} */ stride) => (/** @type {unknown} */ _, /** @type {number} */ cell) => {
      const side = 640 / stride;
      return name === "const:anchor_points" ? [(cell % side) + 0.5, Math.floor(cell / side) + 0.5] : [stride];
    };
    return Float32Array.from(
      STRIDES.flatMap((stride) => Array.from({ length: (640 / stride) ** 2 }, ofCell(stride)).flat()),
    );
  }
  const values = uniform(
    name,
    shape.reduce((product, side) => product * side, 1),
    boundsOf(name, shape),
  );
  const level = /^head\.head_cls(\d)\.bias$/.exec(name);
  if (level) values[0] = CLASS_BIAS[Number(level[1])];
  return values;
}

/**
 * @param {string} name
 * @param {number[]} shape
 */
function boundsOf(name, shape) {
  if (/\.(bn|bn1|bn2|norm)\.weight$/.test(name)) return [0.7, 1.3];
  if (/\.(bn|bn1|bn2|norm)\.bias$/.test(name)) return [0, 1];
  if (name.startsWith("head.head_cls")) return name.endsWith(".weight") ? [-0.45, 0.45] : [-0.5, 0.5];
  if (name.endsWith(".bias")) return [-0.17, 0.17];
  const bound = Math.sqrt(6 / (shape[1] * shape[2] * shape[3]));
  return [-bound, bound];
}

/**
 * FNV-1a of the name, then splitmix64.
 *
 * @param {string} name
 * @param {number} count
 * @param {number[]} bounds
 */
function uniform(name, count, [least, most]) {
  const u64 = (/** @type {bigint} */ value) => BigInt.asUintN(64, value);
  let state = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(name)) state = u64((state ^ BigInt(byte)) * 0x100000001b3n);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    state = u64(state + 0x9e3779b97f4a7c15n);
    let z = u64((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    values[index] = least + (most - least) * (Number(z >> 40n) / 2 ** 24);
  }
  return values;
}

/**
 * A tensor as Paddle writes it.
 *
 * @param {number[]} shape
 * @param {Float32Array} values
 */
function tensorParts(shape, values) {
  const description = [0x08, 0x05];
  for (let side of shape) {
    description.push(0x10);
    for (; side > 127; side = Math.floor(side / 128)) description.push((side & 127) | 128);
    description.push(side);
  }
  const head = Buffer.alloc(20);
  head.writeInt32LE(description.length, 16);
  return [head, Buffer.from(description), Buffer.from(values.buffer)];
}
