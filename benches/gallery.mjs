/**
 * Galleries beside FAISS's flat index, and beside the speed of the memory: 100 000 and a million vectors of 512 values,
 * one query and 64 at once. All contenders of a table take turns in one run, with as many threads as the machine has
 * cores. A ratio below 1 means that ours is faster; that to reading the same bytes is 1 where a search is as fast as
 * memory.
 *
 *     ./build.sh bench gallery [COUNT...]
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";

import { ROOT } from "../tests/browser/harness.mjs";
import { Contender } from "./cpu/contender.mjs";
import { buildOurs } from "./cpu/line-up.mjs";
import { compare, round } from "./cpu/statistics.mjs";
import { caveat, medianOf, takeTurns, trust } from "./cpu/turn.mjs";
import { makeVenv } from "./peers/venv.mjs";

const FOLDER = join(ROOT, "target/bench");
const DIMENSION = 512;
const K = 10;
const COUNTS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100_000, 1_000_000];
const QUERIES = [1, 64];
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const TURN_MS = 400;
/** Bytes of a value, by storage. */
const STORAGES = { f32: 4, f16: 2, i8: 1, bit: 1 / 8 };
/** Least share of FAISS's hits that must be ours, too. */
const LEAST_RECALL = 0.999;

mkdirSync(FOLDER, { recursive: true });
process.env.FEATURES ??= "gallery";
const program = buildOurs();
makeVenv(FOLDER, "faiss");
const threads = availableParallelism();
const environment = { RAYON_NUM_THREADS: `${threads}`, PYTHONPYCACHEPREFIX: join(FOLDER, "pycache") };

const start = (name, command, words) => Contender.start({ name, command, arguments: words.map(String), environment });
const lines = [];
const table = {};
const turnsOfAll = [];
for (const count of COUNTS) {
  for (const queries of QUERIES) {
    const vectors = join(FOLDER, `vectors-${count}-${queries}.bin`);
    execFileSync(program, ["vectors", vectors, DIMENSION, count, queries].map(String));
    const faiss = await start("faiss", join(FOLDER, "venv-faiss/bin/python"), [
      join(ROOT, "benches/peers/faiss_worker.py"),
      vectors,
      DIMENSION,
      count,
      queries,
      threads,
    ]);
    const expected = await faiss.features();
    for (const [storage, width] of Object.entries(STORAGES)) {
      const ours = await start("ours", program, ["gallery", vectors, DIMENSION, count, queries, storage]);
      const recall = recallOf(await ours.features(), expected);
      if (recall < LEAST_RECALL) throw new Error(`${storage}: recall@${K} against FAISS is ${recall}`);
      const read = await start("read", program, ["read", count * DIMENSION * width]);
      const contenders = [ours, faiss, read];
      const turns = await takeTurns(contenders, { rounds: ROUNDS, milliseconds: TURN_MS });
      turnsOfAll.push(...turns.flat());
      const [mine, theirs, memory] = turns.map(medianOf);
      await Promise.all([ours, read].map((contender) => contender.stop()));
      const of = `${count} x ${DIMENSION}, ${queries} at once, ${threads} threads, ${storage}`;
      lines.push(
        compare(of, `search (ms)${caveat(turns[0], turns[1])}`, mine, `faiss ${faiss.version} IndexFlatIP`, theirs),
      );
      if (queries === 1)
        lines.push(compare(of, `search (ms)${caveat(turns[0], turns[2])}`, mine, "reading the same bytes", memory));
      table[of] = {
        "ours (ms)": round(mine, 3),
        "faiss (ms)": round(theirs, 3),
        ratio: round(mine / theirs, 3),
        "of the memory's speed": queries === 1 ? round(memory / mine, 2) : undefined,
        "recall@10": recall,
      };
      console.log(of, table[of]);
    }
    await faiss.stop();
    rmSync(vectors);
  }
}
console.table(table);
console.log(
  `${ROUNDS} rounds; ${trust(turnsOfAll)}; load average ${loadavg()[0].toFixed(1)}; written to target/bench/gallery.json`,
);
writeFileSync(join(FOLDER, "gallery.json"), JSON.stringify(lines, null, 2));

/** How many of the expected ids were found, query by query, as a share. */
function recallOf(found, expected) {
  if (found.length !== expected.length) throw new Error(`${found.length} hits for ${expected.length}`);
  let hits = 0;
  for (let query = 0; query < found.length; query += K) {
    const ids = new Set(found.slice(query, query + K));
    hits += expected.slice(query, query + K).filter((id) => ids.has(id)).length;
  }
  return hits / expected.length;
}
