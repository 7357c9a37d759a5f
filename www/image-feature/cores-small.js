/** In place of `cores.js`, where the WebAssembly is inside of the package's script: the small cores. */

export const GLUE = {
  cpu: () => import("./wasm/cpu/image_feature.js"),
  gallery: () => import("./wasm/gallery/image_feature.js"),
};
