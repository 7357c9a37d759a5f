/** Checks of arguments. Each throws an `ImageFeatureError` of kind `usage` that names the argument and its rule. */

import { ImageFeatureError } from "./errors.js";

/**
 * @param {boolean} right
 * @param {string} rule the argument's name and what it must be
 * @param {unknown} value what was given
 */
export function check(right, rule, value) {
  if (!right) throw new ImageFeatureError("usage", `${rule}, got ${String(value)}`);
}

/**
 * The value, if it is a whole number within these bounds.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {number} least
 * @param {number} [most]
 * @param {{ or?: number }} [options] `or`: one more value that is allowed
 * @returns {number}
 */
export function checkWhole(name, value, least, most, { or } = {}) {
  const number = /** @type {number} */ (value);
  const right = Number.isSafeInteger(value) && number >= least && number <= (most ?? Number.MAX_SAFE_INTEGER);
  const other = or === undefined ? "" : `${or} or `;
  const bounds = most === undefined ? `from ${least}` : `from ${least} to ${most}`;
  check(right || (or !== undefined && value === or), `${name} must be ${other}a whole number ${bounds}`, value);
  return number;
}

/**
 * The value, if it is a number; NaN is none.
 *
 * @param {string} name
 * @param {unknown} value
 * @returns {number}
 */
export function checkNumber(name, value) {
  check(typeof value === "number" && !Number.isNaN(value), `${name} must be a number`, value);
  return /** @type {number} */ (value);
}

/**
 * The value, if it is a string.
 *
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
export function checkText(name, value) {
  check(typeof value === "string", `${name} must be a text`, value);
  return /** @type {string} */ (value);
}

/**
 * The value, if it is a string that is not empty and not too long.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {number} most characters
 * @returns {string}
 */
export function checkShortText(name, value, most) {
  const right = typeof value === "string" && value.length > 0 && value.length <= most;
  check(right, `${name} must be a text of 1 to ${most} characters`, value);
  return /** @type {string} */ (value);
}

/**
 * The value, if it is one of those that are known.
 *
 * @template Known
 * @param {string} name
 * @param {unknown} value
 * @param {readonly Known[]} known
 * @returns {Known}
 */
export function checkOneOf(name, value, known) {
  if (known.includes(/** @type {Known} */ (value))) return /** @type {Known} */ (value);
  throw new ImageFeatureError("usage", `unknown ${name} "${String(value)}"; known are ${known.join(", ")}`);
}

/**
 * Refuses a value that `for await` cannot go through. A string is refused, too: it is an address, not many.
 *
 * @param {unknown} value
 * @param {string} rule
 */
export function checkIterable(value, rule) {
  const isIterable =
    typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
  if (!isIterable) throw new ImageFeatureError("usage", rule);
}
