/** Files that nobody means when they drop, pick or give a folder, by the rule of the library's `is_hidden`. */

const NAMES = new Set([
  "__macosx",
  "icon\r",
  "$recycle.bin",
  "recycler",
  "system volume information",
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
  "@eadir",
  "#recycle",
  "#snapshot",
  "@recycle",
  "@recently-snapshot",
  "lost+found",
]);

/**
 * Whether a part of the path begins with a dot, or is a file or folder of the system.
 *
 * @param {string} path
 */
export function isHidden(path) {
  return path
    .split(/[/\\]/)
    .some((part) => (part.startsWith(".") && part !== "." && part !== "..") || NAMES.has(part.toLowerCase()));
}
