/** Files of models and images, as a session in a worker reads them. */

import { ImageFeatureError, toError } from "./errors.js";

/** @typedef {import("./wasm/cpu/image_feature.js").ModelFile} ModelFile */

/** Larger files are refused before they are read. */
const MAX_IMAGE_BYTES = 512 * 2 ** 20;

/**
 * Reads a model's files. Errors name the addresses of downloaded files: what a server sends may be no model.
 *
 * @param {{ fromFiles: (names: string[], contents: Uint8Array[]) => ModelFile }} reader
 * @param {import("./protocol.js").LoadRequest["files"]} files
 */
export function readFiles(reader, files) {
  try {
    return reader.fromFiles(
      files.map(({ name }) => name),
      files.map(({ bytes }) => bytes),
    );
  } catch (error) {
    throw toError(error, "internal", files.flatMap(({ address }) => address ?? []).join(", "));
  }
}

/**
 * The bytes of an image file.
 *
 * @param {Blob} blob
 * @returns {Promise<Uint8Array>}
 */
export async function readImage(blob) {
  if (blob.size > MAX_IMAGE_BYTES) {
    throw new ImageFeatureError("limit", `the image file is larger than ${MAX_IMAGE_BYTES / 2 ** 20} MiB`);
  }
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (error) {
    throw new ImageFeatureError("io", "the image file could not be read; was it moved or changed?", { cause: error });
  }
}
