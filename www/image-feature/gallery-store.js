/**
 * Galleries that the browser keeps for this site: in the origin private file system, or else in IndexedDB.
 *
 * A gallery is replaced as a whole: the new one takes the place of the old one when all of it is written. If that
 * fails, the old one stays. Tabs that use the same name wait for each other. A tab that saves must know the generation
 * that it replaces, which is the content of the file's header with its checksum: what another tab has saved meanwhile is
 * not replaced.
 */

import { ImageFeatureError, cancelled, toError } from "./errors.js";
import { HERE } from "./platform.js";

/**
 * A gallery that the browser keeps. The facts of a damaged one are `null`; opening it gives an error with the reason.
 *
 * @typedef {object} KeptGallery
 * @property {string} name
 * @property {number} bytes
 * @property {Date} saved
 * @property {number | null} count number of vectors
 * @property {number | null} dimension
 * @property {import("./gallery-types.js").Metric | null} metric
 * @property {import("./gallery-types.js").GalleryDtype | null} dtype
 */

/**
 * Throws if the file that is there must not be replaced.
 *
 * @typedef {(there: Blob | undefined) => Promise<void>} Check
 *
 * @typedef {object} Store
 * @property {() => Promise<{ name: string, file: Blob, saved: Date }[]>} list
 * @property {(name: string) => Promise<Blob | undefined>} get
 * @property {(name: string, file: Blob, check: Check) => Promise<void>} put
 * @property {(name: string) => Promise<boolean>} remove resolves with `false` if there was none
 */

const FOLDER = "image-feature-galleries";
const ENDING = ".safetensors";
const DATABASE = "image-feature";
const OBJECTS = "galleries";
/** The longest name that file systems take, without the ending. */
const MOST_NAME = 200;
/** Number of bytes that are written at once. */
const PART_BYTES = 4 * 2 ** 20;
/** The headers of gallery files have some hundred bytes. */
const MOST_HEADER = 65536;

/** @param {unknown} name */
function checkName(name) {
  if (typeof name !== "string" || name === "")
    throw new ImageFeatureError("usage", `a gallery is kept under a name, got ${JSON.stringify(name)}`);
  let encoded;
  try {
    encoded = fileName(name);
  } catch (error) {
    throw new ImageFeatureError(
      "usage",
      "the name of a gallery must be text that can be written: it holds half a character",
      { cause: error },
    );
  }
  if (encoded.length > MOST_NAME)
    throw new ImageFeatureError("usage", `the name of a gallery is too long: \`${name.slice(0, 40)}…\``);
  return name;
}

/** Makes a file name of any text. @param {string} name */
const fileName = (name) => encodeURIComponent(name).replaceAll(".", "%2E").replaceAll("*", "%2A");

/**
 * Lists the galleries that are kept, sorted by name.
 *
 * @returns {Promise<KeptGallery[]>}
 */
