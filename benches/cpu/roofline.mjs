/** The share of the core's peak that each step of the plan reaches. */

import { execFileSync } from "node:child_process";

import { golden } from "../../tests/browser/harness.mjs";
import { compare, round } from "./statistics.mjs";

const ROUNDS = Number(process.env.ROOFLINE_ROUNDS ?? 40);

/**
 * @param {string} program of `buildOurs`
 * @param {string} inputs the file of preprocessed images
 * @returns {object[]} lines as `compare` makes them: rates, so here larger is better
 */
export function measureRoofline(program, inputs) {
  const said = execFileSync(program, ["roofline", golden("models/PP-ShiTuV2_rec_infer_pir"), inputs, `${ROUNDS}`], {
    encoding: "utf8",
  });
  const { instruction_set: set, peak_macs_per_second: peak, steps } = JSON.parse(said);
  const whole = {
    name: "all",
    macs: steps.reduce((sum, { macs }) => sum + macs, 0),
    ms: steps.reduce((sum, { ms }) => sum + ms, 0),
  };
  whole.macs_per_second = (whole.macs / whole.ms) * 1e3;
  const rows = [...steps, whole];
  console.table(
    rows.map(({ name, macs, ms, macs_per_second: rate }) => ({
      step: name,
      MMAC: round(macs / 1e6, 3),
      ms: round(ms, 3),
      "share of time": `${((100 * ms) / whole.ms).toFixed(1)} %`,
      "GMAC/s": round(rate / 1e9, 3),
      "of peak": macs === 0 ? "" : `${((100 * rate) / peak).toFixed(1)} %`,
    })),
  );
  console.log(
    `peak of ${set} on one core: ${(peak / 1e9).toFixed(1)} GMAC/s; best of ${ROUNDS} rounds, one thread, batch 1`,
  );
  return rows
    .filter(({ macs }) => macs > 0)
    .map(({ name, macs_per_second: rate }) =>
      compare(`roofline, ${set}, ${name}`, "speed (GMAC/s)", rate / 1e9, "peak of the core", peak / 1e9),
    );
}
