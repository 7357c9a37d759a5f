/** The types of `Gallery`: what it takes and gives back. */

/**
 * How two vectors are compared.
 *
 * - `cosine`: by the cosine of the angle between them
 * - `ip`: by the inner product
 * - `l2`: by the square of the Euclidean distance; less is nearer
 * - `hamming`: by the number of values of which one is above zero and the other is not; less is nearer
 *
 * @typedef {"cosine" | "ip" | "l2" | "hamming"} Metric
 */

/**
 * How values are stored for a search. The hits and scores are those of `f32`, except with `bit`: together with `cosine`
 * it may miss one hit in a thousand. `hamming` takes `bit` only.
 *
 * @typedef {"f32" | "f16" | "i8" | "bit"} GalleryDtype
 */

/**
 * A vector: a `Float32Array`, or other numbers.
 *
 * @typedef {ArrayLike<number>} Feature
 */

/**
 * The data of a vector: its id, which is unique in a gallery, its label, and any other data that JSON can hold.
 *
 * @typedef {{ id: string, label?: string, meta?: Record<string, unknown> }} GalleryEntry
 */

/** @typedef {GalleryEntry & { feature: Feature }} NewGalleryEntry */

/**
 * A change of the entry with this id. Properties that are not given stay as they are. A label of `null` is removed.
 *
 * @typedef {{ id: string, label?: string | null, meta?: Record<string, unknown>, feature?: Feature }} GalleryChange
 */

/** @typedef {GalleryEntry & { score: number }} GalleryHit */

/** @typedef {{ first: GalleryEntry, second: GalleryEntry, score: number }} GalleryPair */

/**
 * A label, how many of the nearest vectors have it, the score of the best of these, and their mean score.
 *
 * @typedef {{ label: string, count: number, best: number, mean: number }} GalleryVote
 */

/**
 * The hits of one label, nearest first, with the best and the mean score. The label of vectors without one is `null`.
 *
 * @typedef {{ label: string | null, best: number, mean: number, hits: GalleryHit[] }} GalleryClass
 */

/**
 * Vectors that are near each other, in the order in which they were added. Each score is that of the member and the first
 * one.
 *
 * @typedef {GalleryHit[]} GalleryGroup
 */

/**
 * The errors that `recognize` makes with a threshold, as shares from 0 to 1.
 *
 * - `falseAccepts`: of images of something unknown, those that are taken for something known
 * - `falseRejects`: of images of something known, those that are taken for unknown
 * - `wrong`: of images of something known, those that are accepted with a wrong label
 *
 * @typedef {{ threshold: number, falseAccepts: number, falseRejects: number, wrong: number }} ThresholdErrors
 */

/**
 * The result of a calibration.
 *
 * - `threshold`: the proposed threshold, and `errors`, which it makes
 * - `curve`: the errors of thresholds at equal distances
 * - `known`, `unknown`: the number of searches for something known, and for something unknown
 *
 * @typedef {{ threshold: number, errors: ThresholdErrors, curve: ThresholdErrors[], known: number, unknown: number }} Calibration
 */

/**
 * @typedef {object} CalibrateOptions
 * @property {number} [maxFalseAccepts] the largest share of images of unknown things that may be accepted, from 0 to 1.
 *   Without it, the sum of both kinds of errors is made least.
 * @property {number} [queries] the largest number of vectors that are searched with; of more, evenly spaced ones. 20 000 by
 *   default
 * @property {number} [points] number of thresholds of the curve; 101 by default
 * @property {boolean} [keep] whether the gallery keeps the threshold; `true` by default
 * @property {AbortSignal} [signal]
 * @property {(event: import("./progress.js").ProgressEvent) => void} [onProgress]
 */

/**
 * @typedef {object} GroupsOptions
 * @property {number} threshold the smallest score of a pair; for metrics where less is nearer, the largest
 * @property {AbortSignal} [signal]
 * @property {(event: import("./progress.js").ProgressEvent) => void} [onProgress]
 */

/**
 * Limits a search to the entries with this label, or one of these labels, and with these values in their metadata. A
 * value in `meta` matches itself, a list matches each of its items, and `{ min, max }` matches the numbers from `min`
 * to `max`.
 *
 * @typedef {{ label?: string | readonly string[], meta?: Record<string, unknown> }} GalleryFilter
 */

