/**
 * A report as one HTML file without other files. `image-feature check --html` makes the same file of the same parts.
 *
 * The names in a data set are never HTML there: the JSON has no `<`, the component shows text only, and a content
 * security policy allows no other script.
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
  const [frame, style, ...modules] = await Promise.all(
    ["report-file.html", "dataset-report.css", "component.js", "dataset-report.js"].map(part),
  );
  const script = modules.map(withoutModules).join("");
  const nonce = crypto.randomUUID();
  const json = JSON.stringify(report).replaceAll("<", "\\u003c");
  // the JSON is inserted last: names in it may look like a placeholder
  return frame
    .replace("{{style}}", () => style)
    .replace("{{script}}", () => script)
    .replaceAll("{{nonce}}", nonce)
    .replace("{{json}}", () => json);
}

/**
 * A module's text without `import` and `export`, for one script that holds all modules.
 *
 * @param {string} module
 */
function withoutModules(module) {
  const lines = module.split("\n").filter((line) => !line.startsWith("import "));
  return lines.map((line) => `${line.replace(/^export /, "")}\n`).join("");
}
