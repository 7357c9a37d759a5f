import { throwIfAborted } from "./errors.js";

/**
 * Lets the messages that have come be read, then goes on; throws where one of them was an abort.
 *
 * Long work in a worker waits for this now and then: while JavaScript runs, no message is read.
 *
 * @param {AbortSignal} signal
 */
export async function readMessages(signal) {
  await new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
  throwIfAborted(signal);
}
