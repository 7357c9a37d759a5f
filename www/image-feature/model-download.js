/**
 * Downloads model files. A download that breaks off goes on where it was, now or with the next load; one that is complete
 * is kept, and used again while its server says that it is the same, or does not answer.
 */

import { ImageFeatureError, cancelled, toError } from "./errors.js";
import { fetchChecked, lengthOf } from "./loader.js";
import { canKeep, keepModel, keepPart, lookUp, readKept, sha256Of, takePart } from "./model-store.js";
import { fetchFile } from "./platform.js";

/**
 * - `advice`: what to do if the server has no such file
 * - `own`: the file comes with the package; it is not kept a second time
 *
 * @typedef {{ address: string, advice?: string, own?: boolean }} Source
 *
 * @typedef {object} DownloadOptions
 * @property {"default" | "none"} cache
 * @property {string} [sha256]
 * @property {AbortSignal} signal
 * @property {(loaded: number, total?: number) => void} onProgress may throw, and then the download ends
 */

/** Pauses before a download goes on. After the last one it fails. */
const PAUSES_MS = [300, 1000, 3000, 8000];

/** Shorter beginnings are not kept. */
const LEAST_PART = 2 ** 20;

/**
 * @param {Source} source
 * @param {DownloadOptions} options
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function download(source, options) {
  const { address, own } = source;
  if (own || options.cache === "none" || !canKeep(address)) return (await fetchWhole(source, options)).bytes;
  const asked = Date.now();
  return inTurn(address, options.signal, async () => {
    const kept = await findKept(address, options);
    // another tab has downloaded it while this one waited
    if (kept && (kept.isExact || kept.saved.getTime() >= asked)) return done(kept.bytes, options);
    const fetched = await fetchWhole(source, options, kept);
    if (fetched.version !== undefined) await keep(address, fetched.bytes, fetched.version, options.sha256);
    return fetched.bytes;
  });
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {DownloadOptions} options
 */
function done(bytes, { onProgress }) {
  onProgress(bytes.length, bytes.length);
  return bytes;
}

/**
 * The model of this address, or with this hash, that is kept.
 *
 * @param {string} address
 * @param {DownloadOptions} options
 */
async function findKept(address, { sha256 }) {
  const entry = await lookUp(address);
  const wanted = sha256?.toLowerCase() ?? entry?.sha256;
  const bytes = wanted && (await readKept(wanted));
  if (!bytes) return undefined;
  const isSame = entry?.sha256 === wanted;
  return {
    bytes,
    version: isSame ? entry.version : null,
    saved: isSame ? entry.saved : new Date(0),
    isExact: sha256 !== undefined,
  };
}

/**
 * @param {string} address
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string | null} version
 * @param {string} [expected]
 */
async function keep(address, bytes, version, expected) {
  const sha256 = await sha256Of(bytes);
  // the caller refuses this file
  if (expected && expected.toLowerCase() !== sha256) return;
  await keepModel({ name: nameOf(address), address, version }, bytes, sha256);
}

/** @param {string} address */
export const nameOf = (address) => decodeURIComponent(new URL(address).pathname.split("/").pop() || "model");

/**
 * Waits until no other tab downloads this address.
 *
 * @template T
 * @param {string} address
 * @param {AbortSignal} signal
 * @param {() => Promise<T>} run
 * @returns {Promise<T>}
 */
async function inTurn(address, signal, run) {
  if (!globalThis.navigator?.locks) return run();
  /** @type {{ error?: unknown }} */
  const failed = {};
  try {
    return await navigator.locks.request(`image-feature model ${address}`, { signal }, () =>
      run().catch((error) => {
        failed.error = error;
        throw error;
      }),
    );
  } catch (error) {
    if (!("error" in failed) && signal.aborted) throw cancelled(signal);
    throw error;
  }
}

/**
 * The whole file, and its version if it was downloaded now.
 *
 * @param {Source} source
 * @param {DownloadOptions} options
 * @param {{ bytes: Uint8Array<ArrayBuffer>, version: string | null }} [kept] used if the server has the same, or does
 *   not answer
 * @returns {Promise<{ bytes: Uint8Array<ArrayBuffer>, version?: string | null }>}
 */
async function fetchWhole({ address, advice }, options, kept) {
  const { signal, cache } = options;
  const state = new Begun(address, options);
  if (cache !== "none" && canKeep(address) && !kept) state.take(await takePart(address));
  let response;
  if (state.loaded === 0) {
    try {
      response = await fetchChecked(address, { signal, cache: cache === "none" ? "no-store" : "default", advice });
    } catch (error) {
      if (!kept || signal.aborted) throw error;
      console.warn(`image-feature: the kept model is used: ${toError(error).message}`);
      return { bytes: done(kept.bytes, options) };
    }
    if (kept?.version && kept.version === versionOf(response)) {
      response.body?.cancel().catch(() => {});
      return { bytes: done(kept.bytes, options) };
    }
  }
  try {
    await readOrGoOn(state, response);
  } catch (error) {
    if (cache !== "none" && canKeep(address)) await state.keep();
    if (signal.aborted) throw cancelled(signal);
    if (error instanceof ImageFeatureError) throw error;
    throw new ImageFeatureError("io", `${address}: the download broke off`, { cause: error });
  }
  return { bytes: state.bytes, version: state.version };
}

