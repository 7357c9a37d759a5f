/** @typedef {"decode" | "unsupported" | "limit" | "model" | "gallery" | "io"} InputErrorKind */

/**
 * The kind of an error. The names are those of the Rust crate's `ErrorKind`.
 *
 * - `decode`: an image cannot be decoded: it is damaged, truncated, or no image
 * - `unsupported`: a format or feature that this package or this browser does not support
 * - `limit`: a limit on size, pixels or memory was exceeded
 * - `model`: a model file is damaged, incomplete, or has another architecture
 * - `gallery`: a gallery file is damaged, or an entry does not fit its gallery
 * - `io`: a file or an address could not be read
 * - `device`: a compute device could not be opened, or failed
 * - `usage`: an argument is wrong, or the object was disposed of
 * - `cancelled`: the caller's `signal` was aborted
 * - `internal`: a bug in this package
 *
 * @typedef {InputErrorKind | "device" | "usage" | "cancelled" | "internal"} ErrorKind
 */

/** @type {ReadonlySet<string>} */
const KINDS = new Set([
  "decode",
  "unsupported",
  "limit",
  "model",
  "gallery",
  "io",
  "device",
  "usage",
  "cancelled",
  "internal",
]);

/**
 * An error in a message between threads: cloning drops the class and the fields of `Error` subclasses.
 *
 * @typedef {{ kind: ErrorKind, message: string, cause?: string, fatal: boolean }} ErrorMessage
 */

/** Every error that this package throws. `kind` says what went wrong; `message` names the thing and says what to do. */
export class ImageFeatureError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(kind, message, options) {
    super(message, options);
    /** @type {ErrorKind} */
    this.kind = kind;
  }

  /** @override */
  get name() {
    return "ImageFeatureError";
  }
}

/**
 * Makes an `ImageFeatureError` of any thrown value. The message begins with `context`, if it is given.
 *
 * Errors from WebAssembly have a `kind` already. Traps are `internal`, aborts `cancelled`, and all others get `kind`.
 *
 * @param {unknown} thrown
 * @param {ErrorKind} [kind]
 * @param {string} [context]
 * @returns {ImageFeatureError}
 */
export function toError(thrown, kind = "internal", context = "") {
  const prefix = context && `${context}: `;
  if (thrown instanceof ImageFeatureError) {
    return prefix ? new ImageFeatureError(thrown.kind, prefix + thrown.message, { cause: thrown.cause }) : thrown;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (isTrap(thrown)) {
    return new ImageFeatureError("internal", `${prefix}the WebAssembly core stopped (${message})`, { cause: thrown });
  }
  if (thrown instanceof DOMException && thrown.name === "AbortError") {
    return new ImageFeatureError("cancelled", `${prefix}cancelled`, { cause: thrown });
  }
  const own = /** @type {{ kind?: unknown }} */ (Object(thrown)).kind;
  const known = typeof own === "string" && KINDS.has(own) ? /** @type {ErrorKind} */ (own) : kind;
  return new ImageFeatureError(known, prefix + message, { cause: thrown });
}

/**
 * Whether WebAssembly trapped. The state of its memory is then undefined, and the instance must not be called again.
 *
 * @param {unknown} thrown
 */
export function isTrap(thrown) {
  const cause = thrown instanceof ImageFeatureError ? thrown.cause : thrown;
  if (cause instanceof WebAssembly.RuntimeError) return true;
  return cause instanceof Error && /call stack|too much recursion/i.test(cause.message);
}

/**
 * The error of an aborted call. Its cause is the signal's reason.
 *
 * @param {AbortSignal} signal
 */
export function cancelled(signal) {
  return new ImageFeatureError("cancelled", "cancelled", { cause: signal.reason });
}

/**
 * @param {AbortSignal | undefined} signal
 */
export function throwIfAborted(signal) {
  if (signal?.aborted) throw cancelled(signal);
}
