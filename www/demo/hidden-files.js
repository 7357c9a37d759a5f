/** Files that nobody means when they drop or pick a folder. */

export { isHidden } from "../image-feature/hidden-files.js";