export async function listKept() {
  const found = await storing(async (store) => store.list(), "the galleries kept could not be listed");
  const kept = await Promise.all(
    found.map(async ({ name, file, saved }) => ({ name, bytes: file.size, saved, ...(await describe(file)) })),
  );
  return kept.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Calls `use` with the file of a gallery and its generation. The file is not changed before `use` has ended.
 *
 * @template T
 * @param {string} name
 * @param {AbortSignal | undefined} signal
 * @param {(file: Blob, generation: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withKept(name, signal, use) {
  checkName(name);
  return locked(name, "shared", signal, async () => {
    const file = await storing((store) => store.get(name), `${name}: the gallery could not be read`);
    if (!file) throw new ImageFeatureError("usage", `no gallery \`${name}\` is kept here`);
    return use(file, await generationOf(file));
  });
}

/**
 * Keeps a file under a name, and gives its generation. It replaces the file whose generation is `known`, or with
 * `replace` any.
 *
 * @param {string} name
 * @param {Blob} file
 * @param {{ replace: boolean, known: string | undefined, signal?: AbortSignal }} options `signal`: stops the wait for
 *   other tabs
 * @returns {Promise<string>}
 */
export async function keep(name, file, { replace, known, signal }) {
  checkName(name);
  const generation = await generationOf(file);
  const check = async (/** @type {Blob | undefined} */ there) => {
    if (replace || !there) return;
    const current = await generationOf(there);
    // the same content may be replaced by itself
    if (current !== known && current !== generation) throw conflict(name, known !== undefined);
  };
  await locked(name, "exclusive", signal, () =>
    storing((store) => store.put(name, file, check), `${name}: the gallery could not be saved`, file.size),
  );
  return generation;
}

/**
 * @param {string} name
 * @param {boolean} wasKnown
 */
function conflict(name, wasKnown) {
  const what = wasKnown
    ? `another tab, or another Gallery, has saved \`${name}\` since this one was opened or saved; nothing was replaced. Save under another name, or open it again and add what is new`
    : `a gallery \`${name}\` is kept here already; nothing was replaced. Save under another name`;
  return new ImageFeatureError("usage", `${what}; \`replace: true\` replaces it`);
}

/**
 * Deletes a gallery. Resolves with `false` if there was none.
 *
 * @param {string} name
 * @param {AbortSignal} [signal] stops the wait for other tabs
 */
export async function forget(name, signal) {
  checkName(name);
  return locked(name, "exclusive", signal, () =>
    storing((store) => store.remove(name), `${name}: the gallery could not be deleted`),
  );
}

/**
 * @template T
 * @param {string} name
 * @param {"shared" | "exclusive"} mode
 * @param {AbortSignal | undefined} signal
 * @param {() => Promise<T>} run
 * @returns {Promise<T>}
 */
async function locked(name, mode, signal, run) {
  // pages that are not secure have no locks and no file system, and IndexedDB has transactions
  if (!globalThis.navigator?.locks) return run();
  /** @type {unknown} */
  let failed;
  try {
    return await navigator.locks.request(`image-feature gallery ${name}`, { mode, signal }, () =>
      run().catch((error) => {
        failed = error;
        throw error;
      }),
    );
  } catch (error) {
    if (failed === undefined && signal?.aborted) throw cancelled(signal);
    throw error;
  }
}

/**
 * @template T
 * @param {(store: Store) => Promise<T>} run
 * @param {string} what begins the error's message
 * @param {number} [bytes] number of bytes to be written
 * @returns {Promise<T>}
 */
async function storing(run, what, bytes) {
  try {
    return await run(await openStore());
  } catch (error) {
    if (!isFull(error)) throw toError(error, "io", what);
    // browsers do not say how much is free: they round it, so that sites cannot recognise visitors by it
    const takes = bytes === undefined ? "" : `it takes ${(bytes / 1e6).toFixed(1)} MB, and `;
    throw new ImageFeatureError(
      "limit",
      `${what}: ${takes}this site's storage in the browser is full. Delete galleries, or save it as a file; what was kept before is as it was`,
      { cause: error },
    );
  }
}

/** @param {unknown} error */
function isFull(error) {
  return error instanceof Error && error.name === "QuotaExceededError";
}

/** @returns {Promise<Store>} */
async function openStore() {
  if (!globalThis.indexedDB) {
    throw new ImageFeatureError(
      "unsupported",
      `${HERE} keeps no galleries; write one with \`toFile\`, and read it with \`Gallery.fromFile\``,
    );
  }
  // TypeScript's library describes the latest browsers only
  const { storage, FileSystemFileHandle } =
    /** @type {{ storage?: Partial<StorageManager>, FileSystemFileHandle?: { prototype: Partial<FileSystemFileHandle> } }} */ ({
      storage: navigator.storage,
      FileSystemFileHandle: globalThis.FileSystemFileHandle,
    });
  if (storage?.getDirectory && FileSystemFileHandle?.prototype.createWritable) {
    try {
      return filesIn(await navigator.storage.getDirectory());
    } catch (error) {
      if (isFull(error)) throw error;
      // in private windows of some browsers the function exists and fails
      console.debug("image-feature: no file system of the browser's", error);
    }
  }
  return database();
}

/**
 * The store in the origin private file system. The browser writes into another file, which replaces the first when it
 * is closed.
 *
 * @param {FileSystemDirectoryHandle} root
 * @returns {Store}
 */
function filesIn(root) {
  const folder = () => root.getDirectoryHandle(FOLDER, { create: true });
  const path = (/** @type {string} */ name) => fileName(name) + ENDING;
  /** The file of a gallery. A file that was begun and never finished is empty, and no gallery is empty. */
  const existing = async (/** @type {string} */ name) => {
    const handle = await (await folder()).getFileHandle(path(name)).catch(noneIfMissing);
    const file = await handle?.getFile();
    return file?.size ? file : undefined;
  };
  return {
    async list() {
      const found = [];
      // TypeScript's library does not have this method yet
      const all = /** @type {FileSystemDirectoryHandle & { values: () => AsyncIterable<FileSystemHandle> }} */ (
        await folder()
      );
      for await (const handle of all.values()) {
        if (handle.kind !== "file" || !handle.name.endsWith(ENDING)) continue;
        const file = await /** @type {FileSystemFileHandle} */ (handle).getFile().catch(noneIfMissing);
        if (file?.size)
          found.push({
            name: decodeURIComponent(handle.name.slice(0, -ENDING.length)),
            file,
            saved: new Date(file.lastModified),
          });
      }
      return found;
    },
    get: existing,
    async put(name, file, check) {
      const there = await existing(name);
      await check(there);
      const isNew = !there;
      const inside = await folder();
      try {
        const writer = await (await inside.getFileHandle(path(name), { create: true })).createWritable();
        try {
          // part by part: if there is no room for a whole Blob, some browsers report that it cannot be read
          for (let at = 0; at < file.size; at += PART_BYTES)
            await writer.write(await file.slice(at, at + PART_BYTES).arrayBuffer());
          await writer.close();
        } catch (error) {
          await writer.abort().catch(() => {});
          throw error;
        }
      } catch (error) {
        if (isNew) await inside.removeEntry(path(name)).catch(() => {});
        throw error;
      }
    },
    async remove(name) {
      const wasThere = Boolean(await existing(name));
      await (await folder()).removeEntry(path(name)).catch(noneIfMissing);
      return wasThere;
    },
  };
}

/** @param {unknown} error @returns {undefined} */
function noneIfMissing(error) {
  if (error instanceof Error && error.name === "NotFoundError") return undefined;
  throw error;
}

/**
 * The store in IndexedDB. A transaction is done as a whole or not at all.
 *
 * @returns {Promise<Store>}
 */
async function database() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(OBJECTS);
  const opened = await done(opening);
  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(objects: IDBObjectStore) => IDBRequest<T>} ask
   * @returns {Promise<T>}
   */
  const within = (mode, ask) =>
    new Promise((resolve, reject) => {
      const transaction = opened.transaction(OBJECTS, mode, { durability: "strict" });
      const request = ask(transaction.objectStore(OBJECTS));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  /**
   * @template T
   * @param {Promise<T>} work
   */
  const closing = (work) => work.finally(() => opened.close());
  const get = (/** @type {string} */ name) => within("readonly", (objects) => objects.get(name));
  /**
   * Puts a file where another is, unless a third has taken its place. Tabs that are not secure have no locks: there this
   * transaction keeps them apart.
   *
   * @param {string} name
   * @param {{ stamp?: string, saved: Date } | undefined} there
   * @param {Blob} file
   * @returns {Promise<boolean>}
   */
  const swap = (name, there, file) =>
    new Promise((resolve, reject) => {
      const transaction = opened.transaction(OBJECTS, "readwrite", { durability: "strict" });
      const objects = transaction.objectStore(OBJECTS);
      const reading = objects.get(name);
      let isSame = false;
      reading.onsuccess = () => {
        const now = reading.result;
        isSame = now?.stamp === there?.stamp && now?.saved?.getTime() === there?.saved.getTime();
        if (isSame) objects.put({ file, saved: new Date(), stamp: newStamp() }, name);
      };
      transaction.oncomplete = () => resolve(isSame);
      transaction.onabort = () => reject(transaction.error ?? reading.error);
    });
  return {
    list: () =>
      closing(
        (async () => {
          const names = await within("readonly", (objects) => objects.getAllKeys());
          const found = await Promise.all(
            names.map(async (name) => ({ name: String(name), ...(await get(String(name))) })),
          );
          return found.filter(({ file }) => file);
        })(),
      ),
    get: (name) => closing(get(name).then((found) => found?.file)),
    put: (name, file, check) =>
      closing(
        (async () => {
          for (;;) {
            const there = await get(name);
            await check(there?.file);
            if (await swap(name, there, file)) return;
          }
        })(),
      ),
    remove: (name) =>
      closing(
        get(name).then((found) =>
          within("readwrite", (objects) => objects.delete(name)).then(() => found !== undefined),
        ),
      ),
  };
}

/** A text that no other record has. */
function newStamp() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * The header of a gallery file.
 *
 * @param {Blob} file
 */
async function headerOf(file) {
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  if (length > MOST_HEADER) throw new Error("no header");
  return file.slice(8, 8 + length).text();
}

/**
 * A text that is another if the content is another: the header has a checksum of all the rest.
 *
 * @param {Blob} file
 */
async function generationOf(file) {
  return `${file.size} ${await headerOf(file).catch(() => "damaged")}`;
}

/**
 * The facts in the header of a gallery file.
 *
 * @param {Blob} file
 * @returns {Promise<Pick<KeptGallery, "count" | "dimension" | "metric" | "dtype">>}
 */
async function describe(file) {
  try {
    const header = JSON.parse(await headerOf(file));
    const { count, dimension, metric, storage } = JSON.parse(header.__metadata__.image_feature_gallery);
    return { count, dimension, metric, dtype: storage };
  } catch {
    return { count: null, dimension: null, metric: null, dtype: null };
  }
}