/**
 * Reads a response; where it breaks off, asks for the rest.
 *
 * @param {Begun} state
 * @param {Response} [first]
 */
async function readOrGoOn(state, first) {
  let response = first;
  for (const pause of [0, ...PAUSES_MS, undefined]) {
    try {
      if (!response) response = await state.askForRest();
      return await state.read(response);
    } catch (error) {
      const mayHelp = !(error instanceof ImageFeatureError) || error.kind === "io";
      if (state.options.signal.aborted || !mayHelp || pause === undefined) throw error;
      response = undefined;
      await wait(pause, state.options.signal);
    }
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    signal.addEventListener("abort", () => [clearTimeout(timer), resolve(undefined)], { once: true });
  });
}

/** A download: what has come of it. */
class Begun {
  bytes = new Uint8Array(0);
  loaded = 0;
  /** The whole length, if the server tells it. @type {number | undefined} */
  total;
  /** @type {string | null} */
  version = null;

  /**
   * @param {string} address
   * @param {DownloadOptions} options
   */
  constructor(address, options) {
    this.address = address;
    this.options = options;
  }

  /** @param {import("./model-store.js").Part | undefined} part */
  take(part) {
    if (!part || !(part.total > part.bytes.length)) return;
    this.options.onProgress(part.bytes.length, part.total);
    this.bytes = new Uint8Array(part.total);
    this.bytes.set(part.bytes);
    [this.loaded, this.total, this.version] = [part.bytes.length, part.total, part.version];
  }

  /** Keeps the beginning for the next load, if the rest can be asked for then. */
  async keep() {
    const { bytes, loaded, total, version } = this;
    if (loaded < LEAST_PART || total === undefined || version === null) return;
    await keepPart(this.address, { bytes: bytes.slice(0, loaded), total, version });
  }

  /**
   * Asks for what has not come yet; for all of it, if the server does not name versions.
   *
   * @returns {Promise<Response>}
   */
  async askForRest() {
    const { address, loaded, version } = this;
    const { signal, cache } = this.options;
    /** @type {Record<string, string>} */
    const headers = {};
    if (loaded > 0 && version !== null) {
      headers.range = `bytes=${loaded}-`;
      // another site would have to allow this header; there the answer's version is compared
      if (new URL(address).origin === globalThis.location?.origin) headers["if-range"] = version;
    }
    const response = await fetchFile(address, { signal, headers, cache: cache === "none" ? "no-store" : "default" });
    // with 200 all of it comes again
    if (response.status === 200 || (response.status === 206 && this.#fits(response))) return response;
    await response.body?.cancel().catch(() => {});
    this.#forget();
    if (response.status === 206 || response.status === 416) return fetchChecked(address, { signal, cache: "no-store" });
    throw new ImageFeatureError("io", `${address}: the server answered ${response.status} ${response.statusText}`);
  }

  /** Whether a partial answer is the rest of this file. @param {Response} response */
  #fits(response) {
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    const isHidden = first === undefined && new URL(response.url).origin !== globalThis.location?.origin;
    // another site may hide the range, not the date of the last change
    const isRest = isHidden || (Number(first) === this.loaded && Number(total) === this.total);
    return isRest && versionOf(response) === this.version;
  }

  #forget() {
    this.bytes = new Uint8Array(0);
    this.loaded = 0;
  }

  /**
   * Reads a response to its end.
   *
   * @param {Response} response
   */
  async read(response) {
    const { onProgress } = this.options;
    if (response.status !== 206) {
      this.#forget();
      this.total = lengthOf(response);
      this.version = versionOf(response);
    }
    onProgress(this.loaded, this.total);
    if (this.bytes.length < (this.total ?? 0)) this.#enlarge(/** @type {number} */ (this.total));
    const reader = (response.body ?? new Blob([]).stream()).getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        onProgress(this.loaded + value.length, this.total);
        if (this.loaded + value.length > this.bytes.length)
          this.#enlarge(Math.max(2 * this.bytes.length, this.loaded + value.length));
        this.bytes.set(value, this.loaded);
        this.loaded += value.length;
      }
    } catch (error) {
      reader.cancel().catch(() => {});
      throw error;
    }
    if (this.loaded < this.bytes.length) this.bytes = this.bytes.slice(0, this.loaded);
  }

  /** @param {number} length */
  #enlarge(length) {
    const larger = new Uint8Array(length);
    larger.set(this.bytes.subarray(0, this.loaded));
    this.bytes = larger;
  }
}

/**
 * The version of a file, as its server names it: a strong ETag, or the date of the last change.
 *
 * @param {Response} response
 */
function versionOf({ headers }) {
  const tag = headers.get("etag");
  return tag && !tag.startsWith("W/") ? tag : headers.get("last-modified");
}
