/**
 * Image feature vectors in the browser, galleries of such vectors, and data sets to train networks on.
 *
 * ```js
 * import { Dataset, FeatureExtractor, Gallery } from "image-feature";
 *
 * const extractor = await FeatureExtractor.load();     // the model that comes with the package
 * const { feature } = await extractor.embed(photo);   // Float32Array(512), a unit vector
 * extractor.dispose();
 *
 * const gallery = await Gallery.open("shop");          // kept by this browser
 * const hits = await gallery.search(feature, { k: 5 });
 * gallery.dispose();
 *
 * const dataset = await Dataset.open(zip);             // a File, a folder, dropped items
 * const report = await dataset.check();                // a report of all faults
 * dataset.dispose();
 * ```
 *
 * @module image-feature
 */

export { configure } from "./configure.js";
export { Dataset } from "./dataset.js";
export { FeatureExtractor } from "./extractor.js";
export { FineTuned } from "./fine-tune.js";
export { Gallery } from "./gallery.js";
export { ImageFeatureError } from "./errors.js";
export { models } from "./models.js";
export { Recognizer } from "./recognizer.js";

/** @typedef {import("./errors.js").ErrorKind} ErrorKind */
/** @typedef {import("./configure.js").Configuration} Configuration */
/** @typedef {import("./compile.js").WasmSource} WasmSource */
/** @typedef {import("./model-store.js").KeptModel} KeptModel */
/** @typedef {import("./dataset-types.js").Compat} Compat */
/** @typedef {import("./dataset-types.js").CompatVerdict} CompatVerdict */
/** @typedef {import("./dataset-types.js").DatasetReport} DatasetReport */
/** @typedef {import("./dataset-types.js").ListSizes} ListSizes */
/** @typedef {import("./dataset-types.js").OpenDatasetOptions} OpenDatasetOptions */
/** @typedef {import("./dataset-types.js").Running} Running */
/** @typedef {import("./dataset-types.js").Shares} Shares */
/** @typedef {import("./dataset-source.js").DatasetInput} DatasetInput */
/** @typedef {import("./gallery-types.js").Evaluation} Evaluation */
/** @typedef {import("./gallery-types.js").EvaluateOptions} EvaluateOptions */
/** @typedef {import("./gallery-types.js").GalleryEntry} GalleryEntry */
/** @typedef {import("./gallery-types.js").GalleryFileOptions} GalleryFileOptions */
/** @typedef {import("./gallery-types.js").GalleryFilter} GalleryFilter */
/** @typedef {import("./gallery-types.js").GalleryHit} GalleryHit */
/** @typedef {import("./gallery-types.js").GalleryOptions} GalleryOptions */
/** @typedef {import("./gallery-types.js").GalleryPair} GalleryPair */
/** @typedef {import("./gallery-types.js").GalleryQuery} GalleryQuery */
/** @typedef {import("./gallery-types.js").GalleryVote} GalleryVote */
/** @typedef {import("./gallery-types.js").Feature} Feature */
/** @typedef {import("./gallery-types.js").GalleryChange} GalleryChange */
/** @typedef {import("./gallery-types.js").GalleryDtype} GalleryDtype */
/** @typedef {import("./gallery-types.js").Metric} Metric */
/** @typedef {import("./gallery-types.js").NewGalleryEntry} NewGalleryEntry */
/** @typedef {import("./gallery-types.js").SearchOptions} SearchOptions */
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
/** @typedef {import("./makers.js").ModelId} ModelId */
/** @typedef {import("./recognizer.js").Recognition} Recognition */
/** @typedef {import("./recognizer.js").RecognizeOptions} RecognizeOptions */
/** @typedef {import("./recognizer.js").Thing} Thing */
/** @typedef {import("./protocol.js").DetectorInfo} DetectorInfo */
/** @typedef {import("./protocol.js").Found} Found */
/** @typedef {import("./protocol.js").FoundBox} FoundBox */
/** @typedef {import("./image-source.js").ImageSource} ImageSource */
/** @typedef {import("./image-source.js").Roi} Roi */
/** @typedef {import("./protocol.js").Embedding} Embedding */
/** @typedef {import("./protocol.js").ExtractorInfo} ExtractorInfo */
/** @typedef {import("./progress.js").ProgressEvent} ProgressEvent */
