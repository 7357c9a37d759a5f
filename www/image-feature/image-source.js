/**
 * Prepares the caller's images for the worker.
 *
 * Encoded files are not decoded here: the WebAssembly core decodes them exactly as PaddleX does. Pixels that exist only
 * in the browser (a canvas, a video frame) are sent as they are.
 */

import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { fetchChecked } from "./loader.js";
import { absolute } from "./platform.js";

/**
 * The source of an image.
 *
 * A `Blob`, `File`, `URL`, string (an address; in Node.js also a path), the bytes of a file, or an `<img>` whose address
 * this page may read is decoded from its file. `{ data, width, height }` are RGBA pixels. All other sources are pixels that the browser has decoded: it may have converted their colours, and it rounds
 * half-transparent pixels, so features can differ slightly from those of the file.
 *
 * @typedef {Blob | URL | string | ArrayBuffer | Uint8Array<ArrayBuffer> | RgbaPixels | ImageBitmap | ImageData | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement |
 *   VideoFrame | HTMLImageElement} ImageSource
 */

/** @typedef {{ data: Uint8Array | Uint8ClampedArray, width: number, height: number }} RgbaPixels */

/**
 * A region of interest, in pixels of the upright image.
 *
 * @typedef {{ x: number, y: number, width: number, height: number }} Roi
 */

/**
 * An image as it is sent to the worker.
 *
 * @typedef {{ blob: Blob } | { bitmap: ImageBitmap } | { pixels: Uint8Array<ArrayBuffer>, width: number, height: number
 *   }} ImageInput
 */

/** No conversion that PaddleX would not make: it does not follow a file's colour profile. */
const RAW_PIXELS = /** @type {const} */ ({ colorSpaceConversion: "none", premultiplyAlpha: "none" });
/** Numbers in sRGB, for pixels that may be in another space, such as those of a canvas in Display P3. */
const SRGB_PIXELS = /** @type {const} */ ({ colorSpaceConversion: "default", premultiplyAlpha: "none" });

/** @param {string} name */
const globalClass = (name) => /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (globalThis))[name];

/**
 * `instanceof` for classes that a worker or an old browser may lack.
 *
 * @param {unknown} value
 * @param {string} name
 */
function isA(value, name) {
  const found = globalClass(name);
  return typeof found === "function" && value instanceof found;
}

/**
 * @param {ImageSource} source
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageInput>}
 */
export async function toImageInput(source, signal) {
  throwIfAborted(signal);
  if (source instanceof Blob) return { blob: source };
  if (typeof source === "string" || source instanceof URL) {
    return { blob: await (await fetchChecked(toAddress(source), { signal })).blob() };
  }
  if (source instanceof ArrayBuffer || (source instanceof Uint8Array && !(source instanceof Uint8ClampedArray)))
    return { blob: new Blob([source]) };
  if (isA(source, "ImageData")) return fromImageData(/** @type {ImageData} */ (source));
  if (isPixels(source)) return fromRgba(source);
  if (isA(source, "HTMLImageElement")) return fromElement(/** @type {HTMLImageElement} */ (source), signal);
  const drawable = ["ImageBitmap", "HTMLCanvasElement", "OffscreenCanvas", "HTMLVideoElement", "VideoFrame"];
  if (!drawable.some((name) => isA(source, name))) {
    throw new ImageFeatureError(
      "usage",
      `not an image: ${describe(source)}; give a Blob, a File, a URL, ImageData, or an image, canvas or video element`,
    );
  }
  return fromPixels(/** @type {ImageBitmap} */ (source));
}

/**
 * The name of an image, if it has one.
 *
 * @param {ImageSource} source
 * @returns {string | undefined}
 */
export function nameOf(source) {
  if (isA(source, "File")) return /** @type {File} */ (source).name;
  if (typeof source === "string") return source;
  if (source instanceof URL) return source.href;
  if (isA(source, "HTMLImageElement")) return /** @type {HTMLImageElement} */ (source).currentSrc || undefined;
  return undefined;
}

