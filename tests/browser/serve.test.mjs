/** `./build.sh serve`: the page's files, for this computer alone. No browser: the requests are what counts. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { HEADERS, createPageServer } from "../../scripts/serve.mjs";
import { WWW, serveSite, withoutProgram } from "./harness.mjs";

const folder = mkdtempSync(join(tmpdir(), "image-feature-serve-"));
const site = join(folder, "site");
const server = createPageServer(site);
/** @type {number} */
let port;

before(async () => {
  mkdirSync(join(site, "wasm"), { recursive: true });
  mkdirSync(join(site, ".git"));
  mkdirSync(join(folder, "site-beside"));
  writeFileSync(join(site, "index.html"), "<p>page");
  writeFileSync(join(site, "wasm/core.wasm"), "wasm");
  writeFileSync(join(site, ".git/config"), "secret");
  writeFileSync(join(folder, "secret.txt"), "secret");
  writeFileSync(join(folder, "site-beside/secret.txt"), "secret");
  symlinkSync("../secret.txt", join(site, "link.txt"));
  symlinkSync("../site-beside", join(site, "beside"));
  symlinkSync("wasm/core.wasm", join(site, "inside.wasm"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  if (typeof address === "object" && address) port = address.port;
});

after(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

/**
 * A request as it is: `fetch` would tidy the path.
 *
 * @param {string} path
 * @param {{ port?: number, method?: string, headers?: Record<string, string> }} [options]
 * @returns {Promise<{ status?: number, reason?: string, headers: import("node:http").IncomingHttpHeaders, body: string
 *   }>}
 */
function ask(path, options = {}) {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, agent: false, ...options }, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      const { statusCode, statusMessage, headers } = response;
      resolve({ status: statusCode, reason: statusMessage, headers, body: Buffer.concat(chunks).toString() });
    })
      .on("error", reject)
      .end();
  });
}

test("files come with their types and with the headers that threads need", async () => {
  for (const [path, type, body] of [
    ["/", "text/html; charset=utf-8", "<p>page"],
    ["/index.html?a=1", "text/html; charset=utf-8", "<p>page"],
    ["/wasm/core.wasm", "application/wasm", "wasm"],
    ["/inside.wasm", "application/wasm", "wasm"],
  ]) {
    const answer = await ask(path);
    assert.deepEqual([answer.status, answer.headers["content-type"], answer.body], [200, type, body], path);
    for (const [name, value] of Object.entries(HEADERS)) assert.equal(answer.headers[name], value, `${path}: ${name}`);
  }
});

test("a file that did not change is not sent again", async () => {
  const { headers } = await ask("/wasm/core.wasm");
  const again = await ask("/wasm/core.wasm", { headers: { "if-none-match": String(headers.etag) } });
  assert.deepEqual([again.status, again.body], [304, ""]);
});

test("nothing outside the folder is sent, and no hidden file", async () => {
  for (const path of [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/../site-beside/secret.txt",
    "/link.txt",
    "/beside/secret.txt",
    "/.git/config",
    "/%2egit/config",
    "//etc/hostname",
    "/%00",
    "/%zz",
  ]) {
    const { status, body } = await ask(path);
    assert.ok(status && status >= 400 && status < 500, `${path}: ${status}`);
    assert.doesNotMatch(body, /secret$/, path);
  }
});

test("only this computer's names are answered", async () => {
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    assert.equal((await ask("/", { headers: { host } })).status, 200, host);
  }
  for (const host of ["localhost", `example.com:${port}`, `localhost.example.com:${port}`, "localhost:1"]) {
    assert.equal((await ask("/", { headers: { host } })).status, 421, host);
  }
});

test("there is nothing to write to", async () => {
  for (const method of ["POST", "PUT", "DELETE"]) assert.equal((await ask("/", { method })).status, 405, method);
  const head = await ask("/", { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, ""]);
});

test("an artefact that was not built is said to be so", async () => {
  assert.match((await ask("/wasm/none.wasm")).reason ?? "", /build\.sh serve/);
  assert.equal((await ask("/none.txt")).reason, "Not Found");
});

test("the program sends the same headers", { skip: withoutProgram }, async () => {
  const program = await serveSite(WWW);
  try {
    const { headers } = await ask("/", { port: Number(new URL(program.url).port) });
    for (const [name, value] of Object.entries(HEADERS)) assert.equal(headers[name], value, name);
  } finally {
    await program.close();
  }
});
