/** The inputs of every contender, and the check of its results, which is done before its speed is measured. */

import { readFileSync } from "node:fs";

import { golden, goldenFeature, largestDifference } from "../../tests/browser/harness.mjs";

/** The largest batch. The seven images differ, so that an exchange of two is noticed. */
const IMAGES = [
  "chelsea.png",
  "astronaut.png",
  "camera.png",
  "china.jpg",
  "exact_224.png",
  "tall_37x401.png",
  "tiny_3x2.png",
  "chelsea.png",
];
export const MOST = IMAGES.length;

const SIDE = 224;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** @returns {Buffer} the images as PaddleX has resized them: RGB bytes, 8 x 224 x 224 x 3 */
export function pixels() {
  const file = readFileSync(golden("features/preprocess_shituv2.safetensors"));
  const start = 8 + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, start).toString());
  return Buffer.concat(
    IMAGES.map((image) => {
      const {
        dtype,
        data_offsets: [from, to],
      } = header[`${image}/resized_rgb_u8_predict`];
      if (dtype !== "U8") throw new Error(`the pixels of ${image} are ${dtype}`);
      return file.subarray(start + from, start + to);
    }),
  );
}

/** @returns {Float32Array} the same, normalised, as planes: 8 x 3 x 224 x 224 */
export function tensors(rgb = pixels()) {
  const plane = SIDE * SIDE;
  const values = new Float32Array(rgb.length);
  for (let image = 0; image < MOST; image++) {
    for (let channel = 0; channel < 3; channel++) {
      const start = (3 * image + channel) * plane;
      for (let pixel = 0; pixel < plane; pixel++) {
        const value = rgb[3 * (image * plane + pixel) + channel];
        values[start + pixel] = (value / 255 - MEAN[channel]) / DEVIATION[channel];
      }
    }
  }
  return values;
}

const EXPECTED = new Map(IMAGES.map((image) => [image, goldenFeature(image)]));
/** Largest difference of an element of the unit feature from PaddleX's, for contenders that compute in f32. */
const TOLERANCE = 2e-5;
/** Smallest cosine to PaddleX's feature, for contenders with rounded weights. */
const LEAST_COSINE = 0.995;

/**
 * Throws if a contender's features differ from PaddleX's: the speed of a wrong answer means nothing.
 *
 * @param {string} contender
 * @param {ArrayLike<number>} features of the first images, one after the other, of any length
 * @param {number} count how many images
 * @param {"f32" | "f16" | "i8"} dtype of the weights
 */
export function check(contender, features, count, dtype) {
  const dimension = EXPECTED.get(IMAGES[0]).length;
  if (features.length !== count * dimension) {
    throw new Error(`${contender} gave ${features.length} values for ${count} images of ${dimension}`);
  }
  for (let index = 0; index < count; index++) {
    const feature = Array.from({ length: dimension }, (_, at) => features[index * dimension + at]);
    const length = Math.hypot(...feature);
    const unit = feature.map((value) => value / length);
    const expected = EXPECTED.get(IMAGES[index]);
    const difference = largestDifference(unit, expected);
    const cosine = unit.reduce((sum, value, at) => sum + value * expected[at], 0);
    // in this form, NaN fails
    if (!(dtype === "f32" ? difference <= TOLERANCE : cosine >= LEAST_COSINE)) {
      throw new Error(
        `${contender} is wrong on image ${index} (${IMAGES[index]}): it differs from PaddleX by ${difference}, cosine ${cosine}`,
      );
    }
  }
}
