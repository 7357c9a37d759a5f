/**
 * The WebAssembly artefacts, spelled out one by one so that bundlers find the files.
 *
 * `gpu` is the network on WebGPU. The others read models and images and compute on the CPU: with SIMD as every browser
 * has it or with relaxed SIMD, on one thread or on several. `dataset` and `gallery` are apart: they work on data sets and
 * galleries, and nothing else needs them.
 */

/**
 * What the CPU's have in common: each comes with types of its own, whose inner names differ from build to build.
 *
 * @typedef {Pick<typeof import("./wasm/cpu/image_feature.js"), "FineTune" | "ModelFile" | "Network" | "warmUp"> & {
 *   default: (options: { module_or_path: WebAssembly.Module, memory?: WebAssembly.Memory }) => Promise<{ memory: WebAssembly.Memory }>
 * }} CpuCore
 * @typedef {CpuCore & Pick<typeof import("./wasm/cpu-threads/image_feature.js"), "startThreads" | "serveAsThread">} ThreadsCore
 * @typedef {typeof import("./wasm/gpu/image_feature.js")} GpuCore
 * @typedef {typeof import("./wasm/dataset/image_feature.js")} DatasetCore
 * @typedef {typeof import("./wasm/gallery/image_feature.js")} GalleryCore
 */

/**
 * The JavaScript that belongs to each.
 *
 * @type {Record<import("./protocol.js").SingleKind, () => Promise<CpuCore>> & Record<import("./protocol.js").ThreadsKind, () => Promise<ThreadsCore>> & { gpu: () => Promise<GpuCore>, dataset: () => Promise<DatasetCore>, gallery: () => Promise<GalleryCore> }}
 */
export const GLUE = {
  cpu: () => import("./wasm/cpu/image_feature.js"),
  "cpu-relaxed": () => import("./wasm/cpu-relaxed/image_feature.js"),
  "cpu-threads": () => import("./wasm/cpu-threads/image_feature.js"),
  "cpu-threads-relaxed": () => import("./wasm/cpu-threads-relaxed/image_feature.js"),
  gpu: () => import("./wasm/gpu/image_feature.js"),
  dataset: () => import("./wasm/dataset/image_feature.js"),
  gallery: () => import("./wasm/gallery/image_feature.js"),
};
