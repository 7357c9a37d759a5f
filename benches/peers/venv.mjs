/** The peers that come from PyPI. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * An environment with the packages of `requirements-NAME.txt`. It is made again if that file has changed.
 *
 * @param {string} folder for what is made
 * @param {string} name
 * @returns {string} its Python
 */
export function makeVenv(folder, name) {
  const requirements = fileURLToPath(new URL(`requirements-${name}.txt`, import.meta.url));
  const venv = join(folder, `venv-${name}`);
  const python = join(venv, "bin/python");
  const stamp = join(venv, "installed.txt");
  const wanted = readFileSync(requirements, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return python;
  console.log(`installing ${wanted.trim().split("\n").join(", ")} (pip)`);
  mkdirSync(folder, { recursive: true });
  execFileSync("python3", ["-m", "venv", "--clear", venv], { stdio: "inherit" });
  execFileSync(
    join(venv, "bin/pip"),
    ["install", "--quiet", "--disable-pip-version-check", "--requirement", requirements],
    { stdio: "inherit" },
  );
  writeFileSync(stamp, wanted);
  return python;
}
