/** @param {number[]} values */
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** @param {number} value @param {number} [digits] significant ones */
export const round = (value, digits = 4) => Number(value.toPrecision(digits));

/**
 * A line of the result: our value beside a peer's. Smaller is better.
 *
 * @param {string} of what was measured, under which conditions
 * @param {string} metric with its unit
 * @param {number} ours
 * @param {string} peer
 * @param {number} theirs
 */
export function compare(of, metric, ours, peer, theirs) {
  return { case: of, metric, ours: round(ours), peer, peer_value: round(theirs), ratio: round(ours / theirs, 3) };
}
