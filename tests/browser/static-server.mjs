/**
 * A static server with the headers of `image-feature serve`, and special answers for some paths: fixtures, doubles,
 * errors.
 */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

import { HEADERS } from "../../scripts/serve.mjs";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".png": "image/png",
  ".jpg": "image/jpeg",
};

/**
 * @param {object} options
 * @param {[prefix: string, folder: string][]} options.mounts the longest prefix that fits is taken
 * @param {Record<string, (response: import("node:http").ServerResponse) => void>} [options.answers] by path
 * @param {Record<string, string>} [options.headers] instead of those of `image-feature serve`, or beside them; an empty one is
 *   not sent
 * @param {boolean} [options.isolated] whether pages get what shared memory needs
 * @param {(path: string, file: string) => void} [options.onFile] called with each file that is sent
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serveStatic({ mounts, answers = {}, headers = {}, isolated = true, onFile }) {
  const byLength = [...mounts].sort(([a], [b]) => b.length - a.length);
  const server = createServer(async ({ url = "/" }, response) => {
    for (const [name, value] of Object.entries({ ...HEADERS, ...headers }))
      if (value && (isolated || !name.startsWith("cross-origin-"))) response.setHeader(name, value);
    const path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
    if (Object.hasOwn(answers, path)) return answers[path](response);
    const [prefix, folder] = byLength.find(([prefix]) => path.startsWith(prefix)) ?? [];
    const file = folder && join(folder, path.endsWith("/") ? `${path}index.html` : path.slice(prefix.length));
    const found = file && (await stat(file).catch(() => undefined));
    if (!found?.isFile()) return response.writeHead(404).end();
    onFile?.(path, file);
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": found.size,
    });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
