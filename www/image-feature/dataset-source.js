/** The inputs of `Dataset.open`, made into an archive or the files of a folder. */

import { ImageFeatureError, throwIfAborted, toError } from "./errors.js";

/**
 * - an archive (`.zip`, `.tar`, `.tar.gz`): a `File` or `Blob`, or the handle of one
 * - a folder: its handle (`showDirectoryPicker`), or the files of `<input webkitdirectory>`
 * - dropped items: one `DataTransferItem`, or several; they can be opened during the event of the drop only
 * - files with paths: `[path, file]` each
 *
 * @typedef {File | Blob | FileSystemHandle | DataTransferItem | FileList
 *   | readonly (File | DataTransferItem | readonly [path: string, file: Blob])[]} DatasetInput
 *
 * @typedef {[path: string, file: Blob]} PathAndFile
 *
 * The form in which workers open it. `unreadable` are paths that the browser could not look at.
 *
 * @typedef {{ archive: Blob } | { paths: string[], blobs: Blob[], unreadable: string[] }} DatasetSource
 *
 * @typedef {{ files: PathAndFile[], unreadable: string[], signal?: AbortSignal }} Walk what was found so far
 */

/**
 * @param {DatasetInput} input
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ name: string, source: DatasetSource }>}
 */
export async function toDatasetSource(input, signal) {
  // dropped items can be read during the event only, so all are taken before the first `await`
  const given = isList(input) ? Array.from(input, taken) : [taken(input)];
  /** @type {Walk} */
  const walk = { files: [], unreadable: [], signal };
  const { files, unreadable } = walk;
  let isFolder = given.length !== 1;
  /** Whether the caller gave the paths. They are then relative to the data set already. */
  let isNamed = false;
  for (const one of given) {
    throwIfAborted(signal);
    if (Array.isArray(one)) {
      isFolder = isNamed = true;
      files.push(/** @type {PathAndFile} */ (one));
    } else if (one instanceof Blob) {
      const path = "webkitRelativePath" in one ? String(one.webkitRelativePath) : "";
      isFolder ||= path !== "";
      files.push([path || nameOf(one), one]);
    } else {
      isFolder ||= "isDirectory" in one ? one.isDirectory : one.kind === "directory";
      try {
        await ("isDirectory" in one ? walkEntry(one, "", walk) : walkHandle(one, "", walk));
      } catch (error) {
        throw toError(error, "io", `${one.name} could not be read`);
      }
    }
  }
  if (!isFolder) return { name: files[0][0], source: { archive: files[0][1] } };
  const { name, paths } = withoutTop([...files.map(([path]) => path), ...unreadable], isNamed);
  return {
    name,
    source: {
      paths: paths.slice(0, files.length),
      blobs: files.map(([, file]) => file),
      unreadable: paths.slice(files.length),
    },
  };
}

/**
 * @param {DatasetInput} input
 * @returns {input is FileList | readonly (File | DataTransferItem | readonly [path: string, file: Blob])[]}
 */
function isList(input) {
  return Array.isArray(input) || (typeof FileList === "function" && input instanceof FileList);
}

/** @param {unknown} input */
function taken(input) {
  if (typeof DataTransferItem === "function" && input instanceof DataTransferItem) {
    const file = input.kind === "file" ? (input.webkitGetAsEntry() ?? input.getAsFile()) : null;
    if (!file)
      throw new ImageFeatureError(
        "usage",
        "what was dropped is no file; a dropped item must be opened within the event of its drop",
      );
    return file;
  }
  if (input instanceof Blob || (typeof FileSystemHandle === "function" && input instanceof FileSystemHandle))
    return input;
  if (Array.isArray(input) && typeof input[0] === "string" && input[1] instanceof Blob)
    return /** @type {PathAndFile} */ ([input[0], input[1]]);
  throw new ImageFeatureError(
    "usage",
    "a data set is opened from a File, a folder's handle, a dropped item, or a list of files",
  );
}

/** @param {Blob} blob */
function nameOf(blob) {
  return blob instanceof File && blob.name ? blob.name : "data set";
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} above
 * @param {Walk} walk
 */
async function walkEntry(entry, above, walk) {
  throwIfAborted(walk.signal);
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise((/** @type {(file: File) => void} */ resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    return void walk.files.push([path, file]);
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // a reader gives about a hundred entries at a time, and an empty list at the end
    const entries = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return;
    for (const inner of entries) await goOn(walkEntry(inner, `${path}/`, walk), `${path}/${inner.name}`, walk);
  }
}

/**
 * @param {FileSystemHandle} handle
 * @param {string} above
 * @param {Walk} walk
 */
async function walkHandle(handle, above, walk) {
  throwIfAborted(walk.signal);
  const path = above + handle.name;
  if (handle.kind === "file")
    return void walk.files.push([path, await /** @type {FileSystemFileHandle} */ (handle).getFile()]);
  // TypeScript's library does not have this method yet
  const folder = /** @type {FileSystemDirectoryHandle & { values: () => AsyncIterable<FileSystemHandle> }} */ (handle);
  for await (const inner of folder.values())
    await goOn(walkHandle(inner, `${path}/`, walk), `${path}/${inner.name}`, walk);
}

/**
 * Waits for the walk of a file or folder. One that cannot be looked at is noted, and does not end the walk of others.
 *
 * @param {Promise<void>} walking
 * @param {string} path
 * @param {Walk} walk
 */
async function goOn(walking, path, { unreadable, signal }) {
  try {
    await walking;
  } catch {
    throwIfAborted(signal);
    unreadable.push(path);
  }
}

/**
 * The paths without the one folder that holds all files, and that folder's name.
 *
 * @param {string[]} paths
 * @param {boolean} areNamed
 */
function withoutTop(paths, areNamed) {
  const top = paths[0]?.slice(0, paths[0].indexOf("/") + 1) ?? "";
  if (areNamed || top === "" || !paths.every((path) => path.startsWith(top))) return { name: "data set", paths };
  return { name: top.slice(0, -1), paths: paths.map((path) => path.slice(top.length)) };
}
