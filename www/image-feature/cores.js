/**
 * The JavaScript of the WebAssembly cores, written out one by one so that bundlers find the files.
 *
 * - `cpu`, `cpu-relaxed`, `cpu-threads`, `cpu-threads-relaxed`: read models and images, and compute on the CPU; with
 *   plain or relaxed SIMD, on one thread or on several
 * - `gpu`: computes the network on WebGPU with Burn, where the caller asks for that
 * - `dataset`: works on data sets
 * - `gallery`: works on galleries
 */

/**
 * The common part of the CPU's cores. Each core has types of its own, whose internal names differ between builds.
 *
 * @typedef {Pick<typeof import("./wasm/cpu/image_feature.js"), "Detector" | "FineTune" | "GpuProgram" | "ModelFile" | "Network" | "warmUp"> & {
 *   default: (options: { module_or_path: WebAssembly.Module, memory?: WebAssembly.Memory }) => Promise<{ memory:
 *   WebAssembly.Memory }>
 * }} CpuCore
 * @typedef {CpuCore & Pick<typeof import("./wasm/cpu-threads/image_feature.js"), "startThreads" | "serveAsThread">}
 *   ThreadsCore
 * @typedef {typeof import("./wasm/gpu/image_feature.js")} GpuCore
 * @typedef {typeof import("./wasm/dataset/image_feature.js")} DatasetCore
 * @typedef {typeof import("./wasm/gallery/image_feature.js")} GalleryCore
 */

/**
 * Imports the JavaScript of a core.
 *
 * @type {Record<import("./protocol.js").SingleKind, () => Promise<CpuCore>> &
 *   Record<import("./protocol.js").ThreadsKind, () => Promise<ThreadsCore>> & { gpu: () => Promise<GpuCore>, dataset:
 *   () => Promise<DatasetCore>, gallery: () => Promise<GalleryCore> }}
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
