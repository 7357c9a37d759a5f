/**
 * The package without data sets, for places where its WebAssembly is inside of scripts: `image-feature/inline`, and
 * workerd.
 *
 * @module image-feature/inline
 */

export { configure } from "./configure.js";
export { FeatureExtractor } from "./extractor.js";
export { FineTuned } from "./fine-tune.js";
export { Gallery } from "./gallery.js";
export { ImageFeatureError } from "./errors.js";
export { models } from "./models.js";
export { Recognizer } from "./recognizer.js";
