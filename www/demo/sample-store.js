/** Keeps the vectors of the sample gallery for the next visit, in the browser's cache, with the model that made them. */

const CACHE = "image-feature-sample";
const NAME = new URL("./sample/vectors", import.meta.url).href;
const MAKER = "x-model";
const COUNT = "x-count";

/**
 * @returns {Promise<{ vectors: Float32Array<ArrayBuffer>[], maker: string } | undefined>}
 */
export async function keptVectors() {
  try {
    const response = await (await caches.open(CACHE)).match(NAME);
    if (!response) return undefined;
    const all = new Float32Array(await response.arrayBuffer());
    const count = Number(response.headers.get(COUNT));
    const dimension = all.length / count;
    const vectors = Array.from({ length: count }, (_, at) => all.slice(at * dimension, (at + 1) * dimension));
    return { vectors, maker: response.headers.get(MAKER) ?? "" };
  } catch {
    // a browser that keeps nothing, or a private window: the vectors are computed again
    return undefined;
  }
}

/**
 * @param {(Float32Array<ArrayBuffer> | undefined)[]} vectors
 * @param {string} maker
 */
export async function keepVectors(vectors, maker) {
  const whole = vectors.flatMap((vector) => (vector ? [vector] : []));
  if (whole.length < vectors.length) return;
  try {
    const headers = { [MAKER]: maker, [COUNT]: String(whole.length), "content-type": "application/octet-stream" };
    await (await caches.open(CACHE)).put(NAME, new Response(new Blob(whole), { headers }));
  } catch {
    // the storage is full, or not allowed
  }
}
