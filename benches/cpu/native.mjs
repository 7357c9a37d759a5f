/** The engine and its peers natively: each a process of its own, taking turns in one run. */

import { MOST, check } from "./inputs.mjs";
import { compare, median, round } from "./statistics.mjs";
import { caveat, medianOf, takeTurns, trust } from "./turn.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const STARTS = 3;
const TURN_MS = 400;

/**
 * @param {import("./line-up.mjs").Competitor[]} competitors
 * @returns {Promise<object[]>} lines as `compare` makes them
 */
export async function measureNative(competitors) {
  /** @type {object[]} */
  const lines = [];
  /** @type {import("./turn.mjs").Turn[]} */
  const allTurns = [];
  const table = {};
  const note = (name, column, value) => ((table[name] ??= {})[column] = round(value, 3));

  for (const batch of [1, MOST]) {
    for (const threads of [1, 2]) {
      const column = `${threads} thread${threads > 1 ? "s" : ""}, batch ${batch}`;
      const contenders = [];
      for (const competitor of competitors) contenders.push(await enter(competitor, batch, threads));
      const turns = await takeTurns(contenders, { rounds: ROUNDS, milliseconds: TURN_MS });
      const speeds = turns.map(medianOf);
      const memory = await Promise.all(contenders.map((contender) => contender.peakMemory()));
      await Promise.all(contenders.map((contender) => contender.stop()));
      competitors.forEach(({ name }, index) => {
        note(name, `${column} (ms)`, speeds[index]);
        if (threads === 1) note(name, `batch ${batch}, peak (MB)`, memory[index] / 1e6);
      });
      lines.push(
        ...pair(competitors, contenders, `native, ${column}`, "median (ms)", speeds, (a, b) =>
          caveat(turns[a], turns[b]),
        ),
      );
      lines.push(
        ...pair(
          competitors,
          contenders,
          `native, ${column}`,
          "peak memory (MB)",
          memory.map((bytes) => bytes / 1e6),
        ),
      );
      allTurns.push(...turns.flat());
    }
  }

  const starts = competitors.map(() => /** @type {import("./contender.mjs").Contender[]} */ ([]));
  for (let start = 0; start < STARTS; start++) {
    for (const [index, competitor] of competitors.entries()) {
      const contender = await competitor.start(1, 1);
      await contender.stop();
      starts[index].push(contender);
    }
  }
  const firsts = starts.map((contenders) => median(contenders.map(({ first }) => first)));
  competitors.forEach(({ name }, index) => note(name, "from start to first (ms)", firsts[index]));
  lines.push(
    ...pair(
      competitors,
      starts.map(([contender]) => contender),
      "native, 1 thread, batch 1",
      "from start to first feature (ms)",
      firsts,
    ),
  );

  console.table(table);
  console.table(lines);
  console.log(`${ROUNDS} rounds; ${trust(allTurns)}`);
  return lines;
}

/** Starts a competitor and checks its features. */
async function enter(competitor, batch, threads) {
  const contender = await competitor.start(batch, threads);
  if (contender.threads !== threads) {
    throw new Error(`${competitor.name} runs on ${contender.threads} threads instead of ${threads}`);
  }
  check(`${competitor.name} (batch ${batch}, ${threads} threads)`, await contender.features(), batch, competitor.dtype);
  return contender;
}

/** Each of our contenders beside each peer. */
function pair(
  competitors,
  contenders,
  of,
  metric,
  values,
  remark = (/** @type {number} */ _mine, /** @type {number} */ _theirs) => "",
) {
  return competitors.flatMap((ours, mine) =>
    competitors.flatMap((peer, theirs) =>
      ours.ours && !peer.ours
        ? [
            compare(
              `${of}, ${ours.name}`,
              metric + remark(mine, theirs),
              values[mine],
              `${peer.name} ${contenders[theirs].version}`,
              values[theirs],
            ),
          ]
        : [],
    ),
  );
}
