import { ImageFeatureError } from "../image-feature/index.js";

/**
 * What was thrown, as an error of the package; anything else is a fault of ours.
 *
 * @param {unknown} error
 */
export function asError(error) {
  return error instanceof ImageFeatureError
    ? error
    : new ImageFeatureError("internal", String(error), { cause: error });
}
