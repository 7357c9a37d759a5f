/** A contender in a process of its own: requests are lines on its input, answers lines of JSON on its output. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class Contender {
  #process;
  #lines;
  #ended;
  /** @type {string} */
  #complaint = "";

  /**
   * Starts it, and waits until it has run the network once.
   *
   * @param {{ name: string, command: string, arguments: string[], environment?: Record<string, string> }} options
   */
  static async start({ name, command, arguments: words, environment = {} }) {
    const contender = new Contender(
      name,
      spawn(command, words, { env: { ...process.env, ...environment }, stdio: "pipe" }),
    );
    const start = performance.now();
    const { version, threads } = await contender.#answer("start");
    contender.version = version;
    contender.threads = threads;
    contender.first = performance.now() - start;
    return contender;
  }

  /** @private */
  constructor(name, child) {
    this.name = name;
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on("data", (text) => (this.#complaint = `${this.#complaint}${text}`.slice(-4000)));
    this.#ended = new Promise((resolve) => {
      child.once("close", resolve);
      child.once("error", (error) => resolve((this.#complaint += error.message)));
    });
    // `#answer` reports the failure, with more detail
    child.stdin.on("error", () => {});
    /** The name that it gives itself. */
    this.version = "";
    this.threads = 0;
    /** Milliseconds from the start to the first feature. */
    this.first = NaN;
  }

  get pid() {
    return this.#process.pid;
  }

  /** @returns {Promise<number[]>} the features of its batch, one after the other */
  features() {
    return this.#ask("features");
  }

  /** @returns {Promise<number[]>} milliseconds of each run */
  run(/** @type {number} */ count) {
    return this.#ask(`run ${count}`);
  }

  /** @returns {Promise<number>} the most memory it has held, in bytes */
  peakMemory() {
    return this.#ask("rss");
  }

  /** Ends it. */
  async stop() {
    this.#process.stdin.end();
    await this.#ended;
  }

  #ask(request) {
    this.#process.stdin.write(`${request}\n`);
    return this.#answer(request);
  }

  async #answer(request) {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    // its last message may arrive after the end of its output
    await this.#ended;
    throw new Error(
      `${this.name} ended without an answer to "${request}": ${this.#complaint.trim().split("\n").at(-1)}`,
    );
  }
}
