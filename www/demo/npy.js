/**
 * NumPy's `.npy` format, version 1.0, little-endian f32.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

/**
 * One vector as an array of shape `(n,)`, several as `(count, n)`.
 *
 * @param {Float32Array[]} vectors all of one length
 * @param {boolean} asMatrix
 * @returns {Blob}
 */
export function toNpy(vectors, asMatrix) {
  const { length } = vectors[0];
  const shape = asMatrix ? `(${vectors.length}, ${length})` : `(${length},)`;
  const description = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  // magic and version 8 bytes, the header's length 2, and the data starts at a multiple of 64, after a line feed
  const header = `${description.padEnd(Math.ceil((10 + description.length + 1) / 64) * 64 - 11)}\n`;
  const start = new Uint8Array(10 + header.length);
  start.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  start.set(new TextEncoder().encode(header), 10);
  const data = new DataView(new ArrayBuffer(vectors.length * length * 4));
  vectors.flatMap((vector) => [...vector]).forEach((value, index) => data.setFloat32(index * 4, value, true));
  return new Blob([start, data], { type: "application/octet-stream" });
}
