/** Compiles WebAssembly: a file of the package, or what the caller gives. */

import { ImageFeatureError, cancelled, toError } from "./errors.js";
import { countBytes, fetchChecked } from "./loader.js";
import { HERE, absolute } from "./platform.js";

/**
 * Where the WebAssembly comes from.
 *
 * - an address that ends with `.wasm`, a `Response`, bytes, or a module: one core, compiled as it is
 * - another address: the folder that holds `cpu/`, `gpu/` and the others
 *
 * @typedef {string | URL | Response | Promise<Response> | BufferSource | WebAssembly.Module} WasmSource
 *
 * @typedef {{ folder?: string, given?: Promise<WebAssembly.Module> }} WasmChoice
 */

/**
 * Makes a choice of the caller's option. What was given is compiled once, also for workers that start later.
 *
 * @param {WasmSource | undefined} wasm
 * @returns {WasmChoice}
 */
export function toWasm(wasm) {
  if (wasm === undefined) return {};
  if (typeof wasm === "string" || wasm instanceof URL) {
    const address = toAddress(wasm);
    if (!/\.wasm([?#]|$)/.test(address)) return { folder: address.replace(/\/*$/, "/") };
    return { given: handled(compileWasm(address, { signal: new AbortController().signal, onProgress() {} })) };
  }
  return { given: handled(compileGiven(wasm)) };
}

/** @param {string | URL} wasm */
function toAddress(wasm) {
  try {
    return absolute(wasm);
  } catch (error) {
    throw new ImageFeatureError("usage", `wasm is not an address: ${wasm}`, { cause: error });
  }
}

/**
 * A promise whose failure is reported to those who wait for it later.
 *
 * @template T
 * @param {Promise<T>} promise
 */
function handled(promise) {
  promise.catch(() => {});
  return promise;
}

/**
 * @param {Exclude<WasmSource, string | URL>} wasm
 * @returns {Promise<WebAssembly.Module>}
 */
async function compileGiven(wasm) {
  const given = await wasm;
  if (given instanceof WebAssembly.Module) return given;
  const isResponse = typeof Response === "function" && given instanceof Response;
  const isBytes = given instanceof ArrayBuffer || ArrayBuffer.isView(given);
  if (!isResponse && !isBytes) {
    throw new ImageFeatureError("usage", "wasm must be an address, a Response, bytes, or a WebAssembly.Module");
  }
  try {
    if (isBytes) return await WebAssembly.compile(given);
    if (!given.ok) throw new ImageFeatureError("io", `wasm: the server answered ${given.status} ${given.statusText}`);
    return await compileResponse(given, () => {});
  } catch (error) {
    throw noWasm(error, isResponse ? given.url || "wasm" : "wasm", isResponse ? typeOf(given) : null);
  }
}

/**
 * Fetches a WebAssembly file and compiles it while it arrives.
 *
 * @param {string} address
 * @param {{ signal: AbortSignal, onProgress: (loaded: number, total?: number) => void, advice?: string }} options
 * @returns {Promise<WebAssembly.Module>}
 */
export async function compileWasm(address, { signal, onProgress, advice }) {
  const response = await fetchChecked(address, { signal, advice });
  try {
    return await compileResponse(response, onProgress);
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    throw noWasm(error, address, typeOf(response));
  }
}

/**
 * @param {Response} response
 * @param {(loaded: number, total?: number) => void} onProgress
 */
function compileResponse(response, onProgress) {
  const body = countBytes(response, onProgress);
  // a new Response with the right type: many servers send .wasm files with another one
  const typed = new Response(body, { headers: { "content-type": "application/wasm" } });
  // not every place compiles while bytes arrive
  if (WebAssembly.compileStreaming) return WebAssembly.compileStreaming(typed);
  return typed.arrayBuffer().then((bytes) => WebAssembly.compile(bytes));
}

const typeOf = (/** @type {Response} */ response) => response.headers.get("content-type");

/**
 * The reason why there is no module, and what to do.
 *
 * @param {unknown} error
 * @param {string} address
 * @param {string | null} type the content type that came
 */
function noWasm(error, address, type) {
  if (error instanceof ImageFeatureError) return error;
  const { message } = toError(error);
  // Chrome and Safari name the policy in a CompileError, Firefox in another
  if (/content.security.policy|unsafe-eval/i.test(message)) {
    const advice =
      "the page's policy forbids WebAssembly; add 'wasm-unsafe-eval' to script-src of its Content-Security-Policy";
    return new ImageFeatureError("unsupported", `${address}: ${advice}`, { cause: error });
  }
  if (type?.startsWith("text/html")) {
    const advice =
      "the server sent an HTML page in place of WebAssembly, as many do for files that they do not have; put the package's folder wasm/ there";
    return new ImageFeatureError("io", `${address}: ${advice}`, { cause: error });
  }
  if (error instanceof WebAssembly.CompileError) {
    const advice = `not WebAssembly that ${HERE} can run; is the file complete, and of this version of the package? ${message}`;
    return new ImageFeatureError("unsupported", `${address}: ${advice}`, { cause: error });
  }
  return new ImageFeatureError("io", `${address}: the download broke off`, { cause: error });
}
