/** The peers that come from npm. */

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Installs the packages of package-lock.json, once.
 *
 * @param {string} folder for what is made
 * @returns {string} the `node_modules`
 */
export function installNodePeers(folder) {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const target = join(folder, "npm");
  const installed = join(target, "node_modules");
  const stamp = join(installed, ".installed-lock");
  const lock = readFileSync(join(here, "package-lock.json"), "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return installed;
  mkdirSync(target, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(here, name), join(target, name));
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: target,
    stdio: "inherit",
  });
  writeFileSync(stamp, lock);
  return installed;
}
