/**
 * Files for the WebAssembly where there is no `FileReaderSync`: on a page's own thread, in Node.js and others. They are
 * read into memory beforehand.
 */

/** The part of `Blob` that the WebAssembly uses. */
class MemoryBlob {
  /** @param {Uint8Array<ArrayBuffer>} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }
  get size() {
    return this.bytes.length;
  }
  /** @param {number} start @param {number} end */
  slice(start, end) {
    return new MemoryBlob(this.bytes.subarray(start, end));
  }
}

/** Reads a `MemoryBlob`. */
class MemoryReader {
  /** @param {MemoryBlob} blob */
  readAsArrayBuffer({ bytes }) {
    return bytes.slice().buffer;
  }
}

/**
 * The file in a form that the WebAssembly can read here.
 *
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
export async function readable(file) {
  const scope = /** @type {{ FileReaderSync?: unknown }} */ (globalThis);
  if (scope.FileReaderSync && scope.FileReaderSync !== MemoryReader) return file;
  scope.FileReaderSync = MemoryReader;
  const bytes = new Uint8Array(await file.arrayBuffer());
  return /** @type {Blob} */ (/** @type {unknown} */ (new MemoryBlob(bytes)));
}
