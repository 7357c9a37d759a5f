/**
 * Finds out which features the browser has, and fetches files.
 */

import { ImageFeatureError, cancelled, throwIfAborted, toError } from "./errors.js";
import { hasCore } from "./package-files.js";
import { HERE, coreCount, fetchFile } from "./platform.js";
import { whyNoThreads } from "./threads.js";

/** A module with one SIMD instruction. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** A module with one instruction of relaxed SIMD, `i8x16.relaxed_swizzle`. */
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
]);

/** More threads than this gain little on a network of this size, and leave no core for the page. */
const MAX_DEFAULT_THREADS = 4;

/** How long to wait for an adapter: some drivers never answer. */
const ADAPTER_TIMEOUT_MS = 10_000;

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b|software/i;

/** Throws in browsers that cannot run the WebAssembly. */
export function requireSimd() {
  if (typeof WebAssembly === "object" && WebAssembly.validate(SIMD)) return;
  throw new ImageFeatureError(
    "unsupported",
    `${HERE} does not run WebAssembly with SIMD; Chrome 91, Firefox 89, Safari 16.4, Node.js 20 and later do`,
  );
}

/**
 * The CPU's cores to try, the fastest first. The last is `cpu`, which every browser with SIMD runs. `what` names the
 * feature that a core has and the next has not. `reasons` say why faster cores are not among them.
 *
 * @param {number | undefined} wanted number of threads; by default one that suits the machine
 * @param {boolean} inWorker whether a worker will run the core
 * @returns {{ candidates: { kind: import("./protocol.js").CpuKind, threads: number, what: string }[], reasons: string[]
 *   }}
 */
export function cpuCandidates(wanted, inWorker) {
  const threads = wanted ?? Math.min(coreCount(), MAX_DEFAULT_THREADS);
  const relaxed = hasCore("cpu-relaxed") && WebAssembly.validate(RELAXED_SIMD);
  /** @type {{ kind: import("./protocol.js").CpuKind, threads: number, what: string }[]} */
  const candidates = [];
  const reasons = [];
  if (threads > 1) {
    const why = whyNoThreads(inWorker);
    if (why) reasons.push(`Threads: ${why}`);
    else candidates.push({ kind: relaxed ? "cpu-threads-relaxed" : "cpu-threads", threads, what: "Threads" });
  }
  if (relaxed) candidates.push({ kind: "cpu-relaxed", threads: 1, what: "Relaxed SIMD" });
  candidates.push({ kind: "cpu", threads: 1, what: "SIMD" });
  return { candidates, reasons };
}

/**
 * Finds out whether to use WebGPU. Resolves with the adapter and its name, or with the reason against it, in words.
 *
 * @param {boolean} softwareToo whether an adapter that computes on the CPU is accepted
 * @returns {Promise<{ adapter: string, gpu: GPUAdapter, software: boolean } | { reason: string }>}
 */
export async function probeGpu(softwareToo) {
  if (globalThis.isSecureContext === false)
    return { reason: "WebGPU needs a secure page: serve it over https, or from localhost" };
  // Node.js 20 has no navigator
  if (!globalThis.navigator?.gpu) return { reason: `${HERE} has no WebGPU` };
  /** @type {GPUAdapter | null | "late"} */
  let adapter;
  try {
    adapter = await Promise.race([
      navigator.gpu.requestAdapter({ powerPreference: "high-performance" }),
      new Promise((/** @type {(value: "late") => void} */ resolve) => setTimeout(resolve, ADAPTER_TIMEOUT_MS, "late")),
    ]);
  } catch (error) {
    return { reason: `WebGPU did not open: ${toError(error).message}` };
  }
  if (adapter === "late") return { reason: `no WebGPU adapter answered within ${ADAPTER_TIMEOUT_MS / 1000} seconds` };
  if (!adapter) return { reason: "the browser found no WebGPU adapter: no GPU, or its driver is blocked" };
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const words = [vendor, architecture, device, description].filter(Boolean);
  const name = description || words.join(" ") || "unnamed adapter";
  const software = isFallbackAdapter || SOFTWARE.test(words.join(" "));
  if (!softwareToo && software) {
    return { reason: `the only WebGPU adapter (${name}) computes in software, slower than the CPU path` };
  }
  return { adapter: name, gpu: adapter, software };
}

/**
 * Fetches a file. Rejects with kind `io` if that fails or the server answers with an error.
 *
 * @param {string | URL} address
 * @param {{ signal?: AbortSignal, cache?: RequestCache, advice?: string }} [options] `advice`: ends the message, if the
 *   server has no such file
 * @returns {Promise<Response>}
 */
export async function fetchChecked(address, { signal, cache, advice = "" } = {}) {
  throwIfAborted(signal);
  let response;
  try {
    response = await fetchFile(`${address}`, { signal, cache });
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal);
    throw new ImageFeatureError(
      "io",
      `${address}`.startsWith("file:")
        ? `${address}: the file could not be read: ${toError(error).message}`
        : `${address}: no answer; is the address right, and does its server allow this page to read it (CORS)?`,
      { cause: error },
    );
  }
  if (!response.ok) {
    throw new ImageFeatureError(
      "io",
      `${address}: the server answered ${response.status} ${response.statusText}`.trimEnd() + advice,
    );
  }
  return response;
}

/**
 * The length of a response's body, if it is known. With a content coding it is not: the header gives the length of the
 * compressed bytes, and the stream has the uncompressed ones.
 *
 * @param {Response} response
 */
export function lengthOf(response) {
  return (!response.headers.has("content-encoding") && Number(response.headers.get("content-length"))) || undefined;
}

/** @returns {ReadableStream<Uint8Array<ArrayBuffer>>} */
function bodyOf(/** @type {Response} */ response) {
  return response.body ?? new Blob([]).stream();
}

/**
 * The body of a response as a stream that reports the number of bytes read.
 *
 * @param {Response} response
 * @param {(loaded: number, total?: number) => void} onProgress
 */
export function countBytes(response, onProgress) {
  const total = lengthOf(response);
  let loaded = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.byteLength;
      onProgress(loaded, total);
      controller.enqueue(chunk);
    },
  });
  return bodyOf(response).pipeThrough(counter);
}
