/**
 * Galleries in headless Chromium beside those that people use there: hnswlib-wasm's brute force, edgevec's flat index
 * (which in JavaScript is of bits alone), and a loop over typed arrays; one query and 64 at once. Each contender has a
 * page of its own, and all take turns. Ours is timed as a page sees it: the way to the worker and back is in it. A
 * ratio below 1 means that ours is faster.
 *
 *     ./build.sh bench gallery [COUNT...]
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";

import { ROOT, WWW, launch } from "../tests/browser/harness.mjs";
import { serveStatic } from "../tests/browser/static-server.mjs";
import { compare, median, round } from "./cpu/statistics.mjs";
import { installNodePeers } from "./peers/install.mjs";

const FOLDER = join(ROOT, "target/bench");
const DIMENSION = 512;
const K = 10;
/** The contenders in f32 take a gigabyte for this number. No browser provides ten. */
const MOST = 200_000;
const COUNTS = (process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100_000]).filter(
  (count) => count <= MOST,
);
const QUERIES = [1, 64];
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const TURN_MS = 400;
/** The contenders. The last one always finds all of the nearest vectors. */
const GROUPS = [
  { metric: "cosine", dtypes: ["f32", "f16", "i8", "bit"], peers: ["hnswlib-wasm", "typed-array loop"] },
  { metric: "hamming", dtypes: ["bit"], peers: ["edgevec", "typed-array loop"] },
];
/** Least share of the loop's hits that a contender must find, too. */
const LEAST_RECALL = 0.99;

mkdirSync(FOLDER, { recursive: true });
const peers = installNodePeers(FOLDER);
const versions = Object.fromEntries(
  await Promise.all(
    ["hnswlib-wasm", "edgevec"].map(async (name) => [
      name,
      (await import(join(peers, name, "package.json"), { with: { type: "json" } })).default.version,
    ]),
  ),
);
const site = await serveStatic({
  mounts: [
    ["/", WWW],
    ["/bench/", join(ROOT, "benches/peers/browser")],
    ["/edgevec/", join(peers, "edgevec")],
    ["/hnswlib/", join(peers, "hnswlib-wasm/dist")],
  ],
  // one peer makes functions from text
  answers: {
    "/empty.html": (response) =>
      response
        .writeHead(200, { "content-type": "text/html", "content-security-policy": "script-src 'self' 'unsafe-eval'" })
        .end("<!doctype html><link rel=icon href=data:,>"),
  },
});
const browser = await launch();
const lines = [];
const table = {};
try {
  for (const count of COUNTS) for (const group of GROUPS) await measure(count, group);
} finally {
  await browser.close();
  await site.close();
}
console.table(table);
console.log(`${ROUNDS} rounds; load average ${loadavg()[0].toFixed(1)}; written to target/bench/gallery-browser.json`);
writeFileSync(join(FOLDER, "gallery-browser.json"), JSON.stringify(lines, null, 2));

/**
 * @param {number} count
 * @param {typeof GROUPS[number]} group
 */
async function measure(count, { metric, dtypes, peers }) {
  const others = [];
  for (const name of peers) others.push(await open(name, { count, metric, dtype: "f32" }));
  for (const dtype of dtypes) {
    const ours = await open("ours", { count, metric, dtype });
    const all = [ours, ...others];
    for (const queries of QUERIES) {
      const expected = await others.at(-1).find(Math.min(queries, 8));
      for (const contender of all) {
        const recall = recallOf(await contender.find(Math.min(queries, 8)), expected);
        if (recall < LEAST_RECALL)
          throw new Error(`${contender.name}, ${metric}, ${dtype}: ${recall} of the nearest are found`);
      }
      const times = all.map(() => []);
      for (let turn = 0; turn < ROUNDS; turn++)
        for (const [at, contender] of all.entries()) times[at].push(await contender.time(queries));
      const [mine, ...theirs] = times.map(median);
      const of = `${count} x ${DIMENSION}, ${queries} at once, ${metric}, ${dtype}, Chromium`;
      peers.forEach((name, at) =>
        lines.push(compare(of, "search (ms)", mine, `${name} ${versions[name] ?? ""}`.trim(), theirs[at])),
      );
      table[of] = {
        "ours (ms)": round(mine, 3),
        ...Object.fromEntries(
          peers.flatMap((name, at) => [
            [`${name} (ms)`, round(theirs[at], 3)],
            [`to ${name}`, round(mine / theirs[at], 2)],
          ]),
        ),
      };
      console.log(of, table[of]);
    }
    await ours.close();
  }
  for (const other of others) await other.close();
}

/**
 * A page with one contender.
 *
 * @param {string} name
 * @param {{ count: number, metric: string, dtype: string }} size
 */
async function open(name, size) {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(600_000);
  page.on("pageerror", (error) => console.error(`${name}: ${error}`));
  await page.goto(`${site.url}/empty.html`);
  await page.evaluate(
    async ({ name, size }) => {
      const { contenders, vectors } = await import("/bench/gallery.js");
      globalThis.search = await contenders[name](size);
      // their numbers follow those of the gallery's vectors
      globalThis.queries = (number) => vectors(size.count, number, size);
    },
    { name, size: { ...size, dimension: DIMENSION, k: K } },
  );
  return {
    name,
    /** @param {number} number @returns {Promise<number[][]>} */
    find: (number) => page.evaluate((number) => search(queries(number)), number),
    /** Milliseconds of one search, the median of a turn. @param {number} number */
    time: (number) =>
      page.evaluate(
        async ({ number, least }) => {
          const asked = queries(number);
          const times = [];
          for (const start = performance.now(); times.length < 3 || performance.now() - start < least; ) {
            const before = performance.now();
            await search(asked);
            times.push(performance.now() - before);
          }
          return times.sort((a, b) => a - b)[times.length >> 1];
        },
        { number, least: TURN_MS },
      ),
    close: () => page.context().close(),
  };
}

/** The share of the expected hits that was found. */
function recallOf(found, expected) {
  let hits = 0;
  expected.forEach((places, query) => (hits += places.filter((place) => found[query].includes(place)).length));
  return hits / expected.flat().length;
}