/**
 * @typedef {object} GalleryOptions
 * @property {number} dimension number of values of a vector
 * @property {Metric} [metric] `cosine` by default
 * @property {GalleryDtype} [dtype] `f32` by default
 * @property {import("./makers.js").ModelId} [model] the model that will make the vectors: `await extractor.modelId()`.
 *   Without it, the model of the first features that an extractor gave is taken.
 * @property {import("./compile.js").WasmSource} [wasm] the folder that holds `gallery/`, if it is not beside the package; or
 *   that core itself
 * @property {(event: { size: number }) => void} [onRestart] called when the gallery's worker had ended and another one has
 *   taken over all `size` vectors
 */

/**
 * - `wasm`, `onRestart`: as of `GalleryOptions`
 *
 * @typedef {Pick<GalleryOptions, "wasm" | "onRestart"> & { signal?: AbortSignal }} OpenGalleryOptions
 */

/**
 * @typedef {object} GalleryFileOptions
 * @property {Metric} [metric] for files that name no metric: by default the one of PaddleX's index, else `cosine`
 * @property {GalleryDtype} [dtype] for files that name none; `f32` by default
 * @property {readonly string[]} [labels] of the rows of a `.npy` file
 * @property {import("./makers.js").ModelId} [model] the model that made the vectors, for files that do not say it
 * @property {AbortSignal} [signal]
 * @property {import("./compile.js").WasmSource} [wasm] the folder that holds `gallery/`, if it is not beside the package; or
 *   that core itself
 * @property {(event: { size: number }) => void} [onRestart] as of `GalleryOptions`
 */

/**
 * - `anyModel`: takes features whose model did not make the gallery, or is not known to have made it. Use it only if both
 *   give the same features.
 *
 * @typedef {{ signal?: AbortSignal, anyModel?: boolean }} FeatureOptions
 */

/**
 * @typedef {object} SearchOptions
 * @property {boolean} [anyModel] as of `FeatureOptions`
 * @property {number} [k] the largest number of hits; 10 by default
 * @property {number} [threshold] the smallest score; for metrics where less is nearer, the largest
 * @property {GalleryFilter} [filter]
 * @property {AbortSignal} [signal]
 */

/** @typedef {{ feature: Feature, label: string, id?: string }} GalleryQuery */

/**
 * @typedef {object} EvaluateOptions
 * @property {readonly GalleryQuery[]} [queries] The image of the gallery with a query's `id` is left out for that
 *   query. Without queries, each labelled image of the gallery is a query, and is itself left out.
 * @property {readonly number[]} [recallAt] the k of recall@k; 1 and 5 by default
 * @property {number} [block] number of queries that PaddleClas evaluates together, on which its scores depend; 64 by
 *   default
 * @property {number} [worst] how many of the worst queries the result has; 20 by default
 * @property {number} [nearest] how many of the nearest images each of these has; 5 by default
 * @property {boolean} [anyModel] as of `FeatureOptions`
 * @property {AbortSignal} [signal]
 */

/**
 * A score is `null` where it is not defined: no query has an image with its label.
 *
 * @typedef {{ recall: Record<number, number | null>, mAP: number | null }} EvaluationScores
 */

/** @typedef {{ label: string, queries: number, images: number, recall1: number | null, mAP: number | null }} EvaluatedClass */

/**
 * - `query`: the index of the query
 * - `entry`: the entry of the query, where it is an image of the gallery
 * - `first`: the rank of the first right image, from 1
 *
 * @typedef {object} WorstQuery
 * @property {number} query
 * @property {GalleryEntry} [entry]
 * @property {string} label
 * @property {number} averagePrecision
 * @property {number} first
 * @property {GalleryHit[]} nearest
 */

/** @typedef {{ label: string, takenFor: string | null, count: number }} Confusion */

/**
 * How well a gallery answers.
 *
 * - `scores`: as PaddleClas computes them, block by block
 * - `overall`: over all queries that have an image with their label
 * - `withoutMatch`: number of queries that have none
 * - `worst`: the queries with the lowest average precision, lowest first
 * - `confusions`: labels whose nearest image has another label, most frequent first
 * - `evaluateResult`: the text of PaddleX's `evaluate_result.json`
 * - `equalError`: the threshold of the cosine at which as many pairs of one label are missed as pairs of two are accepted, and
 *   the share of both; null where all pairs, or none, are of one label
 *
 * @typedef {object} Evaluation
 * @property {EvaluationScores} scores
 * @property {EvaluationScores} overall
 * @property {number} queries
 * @property {number} images
 * @property {number} withoutMatch
 * @property {EvaluatedClass[]} classes
 * @property {WorstQuery[]} worst
 * @property {Confusion[]} confusions
 * @property {string} evaluateResult
 * @property {{ rate: number, threshold: number } | null} equalError
 */

export {};
