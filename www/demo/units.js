/** Numbers as text for people. */

/** @param {number} bytes */
export function bytes(bytes) {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/**
 * The number of digits that distinguishes the values of a range, from 3 to 6.
 *
 * @param {number} low
 * @param {number} high
 */
export function digitsFor(low, high) {
  const spread = high - low;
  if (!(spread > 0)) return 3;
  return Math.min(Math.max(Math.ceil(-Math.log10(spread)) + 2, 3), 6);
}
