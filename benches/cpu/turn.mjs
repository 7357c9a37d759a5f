/**
 * Turns: short periods in which one contender runs alone. If another program takes a core, the contender looks slower. The
 * system tells how long a process waited for a core: turns with much waiting are repeated, and counted if that does not
 * help.
 */

import { readFileSync, readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

import { median } from "./statistics.mjs";

/** Idle threads may spin for some time (those of OpenMP for 200 ms): the next turn begins after that. */
const SETTLE_MS = 250;
const ATTEMPTS = Number(process.env.ATTEMPTS ?? 4);
/** The largest share of an undisturbed turn that its processes waited for a core. */
const MOST_WAITING = 0.03;

/**
 * @typedef {object} Turn
 * @property {number[]} times milliseconds of each run
 * @property {number} waiting for a core, as a share of the turn
 */

/**
 * One turn of a contender, the least disturbed of some attempts.
 *
 * @param {number} root the contender's process; its children count too
 * @param {(count: number) => Promise<number[]>} run runs that often and gives the milliseconds of each
 * @param {number} count
 * @returns {Promise<Turn>}
 */
export async function takeTurn(root, run, count) {
  /** @type {Turn | undefined} */
  let best;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await setTimeout(SETTLE_MS);
    await run(2);
    const [before, start] = [waited(root), performance.now()];
    const times = await run(count);
    const waiting = (waited(root) - before) / (performance.now() - start);
    if (!best || waiting < best.waiting) best = { times, waiting };
    if (best.waiting <= MOST_WAITING) break;
  }
  return /** @type {Turn} */ (best);
}

/**
 * Lets contenders take turns of about `milliseconds`, round after round.
 *
 * @param {import("./contender.mjs").Contender[]} contenders
 * @param {{ rounds: number, milliseconds: number }} options
 * @returns {Promise<Turn[][]>} for each contender, its turns
 */
export async function takeTurns(contenders, { rounds, milliseconds }) {
  const turns = contenders.map(() => /** @type {Turn[]} */ ([]));
  const counts = [];
  for (const contender of contenders) {
    const time = Math.min(...(await contender.run(3)));
    counts.push(Math.max(2, Math.min(50, Math.round(milliseconds / time))));
  }
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      turns[index].push(await takeTurn(contender.pid, (count) => contender.run(count), counts[index]));
    }
  }
  return turns;
}

/** @param {Turn} turn */
const isDisturbed = (turn) => turn.waiting > MOST_WAITING;

/** The median of the medians of all undisturbed turns; if all were disturbed, the median of the least disturbed one. */
export function medianOf(/** @type {Turn[]} */ turns) {
  const calm = turns.filter((turn) => !isDisturbed(turn));
  const least = turns.toSorted((a, b) => a.waiting - b.waiting).slice(0, 1);
  return median((calm.length > 0 ? calm : least).map((turn) => median(turn.times)));
}

/** The note beside a time if all turns were disturbed. */
export const caveat = (/** @type {Turn[][]} */ ...contenders) =>
  contenders.some((turns) => turns.every(isDisturbed)) ? ", disturbed by other programs" : "";

/** A sentence about how many turns were disturbed. */
export function trust(/** @type {Turn[]} */ turns) {
  const disturbed = turns.filter(isDisturbed).length;
  if (disturbed === 0) return `none of the ${turns.length} turns was disturbed by other programs`;
  return `${disturbed} of ${turns.length} turns were disturbed by other programs, whose times are left out where there are others`;
}

/**
 * Milliseconds that the threads of a process and its children have waited for a core; 0 if the system does not tell.
 */
function waited(root) {
  let nanoseconds = 0;
  for (const process of family(root)) {
    for (const thread of list(`/proc/${process}/task`)) {
      nanoseconds += Number(read(`/proc/${process}/task/${thread}/schedstat`).split(" ")[1] ?? 0);
    }
  }
  return nanoseconds / 1e6;
}

/** A process and all its descendants. */
function family(root) {
  const children = new Map();
  for (const process of list("/proc").filter((name) => /^\d+$/.test(name))) {
    // the name, in brackets, may contain any character
    const parent = Number(read(`/proc/${process}/stat`).split(") ").at(-1)?.split(" ")[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(process)]);
  }
  const found = [root];
  for (const process of found) found.push(...(children.get(process) ?? []));
  return found;
}

// processes and threads come and go while they are counted
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
