import { ImageFeatureError } from "../image-feature/index.js";

/**
 * The thrown value, if it is an error of the package. Any other value is a fault of the page, and becomes an `internal`
 * error.
 *
 * @param {unknown} error
 */
export function asError(error) {
  return error instanceof ImageFeatureError
    ? error
    : new ImageFeatureError("internal", String(error), { cause: error });
}
