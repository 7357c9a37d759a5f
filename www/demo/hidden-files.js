/** Files that nobody means when they drop or pick a folder. The library's `is_hidden` has the same names. */

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
  return path.split("/").some((part) => part.startsWith(".") || NAMES.has(part.toLowerCase()));
}
