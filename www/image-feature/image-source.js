/**
 * Images as the caller has them, made ready for the worker.
 *
 * Encoded bytes stay encoded: the WebAssembly core decodes them exactly as PaddleX does. Pixels that exist only in the
 * browser (a canvas, a video frame) are handed over as they are.
 */

import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";
import { fetchChecked } from "./loader.js";

/**
 * Where an image comes from.
 *
 * `Blob`, `File`, `URL` and strings (addresses) are fetched and decoded from their bytes, as is an `<img>` whose address
 * this page may read. All others are pixels the browser has already decoded: it may have converted their colours, and
 * it stores half-transparent pixels rounded, so features can differ slightly from those of the file.
 *
 * @typedef {Blob | URL | string | ImageBitmap | ImageData | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement |
 *   VideoFrame | HTMLImageElement} ImageSource
 */

/**
 * A region of interest, in pixels of the upright image.
 *
 * @typedef {{ x: number, y: number, width: number, height: number }} Roi
 */

/**
 * An image on its way to the worker.
 *
 * @typedef {{ blob: Blob } | { bitmap: ImageBitmap } | { pixels: Uint8Array<ArrayBuffer>, width: number, height: number }} ImageInput
 */

/** No conversion the file's bytes would not get. */
const RAW_PIXELS = /** @type {const} */ ({ colorSpaceConversion: "none", premultiplyAlpha: "none" });

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
    return { blob: await (await fetchChecked(source, { signal })).blob() };
  }
  if (source instanceof ImageData) return fromImageData(source);
  if (isA(source, "HTMLImageElement")) return fromElement(/** @type {HTMLImageElement} */ (source), signal);
  const drawable = ["ImageBitmap", "HTMLCanvasElement", "OffscreenCanvas", "HTMLVideoElement", "VideoFrame"];
  if (!drawable.some((name) => isA(source, name))) {
    throw new ImageFeatureError(
      "usage",
      `not an image: ${describe(source)}; give a Blob, a File, a URL, ImageData, or an image, canvas or video element`,
    );
  }
  return fromPixels(source);
}

/**
 * The name an image is known by, where it has one.
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

/** @param {ImageData} source */
function fromImageData({ data, width, height }) {
  if (!(data instanceof Uint8ClampedArray)) {
    throw new ImageFeatureError(
      "unsupported",
      "this ImageData holds floating-point pixels; give one with 8 bits per channel",
    );
  }
  // a copy: the caller keeps its pixels
  return { pixels: new Uint8Array(data), width, height };
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
      // the browser draws vector images; nobody decodes them
      if (!blob.type.startsWith("image/svg")) return { blob };
    } catch (error) {
      throwIfAborted(signal);
      // what the page shows but may not read again (a policy, a network gone) still has its pixels
      console.debug("image-feature: using the pixels of", address, error);
    }
  }
  await image.decode().catch((error) => {
    throw new ImageFeatureError("decode", `the browser could not decode ${address}`, { cause: error });
  });
  return fromPixels(image);
}

/** @param {Exclude<ImageSource, Blob | URL | string | ImageData>} source */
async function fromPixels(source) {
  try {
    // for a bitmap, too, this is a copy that may move to the worker
    return { bitmap: await createImageBitmap(source, RAW_PIXELS) };
  } catch (error) {
    throw toError(error, "usage", `${describe(source)} has no pixels to read yet, or none at all`);
  }
}

/**
 * A blob decoded by the browser, for formats the core does not read (AVIF, HEIC where the browser can).
 *
 * @param {Blob} blob
 */
export function decodeByBrowser(blob) {
  return createImageBitmap(blob, RAW_PIXELS);
}

/**
 * The pixels of a bitmap; the bitmap is closed.
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
