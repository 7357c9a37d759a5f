/**
 * Serves the page on this computer: `node scripts/serve.mjs [FOLDER] [--port N]`.
 *
 * It needs no compiled program, so the page is up as soon as its WebAssembly is. `image-feature serve` sends the same
 * headers (crates/cli/src/serve/page.rs).
 */

import { statSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { createServer } from "node:http";
import { join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import send from "send";

const HELP = `usage: ./build.sh serve [--quick] [FOLDER] [--port N]

  FOLDER    what to serve [default: www]
  --port N  port; 0 takes any that is free [default: 8080]
  --check   only tells whether FOLDER is there and the port is free`;

/** The headers of every answer: the page loads only its own files, cannot be framed, and may share memory. */
export const HEADERS = {
  "content-security-policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; " +
    "connect-src 'self' blob:; worker-src 'self' blob:; style-src 'self'; object-src 'none'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // a browser asks each time, by ETag, so that it does not use rebuilt WebAssembly with an old script
  "cache-control": "no-cache",
};

/**
 * A server of a folder's files, for the browsers of this computer only.
 *
 * @param {string} folder
 * @returns {import("node:http").Server}
 */
export function createPageServer(folder) {
  const root = resolve(folder);
  const server = createServer(async (request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const address = server.address();
    // another host name means that a foreign site let its own name resolve to this address (DNS rebinding)
    if (typeof address !== "object" || !isOwnHost(request.headers.host, address?.port)) {
      return refuse(response, 421, "this server answers to localhost only");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return refuse(response, 405, "this server has files only");
    }
    const path = request.url?.replace(/[?#].*$/, "") ?? "/";
    if (!(await isInside(root, path))) return refuse(response, 404, "no such file");
    send(request, path, { root, dotfiles: "ignore", cacheControl: false })
      .on("error", ({ status = 500, message }) => {
        // the page shows these words if an artefact is missing
        if (status === 404 && path.includes("/wasm/"))
          response.statusMessage = "Not Built (./build.sh serve builds it)";
        refuse(response, status, status === 404 ? "no such file" : message);
      })
      .pipe(response);
  });
  return server;
}

/**
 * @param {string | undefined} host a request's
 * @param {number | undefined} port ours
 */
function isOwnHost(host, port) {
  return ["localhost", "127.0.0.1", "[::1]"].some(
    (name) => host === `${name}:${port}` || (port === 80 && host === name),
  );
}

/**
 * Whether the file or folder of a path is in the folder when links are followed. One that does not exist is in it.
 *
 * @param {string} root
 * @param {string} path as in a request
 */
async function isInside(root, path) {
  try {
    const [folder, file] = await Promise.all([realpath(root), realpath(join(root, decodeURIComponent(path)))]);
    return file === folder || file.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  } catch {
    return true; // the file does not exist, or its name is invalid: `send` reports it
  }
}

/**
 * @param {import("node:http").ServerResponse} response
 * @param {number} status
 * @param {string} message
 */
function refuse(response, status, message) {
  if (response.headersSent) return response.destroy();
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${message}\n`);
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        port: { type: "string", default: "8080" },
        check: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

async function main() {
  const { values, positionals } = readArguments();
  if (values.help) return console.log(HELP);
  const [folder = "www", ...more] = positionals;
  const port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : NaN;
  if (more.length > 0) fail(`one folder at a time: ${more.join(" ")} is too much`);
  if (!(port <= 65535)) fail(`--port ${values.port} is no port: take a number from 0 to 65535`);

  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    fail(`${folder}: no such folder; give the one to serve`);
  const server = createPageServer(folder);
  server.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
    if (error.code === "EADDRINUSE")
      fail(`another program listens on port ${port}; stop it, or choose with --port N (0 takes a free port)`);
    if (error.code === "EACCES") fail("ports below 1024 need an administrator; choose another with --port N");
    fail(`cannot listen on port ${port}: ${error.message}`);
  });
  server.listen(port, "127.0.0.1", () => {
    if (values.check) return server.close();
    const address = server.address();
    if (typeof address === "object")
      console.error(`serving ${folder} at http://127.0.0.1:${address?.port}/ (Ctrl-C stops)`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => {
      server.close(() => process.exit(0));
      server.closeAllConnections();
    });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
