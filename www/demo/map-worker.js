/** Places vectors in two dimensions, by the two directions in which they differ the most (PCA). */

const ROUNDS = 24;

self.addEventListener("message", ({ data: { matrix, dimension } }) => {
  const places = place(matrix, dimension);
  self.postMessage(places, /** @type {any} */ ([places.buffer]));
});

/**
 * @param {Float32Array} matrix row by row
 * @param {number} dimension
 * @returns {Float32Array} x and y of each row, each from -1 to 1
 */
function place(matrix, dimension) {
  const count = matrix.length / dimension;
  const mean = new Float32Array(dimension);
  for (let at = 0; at < matrix.length; at++) mean[at % dimension] += matrix[at] / count;
  const centred = matrix.map((value, at) => value - mean[at % dimension]);
  const first = direction(centred, dimension, []);
  const second = direction(centred, dimension, [first]);
  const places = new Float32Array(count * 2);
  for (let row = 0; row < count; row++) {
    places[2 * row] = along(centred, row, first);
    places[2 * row + 1] = along(centred, row, second);
  }
  for (const axis of [0, 1]) spread(places, axis);
  return places;
}

/**
 * The direction of the largest variance, by power iteration.
 *
 * @param {Float32Array} rows
 * @param {number} dimension
 * @param {Float32Array[]} others directions that it is at right angles to
 */
function direction(rows, dimension, others) {
  let found = Float32Array.from({ length: dimension }, (_, at) => Math.sin(at + 1 + others.length));
  for (let round = 0; round < ROUNDS; round++) {
    const next = new Float32Array(dimension);
    for (let row = 0; row < rows.length / dimension; row++) {
      const share = along(rows, row, found);
      for (let at = 0; at < dimension; at++) next[at] += share * rows[row * dimension + at];
    }
    for (const other of others) {
      const share = along(next, 0, other);
      for (let at = 0; at < dimension; at++) next[at] -= share * other[at];
    }
    const length = Math.hypot(...next) || 1;
    found = next.map((value) => value / length);
  }
  return found;
}

/**
 * @param {Float32Array} rows
 * @param {number} row
 * @param {Float32Array} direction
 */
function along(rows, row, direction) {
  let sum = 0;
  for (let at = 0; at < direction.length; at++) sum += rows[row * direction.length + at] * direction[at];
  return sum;
}

/**
 * Scales one axis to -1 to 1.
 *
 * @param {Float32Array} places
 * @param {number} axis
 */
function spread(places, axis) {
  let [low, high] = [Infinity, -Infinity];
  for (let at = axis; at < places.length; at += 2) {
    low = Math.min(low, places[at]);
    high = Math.max(high, places[at]);
  }
  const width = high - low || 1;
  for (let at = axis; at < places.length; at += 2) places[at] = (2 * (places[at] - low)) / width - 1;
}
