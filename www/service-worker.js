/**
 * The page without a network: answers from the network where there is one, so that scripts and WebAssembly are of one
 * build, else from what was kept. Counts what is sent, and tells the page.
 */

const worker = /** @type {any} */ (self);
const CACHE = "image-feature-page";
/** After a request has failed, the others of the same visit are not tried: the page would wait for each. */
const AWAY_MS = 5000;
/** Files that a script names: other scripts, and WebAssembly. */
const NAMED = /["'](\.{1,2}\/[\w./-]+\.(?:js|wasm))["']/g;

/** @type {Promise<Cache> | undefined} */
let cache;
let awayUntil = 0;
let sent = 0;
let others = 0;

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const own = new URL(request.url).origin === location.origin;
  if (!own || request.method !== "GET") event.waitUntil(count(request.clone(), own));
  if (own && request.method === "GET") event.respondWith(answer(request));
});

worker.addEventListener("message", (/** @type {any} */ event) => {
  if (event.data.keep) event.waitUntil(keep(event.data.keep));
});

/**
 * @param {Request} request
 * @param {boolean} own whether it goes to the page's own host
 */
async function count(request, own) {
  if (!own) others++;
  sent += (await request.blob()).size;
  await tell({ sent, others });
}

function opened() {
  return (cache ??= caches.open(CACHE));
}

/** @param {Request} request @returns {Promise<Response>} */
async function answer(request) {
  const kept = async () => (await opened()).match(request, { ignoreSearch: true, ignoreVary: true });
  if (request.mode !== "navigate" && performance.now() < awayUntil) {
    const found = await kept();
    if (found) return found;
  }
  try {
    const response = await fetch(request);
    if (response.ok && response.type === "basic") void renew(request.url, response.clone());
    return response;
  } catch (error) {
    awayUntil = performance.now() + AWAY_MS;
    const found = await kept();
    if (found) return found;
    throw error;
  }
}

/**
 * Keeps a newer version of a file that is kept already.
 *
 * @param {string} address
 * @param {Response} response
 */
async function renew(address, response) {
  const cache = await opened();
  const old = await cache.match(address, { ignoreSearch: true, ignoreVary: true });
  if (!old || sameVersion(old, response)) return;
  await cache.put(address.replace(/[?#].*$/, ""), response);
}

/** @param {Response} old @param {Response} response */
function sameVersion(old, response) {
  const version = ({ headers }) => headers.get("etag") ?? headers.get("last-modified");
  return version(response) !== null && version(old) === version(response);
}

/**
 * Keeps files, and those that they name.
 *
 * @param {string[]} addresses
 */
async function keep(addresses) {
  const cache = await opened();
  const seen = new Set();
  const visit = async (/** @type {string} */ address) => {
    const plain = address.replace(/[?#].*$/, "");
    if (seen.has(plain)) return;
    seen.add(plain);
    const response = await fetch(plain).catch(() => undefined);
    // a part that was not built is left out
    if (!response?.ok) return;
    const named = plain.endsWith(".js") ? [...(await response.clone().text()).matchAll(NAMED)] : [];
    await cache.put(plain, response);
    await Promise.all(named.map(([, path]) => visit(new URL(path, plain).href)));
  };
  await Promise.all(addresses.map(visit));
  await tell({ kept: seen.size, sent, others });
}

/** @param {unknown} message */
async function tell(message) {
  for (const client of await worker.clients.matchAll({ includeUncontrolled: true })) client.postMessage(message);
}
