/**
 * Image feature vectors in the browser.
 *
 * ```js
 * import { FeatureExtractor } from "image-feature";
 *
 * const extractor = await FeatureExtractor.load("models/PP-ShiTuV2_rec_infer.tar");
 * const { feature } = await extractor.embed(photo);   // Float32Array(512), a unit vector
 * extractor.dispose();
 * ```
 *
 * @module image-feature
 */

export { FeatureExtractor } from "./extractor.js";
export { ImageFeatureError } from "./errors.js";

/** @typedef {import("./errors.js").ErrorKind} ErrorKind */
/** @typedef {import("./extractor.js").ModelSource} ModelSource */
/** @typedef {import("./extractor.js").LoadOptions} LoadOptions */
/** @typedef {import("./extractor.js").EmbedOptions} EmbedOptions */
/** @typedef {import("./extractor.js").EmbedManyOptions} EmbedManyOptions */
/** @typedef {import("./extractor.js").EmbedManyItem} EmbedManyItem */
/** @typedef {import("./extractor.js").NamedEmbedding} NamedEmbedding */
/** @typedef {import("./image-source.js").ImageSource} ImageSource */
/** @typedef {import("./image-source.js").Roi} Roi */
/** @typedef {import("./protocol.js").Embedding} Embedding */
/** @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo */
/** @typedef {import("./progress.js").ProgressEvent} ProgressEvent */
