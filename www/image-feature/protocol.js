/** Types of the messages between the page and its worker. */

/**
 * The loaded model, and how it is computed.
 *
 * - `model`: the model's name
 * - `dimension`: number of values of a feature
 * - `device`: `"webgpu"` or `"cpu"`
 * - `adapter`: the GPU's name, if a GPU is used
 * - `threads`: number of threads on the CPU
 * - `simd`: the SIMD instructions of the CPU's kernels
 * - `dtype`: the data type in which the network computes
 * - `reasons`: why another device, or a faster method on this one, is not used; in words
 *
 * @typedef {{ model: string, dimension: number, device: "webgpu" | "cpu", adapter: string | null, threads: number,
 *   simd: "simd128" | "relaxed-simd" | null, dtype: Dtype, reasons: string[] }} ExtractorInfo
 *
 * @typedef {"f32" | "f16" | "i8"} Dtype
 * @typedef {"opencv" | "exif" | "none"} Orientation
 * @typedef {"plan" | "burn"} Backend what computes on a GPU
 */

/**
 * An image's feature.
 *
 * - `feature`: the L2-normalised vector; the dot product of two features is the cosine of the angle between them
 * - `decoder`: the decoder of the image: `"image-feature"` decodes exactly as PaddleX does, the `"browser"` may not
 * - `damaged`: what is wrong with the file, if only a part of the image could be decoded
 * - `milliseconds`: the time to `preprocess` the image, and its share of the run of the `network`
 *
 * @typedef {{ feature: Float32Array<ArrayBuffer>, decoder: "image-feature" | "browser", damaged?: string,
 *   milliseconds: { preprocess: number, network: number } }} Embedding
 */

/**
 * The WebAssembly cores, and one that is compiled. These types are in this file because the published types import it,
 * and must not import the types of the WebAssembly, which are not published.
 *
 * @typedef {"cpu" | "cpu-relaxed"} SingleKind
 * @typedef {"cpu-threads" | "cpu-threads-relaxed"} ThreadsKind
 * @typedef {SingleKind | ThreadsKind} CpuKind
 * @typedef {CpuKind | "gpu" | "dataset" | "gallery"} Kind
 * @typedef {{ kind: Kind | "given", module: WebAssembly.Module }} Compiled a core, or the one that the caller gave
 */

/**
 * The request that starts the WebAssembly.
 *
 * @typedef {object} OpenRequest
 * @property {"auto" | "webgpu" | "cpu"} device
 * @property {Backend} [backend] by default `plan`
 * @property {number} [threads] by default a number that suits the machine
 * @property {string} [wasm]
 * @property {Compiled} [compiled] a core that the page has compiled
 * @property {string} [distress] name of the `BroadcastChannel` on which a thread says that it failed
 */

/**
 * The request that loads a model.
 *
 * @typedef {object} LoadRequest
 * @property {import("./model-source.js").ModelBytes[]} files
 * @property {Dtype} [dtype] by default the one that the file is made for
 * @property {Orientation} [orientation] by default `opencv`
 *
 * @typedef {{ input: import("./image-source.js").ImageInput, roi?: import("./image-source.js").Roi }} EmbedRequest
 * @typedef {(Embedding | { error: AnswerError }) & Moved} EmbedAnswer
 * @typedef {{ moved?: ExtractorInfo }} Moved in the first answer after the network went to another device
 * @typedef {{ kind: import("./errors.js").ErrorKind, message: string }} AnswerError
 */

/**
 * Several parts of one image.
 *
 * @typedef {{ requests: EmbedRequest[], rois: import("./image-source.js").Roi[] }} PartsRequest
 */

/**
 * A loaded detector: the model's name, the score above which a box counts unless another is asked for, and how it is
 * computed on the CPU.
 *
 * @typedef {{ model: string, threshold: number, threads: number, simd: "simd128" | "relaxed-simd" | null,
 *   reasons: string[] }} DetectorInfo
 */

/**
 * The images in which a detector looks.
 *
 * @typedef {{ requests: EmbedRequest[], threshold?: number }} DetectRequest
 */

/**
 * What a detector found in an image.
 *
 * - `width`, `height`: of the upright image, in pixels
 * - `boxes`: the highest score first
 * - `damaged`: what is wrong with the file, if only a part of the image could be decoded
 *
 * @typedef {{ width: number, height: number, boxes: FoundBox[], damaged?: string }} Found
 */

/**
 * A box around a thing.
 *
 * - `label`: the name of the detector's class, such as `mainbody`
 * - `score`: how sure the detector is, from 0 to 1
 * - `coordinate`: left, top, right and bottom, in pixels; no whole numbers
 * - `roi`: its whole pixels, or `null` if it is less than one pixel wide or high
 *
 * @typedef {{ label: string, score: number, coordinate: [number, number, number, number],
 *   roi: import("./image-source.js").Roi | null }} FoundBox
 */

/**
 * The input of the last layers, for each view of an image, one after the other.
 *
 * @typedef {{ requests: EmbedRequest[], views: number }} PoolRequest
 * @typedef {({ pooled: Float32Array<ArrayBuffer> } | { error: AnswerError }) & Moved} PoolAnswer
 */

/**
 * The data for fine-tuning: the pooled vectors of all images, one after the other, and for each image the number of its
 * vectors and its label.
 *
 * @typedef {object} TuneRequest
 * @property {Float32Array<ArrayBuffer>} pooled
 * @property {Uint32Array<ArrayBuffer>} views
 * @property {string[]} labels
 * @property {string} name of the new model
 * @property {{ epochs?: number, learningRate?: number, folds: number, seed: number }} options
 *
 * @typedef {{ done: number, total: number, loss: number, evaluating: boolean }} TuneProgress
 *
 * @typedef {object} TuneOutcome
 * @property {number[]} losses
 * @property {{ label: string, images: number }[]} classes
 * @property {{ queries: number, before: number, after: number } | null} evaluation
 * @property {boolean} keptOld
 *
 * @typedef {TuneOutcome & { model: Uint8Array<ArrayBuffer> }} TuneAnswer
 */

export {};
