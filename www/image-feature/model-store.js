/**
 * Downloaded models, kept by this browser for this site. A model is kept by the SHA-256 of its bytes, so that one at two
 * addresses is there once. The browser may drop all of it when its disk is full, unless the store was made persistent.
 *
 * It is in the Cache API: pages and workers read it without a lock of their own, and a `Response` has the facts in its
 * headers. Browsers have it on secure pages only; elsewhere nothing is kept.
 */

/**
 * A model that the browser keeps.
 *
 * @typedef {object} KeptModel
 * @property {string} name of the file
 * @property {string} address where it came from
 * @property {number} bytes
 * @property {string} sha256 in hexadecimal digits
 * @property {Date} saved
 *
 * The same with the version that its server named: its ETag, or the date of its last change.
 *
 * @typedef {KeptModel & { version: string | null }} Entry
 *
 * The beginning of a download that broke off.
 *
 * @typedef {{ bytes: Uint8Array<ArrayBuffer>, total: number, version: string }} Part
 */

const CACHE = "image-feature-models";
/** Keys of the cache have to be addresses. Nothing is ever fetched from this one. */
const BASE = "https://image-feature.invalid/";

const keyOfModel = (/** @type {string} */ sha256) => `${BASE}model/${sha256}`;
const keyOfEntry = (/** @type {string} */ address) => `${BASE}from/${encodeURIComponent(address)}`;
const keyOfPart = (/** @type {string} */ address) => `${BASE}part/${encodeURIComponent(address)}`;

/** Whether models of this address can be kept. */
export const canKeep = (/** @type {string} */ address) =>
  typeof caches === "object" && Boolean(globalThis.crypto?.subtle) && /^https?:/.test(address);

/**
 * Calls `use` with the cache. Resolves with `undefined` if the browser refuses it, as in some private windows: a model
 * that cannot be kept is downloaded again.
 *
 * @template T
 * @param {(cache: Cache) => Promise<T>} use
 * @returns {Promise<T | undefined>}
 */
async function withCache(use) {
  try {
    return await use(await caches.open(CACHE));
  } catch (error) {
    console.debug("image-feature: the store of models", error);
    return undefined;
  }
}

/**
 * What is kept of this address.
 *
 * @param {string} address
 * @returns {Promise<Entry | undefined>}
 */
export function lookUp(address) {
  return withCache(async (cache) => toEntry(await cache.match(keyOfEntry(address))));
}

/** @param {Response | undefined} found @returns {Promise<Entry | undefined>} */
async function toEntry(found) {
  if (!found) return undefined;
  const entry = await found.json();
  return { ...entry, saved: new Date(entry.saved) };
}

/**
 * The bytes of a model; `undefined` if they are not kept, or are not complete.
 *
 * @param {string} sha256
 * @returns {Promise<Uint8Array<ArrayBuffer> | undefined>}
 */
export function readKept(sha256) {
  return withCache(async (cache) => {
    const found = await cache.match(keyOfModel(sha256));
    const bytes = found && new Uint8Array(await found.arrayBuffer());
    return bytes && (await sha256Of(bytes)) === sha256 ? bytes : undefined;
  });
}

/**
 * Keeps a model. Does nothing if there is no room.
 *
 * @param {{ name: string, address: string, version: string | null }} facts
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} sha256
 */
export async function keepModel(facts, bytes, sha256) {
  const entry = { ...facts, bytes: bytes.length, sha256, saved: new Date() };
  await withCache(async (cache) => {
    const before = await toEntry(await cache.match(keyOfEntry(facts.address)));
    await cache.put(keyOfModel(sha256), new Response(bytes));
    await cache.put(keyOfEntry(facts.address), new Response(JSON.stringify(entry)));
    await cache.delete(keyOfPart(facts.address));
    if (before && before.sha256 !== sha256) await dropUnused(cache, before.sha256);
  });
  await persistQuietly();
}

/**
 * Keeps the beginning of a download.
 *
 * @param {string} address
 * @param {Part} part
 */
export async function keepPart(address, { bytes, total, version }) {
  const headers = { "x-total": String(total), "x-version": encodeURIComponent(version) };
  await withCache((cache) => cache.put(keyOfPart(address), new Response(bytes, { headers })));
}

/**
 * Takes the beginning of a download out of the store.
 *
 * @param {string} address
 * @returns {Promise<Part | undefined>}
 */
export function takePart(address) {
  return withCache(async (cache) => {
    const found = await cache.match(keyOfPart(address));
    if (!found) return undefined;
    const bytes = new Uint8Array(await found.arrayBuffer());
    await cache.delete(keyOfPart(address));
    return {
      bytes,
      total: Number(found.headers.get("x-total")),
      version: decodeURIComponent(found.headers.get("x-version") ?? ""),
    };
  });
}

/** @returns {Promise<Entry[]>} all models, the newest first */
export async function listEntries() {
  if (!canKeep(BASE)) return [];
  const found = await withCache(async (cache) => {
    const keys = (await cache.keys()).filter(({ url }) => url.startsWith(`${BASE}from/`));
    return Promise.all(keys.map(async (key) => toEntry(await cache.match(key))));
  });
  const entries = (found ?? []).filter((entry) => entry !== undefined);
  return entries.sort((a, b) => b.saved.getTime() - a.saved.getTime());
}

/**
 * Deletes models, and the beginnings of their downloads. Resolves with whether there were any.
 *
 * @param {(entry: Entry) => boolean} isMeant
 */
export async function deleteEntries(isMeant) {
  const meant = (await listEntries()).filter(isMeant);
  await withCache(async (cache) => {
    for (const { address, sha256 } of meant) {
      await cache.delete(keyOfEntry(address));
      await cache.delete(keyOfPart(address));
      await dropUnused(cache, sha256);
    }
  });
  return meant.length > 0;
}

/**
 * Deletes the bytes of a model that no address has any more.
 *
 * @param {Cache} cache
 * @param {string} sha256
 */
async function dropUnused(cache, sha256) {
  const used = (await listEntries()).some((entry) => entry.sha256 === sha256);
  if (!used) await cache.delete(keyOfModel(sha256));
}

/** Asks the browser to keep all of the site's storage, if it decides that without a question to the user. */
async function persistQuietly() {
  try {
    const name = /** @type {PermissionName} */ ("persistent-storage");
    const { state } = await navigator.permissions.query({ name });
    if (state !== "prompt") await navigator.storage.persist();
  } catch {
    // not every browser has this permission
  }
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<string>}
 */
export async function sha256Of(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
