/** Cosines between vectors of length 1. */

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
export function cosine(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}

/**
 * The cosine of each vector with each.
 *
 * @param {Float32Array[]} vectors
 * @returns {Float32Array[]} rows
 */
export function cosineMatrix(vectors) {
  const rows = vectors.map(() => new Float32Array(vectors.length));
  vectors.forEach((a, i) => {
    for (let j = 0; j <= i; j++) rows[i][j] = rows[j][i] = cosine(a, vectors[j]);
  });
  return rows;
}

/**
 * The pairs of different vectors, most similar first.
 *
 * @param {Float32Array[]} matrix
 * @returns {{ i: number, j: number, cosine: number }[]}
 */
export function rankedPairs(matrix) {
  const pairs = [];
  for (let i = 0; i < matrix.length; i++) for (let j = 0; j < i; j++) pairs.push({ i: j, j: i, cosine: matrix[i][j] });
  return pairs.sort((a, b) => b.cosine - a.cosine);
}
