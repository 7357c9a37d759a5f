/** The parts of Node.js that the package uses. Its own types would bring globals that pages do not have. */

declare module "node:fs/promises" {
  export function readFile(path: URL, options?: { signal?: AbortSignal }): Promise<Uint8Array<ArrayBuffer>>;
}

declare module "node:os" {
  export function availableParallelism(): number;
}

declare module "node:url" {
  export function pathToFileURL(path: string): URL;
}

declare module "node:worker_threads" {
  export class Worker {
    constructor(address: URL, options?: { name?: string });
    postMessage(message: unknown, transfer?: readonly Transferable[]): void;
    on(event: "message" | "messageerror" | "error" | "exit", listener: (value: unknown) => void): this;
    terminate(): Promise<number>;
    ref(): void;
    unref(): void;
  }
  export const parentPort: {
    postMessage(message: unknown, transfer?: readonly Transferable[]): void;
    on(event: "message", listener: (value: unknown) => void): void;
  } | null;
}
