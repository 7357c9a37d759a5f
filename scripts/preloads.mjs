/**
 * Lists in www/index.html the modules that the page needs at once: `node scripts/preloads.mjs`. The browser then fetches
 * them together, and not level by level as it finds the imports. A test tells if the list is old.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const PAGE = join(WWW, "index.html");
const PLACE = /( *)<!-- modules: scripts\/preloads.mjs writes them -->\n(?: *<link rel="modulepreload".*\n)*/;
const IMPORTS = /^(?:import|export)\b[^;]*?["'](\.{1,2}\/[^"']+)["'];/gm;

/** The page with the list as it should be. */
export function pageWithPreloads() {
  const found = new Set();
  const visit = (/** @type {string} */ file) => {
    if (found.has(file)) return;
    found.add(file);
    const text = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    for (const [, path] of text.matchAll(IMPORTS)) visit(join(dirname(file), path));
  };
  visit(join(WWW, "demo/main.js"));
  const links = [...found].slice(1).map((file) => relative(WWW, file));
  return readFileSync(PAGE, "utf8").replace(PLACE, (place, indent) =>
    [
      place.split("\n")[0],
      ...links.sort().map((path) => `${indent}<link rel="modulepreload" href="${path}">`),
      "",
    ].join("\n"),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) writeFileSync(PAGE, pageWithPreloads());