/**
 * @param {ImageData} source
 * @returns {ImageInput | Promise<ImageInput>}
 */
function fromImageData(source) {
  const { data, width, height, colorSpace } = source;
  if (!(data instanceof Uint8ClampedArray)) {
    throw new ImageFeatureError(
      "unsupported",
      "this ImageData holds floating-point pixels; give one with 8 bits per channel",
    );
  }
  // older browsers know one space only and do not name it
  if (colorSpace && colorSpace !== "srgb") return fromPixels(source);
  // a copy: the caller keeps its pixels
  return { pixels: new Uint8Array(data), width, height };
}

/**
 * @param {unknown} source
 * @returns {source is RgbaPixels}
 */
function isPixels(source) {
  const { data, width, height } = /** @type {Partial<RgbaPixels>} */ (Object(source));
  return ArrayBuffer.isView(data) && typeof width === "number" && typeof height === "number";
}

/**
 * @param {RgbaPixels} source
 * @returns {ImageInput}
 */
function fromRgba({ data, width, height }) {
  if (data.BYTES_PER_ELEMENT !== 1 || data.length !== 4 * width * height) {
    throw new ImageFeatureError(
      "usage",
      `pixels must be RGBA of 8 bits: ${width}x${height} are ${4 * width * height} bytes, got ${data.length} values`,
    );
  }
  return { pixels: new Uint8Array(data), width, height };
}

/** @param {string | URL} source */
function toAddress(source) {
  try {
    return absolute(source);
  } catch (error) {
    throw new ImageFeatureError("usage", `not an address: ${source}`, { cause: error });
  }
}

/**
 * @param {HTMLImageElement} image
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageInput>}
 */
async function fromElement(image, signal) {
  const address = image.currentSrc || image.src;
  if (!address) throw new ImageFeatureError("usage", "this <img> has no image");
  if (new URL(address, location.href).origin === location.origin) {
    try {
      const blob = await (await fetchChecked(address, { signal })).blob();
      // vector images cannot be decoded, only drawn by the browser
      if (!blob.type.startsWith("image/svg")) return { blob };
    } catch (error) {
      throwIfAborted(signal);
      // the image is shown, but cannot be fetched again (a policy, no network): its pixels are there
      console.debug("image-feature: using the pixels of", address, error);
    }
  }
  await image.decode().catch((error) => {
    throw new ImageFeatureError("decode", `the browser could not decode ${address}`, { cause: error });
  });
  return fromPixels(image);
}

/** @param {Exclude<ImageSource, Blob | URL | string | ArrayBuffer | Uint8Array | RgbaPixels> | ImageData} source */
async function fromPixels(source) {
  try {
    const options = isA(source, "HTMLImageElement") ? RAW_PIXELS : SRGB_PIXELS;
    // a copy, also of a bitmap: it is transferred to the worker
    return { bitmap: await createImageBitmap(source, options) };
  } catch (error) {
    throw toError(error, "usage", `${describe(source)} has no pixels to read yet, or none at all`);
  }
}

/**
 * Decodes an image with the browser, for formats that the core does not read, such as AVIF.
 *
 * @param {Blob} blob
 */
export async function decodeByBrowser(blob) {
  return createImageBitmap(blob, RAW_PIXELS);
}

/**
 * Reads the pixels of a bitmap, and closes it.
 *
 * @param {ImageBitmap} bitmap
 */
export function readPixels(bitmap) {
  const { width, height } = bitmap;
  try {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (!context) throw new ImageFeatureError("limit", `the browser has no memory for ${width}x${height} pixels`);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { pixels: new Uint8Array(data.buffer), width, height };
  } catch (error) {
    throw toError(
      error,
      "usage",
      "the pixels may not be read: the image comes from another site that does not allow it",
    );
  } finally {
    bitmap.close();
  }
}

/** @param {unknown} value */
function describe(value) {
  return Object(value) === value ? `this ${/** @type {object} */ (value).constructor?.name ?? "value"}` : String(value);
}
