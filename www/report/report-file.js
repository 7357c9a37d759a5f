/**
 * A report as one HTML file that needs nothing else: what `image-feature check --html` writes, of the same parts.
 *
 * Whatever names a data set has, they are never HTML there: the JSON has no `<`, the component makes text of it, and a
 * content security policy lets no other script run.
 */

/** @param {string} name */
async function part(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response.text();
}

/**
 * @param {import("../image-feature/index.js").DatasetReport} report
 * @returns {Promise<string>}
 */
export async function reportFile(report) {
  const [frame, style, ...modules] = await Promise.all(["report-file.html", "dataset-report.css", "component.js", "dataset-report.js"].map(part));
  const script = modules.map(withoutModules).join("");
  const nonce = crypto.randomUUID();
  const json = JSON.stringify(report).replaceAll("<", "\\u003c");
  // the JSON last: what looks like a part of the frame in it is a name
  return frame.replace("{{style}}", () => style).replace("{{script}}", () => script).replaceAll("{{nonce}}", nonce).replace("{{json}}", () => json);
}

/**
 * A module's text for a script that holds all of them.
 *
 * @param {string} module
 */
function withoutModules(module) {
  const lines = module.split("\n").filter((line) => !line.startsWith("import "));
  return lines.map((line) => `${line.replace(/^export /, "")}\n`).join("");
}
