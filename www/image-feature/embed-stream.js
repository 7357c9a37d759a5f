/**
 * Runs an asynchronous function on many items: in batches, with results in order, and a limit on how far it reads
 * ahead.
 */

import { cancelled, throwIfAborted } from "./errors.js";

/** With several workers, how many batches for each running one may wait for a slow batch before them. */
const SLACK = 4;

/**
 * @template Item, Result
 * @typedef {{ item: Item, done: Promise<Result>, resolve: (result: Result) => void, reject: (error: unknown) => void }}
 *   Slot
 */

/**
 * Yields the result of each item, in order.
 *
 * Items that arrive while a batch runs form the next batch. So each item of a slow source, such as a camera, gets its
 * result at once, and a fast source gets full batches. A slow batch does not delay those after it: they run, up to a
 * limit, and wait to be yielded. When the loop ends early, or the signal is aborted, the work stops and the source is
 * closed.
 *
 * @template Item, Result
 * @param {Iterable<Item> | AsyncIterable<Item>} items
 * @param {(items: Item[], signal: AbortSignal) => Promise<Result[]>} run
 * @param {{ batchSize: number, running: () => number, makeRoom?: () => Promise<unknown> | undefined, signal?:
 *   AbortSignal }} options `running`: how many batches may run at the same time. `makeRoom` is called when a full batch
 *   has to wait. It may raise that number, and its promise resolves when it has.
 * @returns {AsyncGenerator<Result, void, undefined>}
 */
export async function* inBatches(items, run, { batchSize, running: mostRunning, makeRoom, signal }) {
  throwIfAborted(signal);
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  /** @type {Slot<Item, Result>[]} */
  const ahead = [];
  /** @type {Slot<Item, Result>[]} */
  const gathered = [];
  let running = 0;
  /** @type {Promise<void> | undefined} */
  let pulling;
  /** @type {Promise<void> | undefined} */
  let making;
  let exhausted = false;
  /** @type {{ error: unknown } | undefined} */
  let failure;

  const advance = () => {
    if (stop.signal.aborted) return;
    const most = mostRunning();
    // with one worker, batches end in order: only running batches and the next one are ahead
    const mostAhead = most <= 2 ? most + 1 : SLACK * most;
    if (gathered.length > 0 && running < most) void start(gathered.splice(0, batchSize));
    if (gathered.length >= batchSize && !making) {
      making = makeRoom?.()?.then(() => {
        making = undefined;
        advance();
      });
    }
    if (!pulling && !exhausted && ahead.length < mostAhead * batchSize) pulling = pull();
  };
  const pull = async () => {
    try {
      const { done, value } = await source.next();
      if (done) exhausted = true;
      else push(value);
    } catch (error) {
      exhausted = true;
      failure = { error };
    } finally {
      pulling = undefined;
      advance();
    }
  };
  const push = (/** @type {Item} */ item) => {
    /** @type {Slot<Item, Result>} */
    const slot = { item, ...deferred() };
    ahead.push(slot);
    gathered.push(slot);
  };
  const start = async (/** @type {Slot<Item, Result>[]} */ batch) => {
    running++;
    try {
      const results = await run(
        batch.map(({ item }) => item),
        stop.signal,
      );
      batch.forEach(({ resolve }, index) => resolve(results[index]));
    } catch (error) {
      batch.forEach(({ reject }) => reject(error));
    } finally {
      running--;
      advance();
    }
  };

  try {
    advance();
    for (;;) {
      const [next] = ahead;
      if (next) {
        const result = await orAbort(next.done, stop.signal);
        ahead.shift();
        advance();
        yield result;
      } else if (exhausted) {
        if (failure) throw failure.error;
        return;
      } else {
        await orAbort(/** @type {Promise<void>} */ (pulling), stop.signal);
      }
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
    // not awaited: a source that never ends would keep the caller waiting
    if (!exhausted) Promise.resolve(source.return?.()).catch(() => {});
  }
}

/**
 * @template T
 * @returns {{ done: Promise<T>, resolve: (value: T) => void, reject: (error: unknown) => void }}
 */
function deferred() {
  /** @type {(value: T) => void} */
  let resolve = () => {};
  /** @type {(error: unknown) => void} */
  let reject = () => {};
  const done = new Promise((/** @type {(value: T) => void} */ onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  // after an early end nobody waits for the results, which may still fail
  done.catch(() => {});
  return { done, resolve, reject };
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
function orAbort(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(cancelled(signal));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
