/** What travels between the page and its worker. */

/**
 * What was loaded, and where it runs.
 *
 * - `model`: its name
 * - `dimension`: how many numbers a feature has
 * - `device`: `"webgpu"` or `"cpu"`
 * - `adapter`: the GPU's name, where there is one
 * - `threads`: how many threads work together on the CPU
 * - `simd`: the vector instructions that the CPU's kernels are made of
 * - `dtype`: what the network computes in
 * - `reasons`: why it is not another device, or not a faster way on this one, in words
 *
 * @typedef {{ model: string, dimension: number, device: "webgpu" | "cpu", adapter: string | null, threads: number,
 *   simd: "simd128" | "relaxed-simd" | null, dtype: Dtype, reasons: string[] }} ExtractorInfo
 *
 * @typedef {"f32" | "f16" | "i8"} Dtype
 */

/**
 * An image's feature.
 *
 * - `feature`: the L2-normalised vector; the cosine of two images is the dot product of theirs
 * - `decoder`: who turned the bytes into pixels: `"image-feature"` exactly as PaddleX does, or the `"browser"`
 * - `milliseconds`: how long the image took to `preprocess`, and its share of the `network` run
 *
 * @typedef {{ feature: Float32Array<ArrayBuffer>, decoder: "image-feature" | "browser",
 *   milliseconds: { preprocess: number, network: number } }} Embedding
 */

/**
 * The WebAssembly artefacts, and one that is compiled. Here, since the package's own types lead here, and must not lead on to
 * those of the WebAssembly, which are not published.
 *
 * @typedef {"cpu" | "cpu-relaxed"} SingleKind
 * @typedef {"cpu-threads" | "cpu-threads-relaxed"} ThreadsKind
 * @typedef {SingleKind | ThreadsKind} CpuKind
 * @typedef {CpuKind | "gpu" | "dataset" | "gallery"} Kind
 * @typedef {{ kind: Kind, module: WebAssembly.Module }} Compiled
 */

/**
 * What starts the WebAssembly.
 *
 * @typedef {object} OpenRequest
 * @property {"auto" | "webgpu" | "cpu"} device
 * @property {number} [threads] as many as are good for this machine, where it is left out
 * @property {string} [wasm]
 * @property {Compiled} [compiled] a core that is compiled already
 * @property {string} [distress] name of the `BroadcastChannel` on which a thread says that it failed
 *
 * What puts a model on it.
 *
 * @typedef {object} LoadRequest
 * @property {import("./model-source.js").ModelBytes[]} files
 * @property {Dtype} [dtype] where there is none: what the file is made for
 *
 * @typedef {{ input: import("./image-source.js").ImageInput, roi?: import("./image-source.js").Roi }} EmbedRequest
 * @typedef {Embedding | { error: AnswerError }} EmbedAnswer
 * @typedef {{ kind: import("./errors.js").ErrorKind, message: string }} AnswerError
 *
 * What the last layers are given for the views of an image, one after the other.
 *
 * @typedef {{ requests: EmbedRequest[], views: number }} PoolRequest
 * @typedef {{ pooled: Float32Array<ArrayBuffer> } | { error: AnswerError }} PoolAnswer
 *
 * What fine-tuning learns from: the pooled vectors of all images, one after the other; of each image how many there are, and
 * its label.
 *
 * @typedef {object} TuneRequest
 * @property {Float32Array<ArrayBuffer>} pooled
 * @property {Uint32Array<ArrayBuffer>} views
 * @property {string[]} labels
 * @property {string} name of the model that comes out
 * @property {{ epochs?: number, learningRate?: number, folds: number, seed: number }} options
 *
 * @typedef {{ done: number, total: number, loss: number, evaluating: boolean }} TuneProgress
 *
 * @typedef {object} TuneOutcome
 * @property {number[]} losses
 * @property {{ label: string, images: number }[]} classes
 * @property {{ queries: number, before: number, after: number } | null} evaluation
 *
 * @typedef {TuneOutcome & { model: Uint8Array<ArrayBuffer> }} TuneAnswer
 */

export {};
