/** What a user drops: where it is taken, and the files out of it, folders walked through. */

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

/** Whether the tab that an element is in is shown: what is dropped or pasted on another is meant for that. */
export function isInOpenTab(/** @type {Element} */ element) {
  return !element.closest("[hidden]");
}

/**
 * Takes what is dropped anywhere on the page while the component's tab is shown; the component has the class `drop-here`
 * while files are held over the page.
 *
 * @param {import("../report/component.js").Component} component
 * @param {(transfer: DataTransfer) => void} take called during the event
 */
export function takeDrops(component, take) {
  const isMeant = (/** @type {DragEvent} */ { dataTransfer }) =>
    isInOpenTab(component) && holdsFiles(dataTransfer);
  component.listen(document, "dragover", (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    component.classList.add("drop-here");
  });
  component.listen(document, "dragleave", (event) => {
    // leaving an element inside the page is no leaving
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
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  return (await droppedPaths(transfer)).map(({ file }) => file);
}

/**
 * A file and where it lies: below the folder that was dropped or picked, or where there were several, in which of them.
 *
 * @typedef {{ path: string, file: File }} PathAndFile
 */

/**
 * @param {DataTransfer} transfer
 * @returns {Promise<PathAndFile[]>}
 */
export async function droppedPaths(transfer) {
  // entries can be read only during the event, so all are taken before the first wait
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const alone = entries.length === 1;
  const taken = entries.map((entry) => (entry instanceof File ? [{ path: entry.name, file: entry }] : entry ? walk(entry, alone && entry.isDirectory ? "" : entry.name) : []));
  return (await Promise.all(taken)).flat();
}

/**
 * @param {File[]} files as they were picked
 * @returns {PathAndFile[]}
 */
export function pickedPaths(files) {
  // the folder that was picked comes first in each path
  return files.map((file) => ({ path: file.webkitRelativePath.slice(file.webkitRelativePath.indexOf("/") + 1) || file.name, file }));
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} path
 * @returns {Promise<PathAndFile[]>}
 */
async function walk(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((/** @type {(file: File) => void} */ resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ path, file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    // a reader gives some hundred entries at a time, and none at the end
    const entries = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const inner of entries) if (!inner.name.startsWith(".")) files.push(...(await walk(inner, path ? `${path}/${inner.name}` : inner.name)));
  }
}
