/**
 * Image feature vectors in the browser, galleries of them, and the data sets that networks for them are trained on.
 *
 * ```js
 * import { Dataset, FeatureExtractor, Gallery } from "image-feature";
 *
 * const extractor = await FeatureExtractor.load();     // the model in the box
 * const { feature } = await extractor.embed(photo);   // Float32Array(512), a unit vector
 * extractor.dispose();
 *
 * const gallery = await Gallery.open("shop");          // kept by this browser
 * const hits = await gallery.search(feature, { k: 5 });
 * gallery.dispose();
 *
 * const dataset = await Dataset.open(zip);             // a File, a folder, what was dropped
 * const report = await dataset.check();                // everything that is wrong with it
 * dataset.dispose();
 * ```
 *
 * @module image-feature
 */

export { Dataset } from "./dataset.js";
export { FeatureExtractor } from "./extractor.js";
export { FineTuned } from "./fine-tune.js";
export { Gallery } from "./gallery.js";
export { ImageFeatureError } from "./errors.js";

/** @typedef {import("./errors.js").ErrorKind} ErrorKind */
/** @typedef {import("./dataset.js").Compat} Compat */
/** @typedef {import("./dataset.js").CompatVerdict} CompatVerdict */
/** @typedef {import("./dataset.js").DatasetReport} DatasetReport */
/** @typedef {import("./dataset.js").ListSizes} ListSizes */
/** @typedef {import("./dataset.js").OpenDatasetOptions} OpenDatasetOptions */
/** @typedef {import("./dataset.js").Running} Running */
/** @typedef {import("./dataset.js").Shares} Shares */
/** @typedef {import("./dataset-source.js").DatasetInput} DatasetInput */
/** @typedef {import("./gallery.js").Evaluation} Evaluation */
/** @typedef {import("./gallery.js").EvaluateOptions} EvaluateOptions */
/** @typedef {import("./gallery.js").GalleryEntry} GalleryEntry */
/** @typedef {import("./gallery.js").GalleryFileOptions} GalleryFileOptions */
/** @typedef {import("./gallery.js").GalleryFilter} GalleryFilter */
/** @typedef {import("./gallery.js").GalleryHit} GalleryHit */
/** @typedef {import("./gallery.js").GalleryOptions} GalleryOptions */
/** @typedef {import("./gallery.js").GalleryPair} GalleryPair */
/** @typedef {import("./gallery.js").GalleryQuery} GalleryQuery */
/** @typedef {import("./gallery.js").GalleryVote} GalleryVote */
/** @typedef {import("./gallery.js").Feature} Feature */
/** @typedef {import("./gallery.js").GalleryChange} GalleryChange */
/** @typedef {import("./gallery.js").GalleryDtype} GalleryDtype */
/** @typedef {import("./gallery.js").Metric} Metric */
/** @typedef {import("./gallery.js").NewGalleryEntry} NewGalleryEntry */
/** @typedef {import("./gallery.js").SearchOptions} SearchOptions */
/** @typedef {import("./gallery-store.js").KeptGallery} KeptGallery */
/** @typedef {import("./extractor.js").ModelSource} ModelSource */
/** @typedef {import("./extractor.js").LoadOptions} LoadOptions */
/** @typedef {import("./extractor.js").EmbedOptions} EmbedOptions */
/** @typedef {import("./extractor.js").EmbedManyOptions} EmbedManyOptions */
/** @typedef {import("./extractor.js").EmbedManyItem} EmbedManyItem */
/** @typedef {import("./extractor.js").NamedEmbedding} NamedEmbedding */
/** @typedef {import("./fine-tune.js").FineTuneSample} FineTuneSample */
/** @typedef {import("./fine-tune.js").FineTuneOptions} FineTuneOptions */
/** @typedef {import("./fine-tune.js").FineTuneProgress} FineTuneProgress */
/** @typedef {import("./image-source.js").ImageSource} ImageSource */
/** @typedef {import("./image-source.js").Roi} Roi */
/** @typedef {import("./protocol.js").Embedding} Embedding */
/** @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo */
/** @typedef {import("./progress.js").ProgressEvent} ProgressEvent */
