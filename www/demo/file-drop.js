/** Files out of what a user dropped, folders walked through. */

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
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  // entries can be read only during the event, so all are taken before the first wait
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const files = await Promise.all(entries.map((entry) => (entry instanceof File ? [entry] : entry ? walk(entry) : [])));
  return files.flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function walk(entry) {
  if (entry.isFile) {
    return [await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    // a reader gives some hundred entries at a time, and none at the end
    const entries = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const inner of entries) if (!inner.name.startsWith(".")) files.push(...(await walk(inner)));
  }
}
