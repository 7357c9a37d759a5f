/** Dropped files: event listeners, and reading of folders. */

import { ImageFeatureError } from "../image-feature/index.js";
import { isHidden } from "./hidden-files.js";

/** The most names in a message. */
const MOST_NAMED = 5;

/** Endings of files that belong to a model. */
const MODEL_FILE = /\.(tar|tgz|tar\.gz|gz|zip|pdparams|pdiparams|pdiparams\.info|pdmodel|json|ya?ml|safetensors)$/i;

/** @param {File} file */
export function isModelFile(file) {
  return MODEL_FILE.test(file.name);
}

/** @param {DataTransfer | null} transfer */
export function holdsFiles(transfer) {
  return transfer?.types.includes("Files") ?? false;
}

/**
 * Whether the tab that holds an element is shown. Files that are dropped or pasted are meant for the tab that is shown.
 */
export function isInOpenTab(/** @type {Element} */ element) {
  return !element.closest("[hidden]");
}

/**
 * Takes files that are dropped anywhere on the page while the component's tab is shown. The component has the class
 * `drop-here` while files are held over the page.
 *
 * @param {import("../report/component.js").Component} component
 * @param {(transfer: DataTransfer) => void} take called during the event
 */
export function takeDrops(component, take) {
  const isMeant = (/** @type {DragEvent} */ { dataTransfer }) => isInOpenTab(component) && holdsFiles(dataTransfer);
  component.listen(document, "dragover", (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    component.classList.add("drop-here");
  });
  component.listen(document, "dragleave", (event) => {
    // with a related target, the pointer left an element and is still on the page
    if (!event.relatedTarget) component.classList.remove("drop-here");
  });
  component.listen(document, "drop", (event) => {
    component.classList.remove("drop-here");
    if (!isMeant(event)) return;
    event.preventDefault();
    take(/** @type {DataTransfer} */ (event.dataTransfer));
  });
}

/**
 * @param {DataTransfer} transfer
 * @param {string[]} unread as for `droppedPaths`
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer, unread) {
  return (await droppedPaths(transfer, unread)).map(({ file }) => file);
}

/**
 * A file and its path: below the folder that was dropped or picked; of several folders, the path begins with the
 * folder's name.
 *
 * @typedef {{ path: string, file: File }} PathAndFile
 */

/**
 * One file or folder that cannot be read does not end the reading of the others.
 *
 * @param {DataTransfer} transfer
 * @param {string[]} unread gets the paths of what could not be read
 * @returns {Promise<PathAndFile[]>}
 * @throws {ImageFeatureError} where nothing could be read
 */
export async function droppedPaths(transfer, unread) {
  // entries can be read during the event only, so all are taken before the first `await`
  const entries = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const alone = entries.length === 1;
  const taken = entries.map((entry) =>
    entry instanceof File
      ? [{ path: entry.name, file: entry }]
      : entry
        ? goOn(walk(entry, alone && entry.isDirectory ? "" : entry.name, unread), entry.name, unread)
        : [],
  );
  const files = (await Promise.all(taken)).flat();
  if (files.length === 0 && unread.length > 0) throw unreadError(unread, false);
  return files;
}

/**
 * @param {readonly string[]} unread paths
 * @param {boolean} others whether others could be read
 */
export function unreadError(unread, others = true) {
  const named = unread.slice(0, MOST_NAMED).join(", ");
  const more = unread.length > MOST_NAMED ? `, and ${unread.length - MOST_NAMED} more` : "";
  const told = `the browser could not read ${named}${more}`;
  return new ImageFeatureError("io", others ? `${told}; the others are taken` : told);
}

/**
 * Waits for the walk of a file or folder. One that cannot be read is noted.
 *
 * @param {Promise<PathAndFile[]>} walking
 * @param {string} path
 * @param {string[]} unread
 * @returns {Promise<PathAndFile[]>}
 */
async function goOn(walking, path, unread) {
  try {
    return await walking;
  } catch {
    unread.push(path);
    return [];
  }
}

/**
 * @param {File[]} files as they were picked
 * @returns {PathAndFile[]}
 */
export function pickedPaths(files) {
  const paths = files.map((file) => ({
    // each path begins with the folder that was picked
    path: file.webkitRelativePath.slice(file.webkitRelativePath.indexOf("/") + 1) || file.name,
    file,
  }));
  // a file that was picked itself is meant
  return paths.filter(({ path, file }) => file.webkitRelativePath === "" || !isHidden(path));
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} path
 * @param {string[]} unread
 * @returns {Promise<PathAndFile[]>}
 */
async function walk(entry, path, unread) {
  if (entry.isFile) {
    const file = await new Promise((/** @type {(file: File) => void} */ resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    return [{ path, file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    let entries;
    try {
      // a reader gives about a hundred entries at a time, and an empty list at the end
      entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    } catch (error) {
      // what was read before the failure stays
      if (files.length === 0) throw error;
      unread.push(path || entry.name);
      return files;
    }
    if (entries.length === 0) return files;
    for (const inner of entries) {
      if (isHidden(inner.name)) continue;
      const below = path ? `${path}/${inner.name}` : inner.name;
      for (const file of await goOn(walk(inner, below, unread), below, unread)) files.push(file);
    }
  }
}
