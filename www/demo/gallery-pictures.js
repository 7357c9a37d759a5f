/** Images for a gallery: finds them among files, with their labels, and makes small pictures of them. */

/** @typedef {import("./file-drop.js").PathAndFile} PathAndFile */

/**
 * An image for a gallery, or a query.
 *
 * @typedef {{ id: string, label?: string, file: File }} Source
 */

/**
 * The images for a gallery, and the queries that a `query.txt` names. `missing` is the number of listed images that are
 * not there.
 *
 * @typedef {{ images: Source[], queries: Source[], missing: number }} Sources
 */

/** The list of training images. */
export const TRAINING_LIST = "train.txt";

const IMAGE = /\.(jpe?g|png|webp|gif|bmp|tiff?|p[bgpn]m|qoi|avif)$/i;
/** The longer side of a small picture. */
const SIDE = 96;

/** @param {File} file */
export function isImage({ type, name }) {
  return type.startsWith("image/") || IMAGE.test(name);
}

/**
 * Finds the images among files. If there is a `gallery.txt`, it gives the images and labels; else these are all images,
 * each with its folder as its label.
 *
 * @param {PathAndFile[]} files
 * @returns {Promise<Sources>}
 */
export async function sourcesAmong(files) {
  const byPath = new Map(files.map(({ path, file }) => [path, file]));
  const list = byPath.get("gallery.txt");
  if (!list) {
    // browsers walk folders in any order
    const images = files.filter(({ file }) => isImage(file)).sort((a, b) => (a.path < b.path ? -1 : 1));
    return {
      images: images.map(({ path, file }) => ({ id: path, label: path.split("/").at(-2), file })),
      queries: [],
      missing: 0,
    };
  }
  const [images, queries] = await Promise.all(
    [list, byPath.get("query.txt")].map((list) => (list ? rowsOf(list, byPath) : [])),
  );
  const present = (/** @type {(Source | undefined)[]} */ rows) => rows.flatMap((row) => row ?? []);
  const missing = [...images, ...queries].filter((row) => !row).length;
  return { images: present(images), queries: present(queries), missing };
}

/**
 * Finds the images to learn from. If there is a `train.txt`, it gives the images and labels; else they are those of
 * `sourcesAmong`. `missing` is the number of listed images that are not there.
 *
 * @param {PathAndFile[]} files
 * @returns {Promise<{ images: Source[], missing: number }>}
 */
export async function learningImages(files) {
  const byPath = new Map(files.map(({ path, file }) => [path, file]));
  const list = byPath.get(TRAINING_LIST);
  if (!list) return sourcesAmong(files);
  const rows = await rowsOf(list, byPath);
  const images = rows.flatMap((row) => row ?? []);
  return { images, missing: rows.length - images.length };
}

/**
 * The rows of a list, each with `PATH LABEL`. A row whose image is not there is `undefined`.
 *
 * @param {File} list
 * @param {Map<string, File>} byPath
 */
async function rowsOf(list, byPath) {
  const lines = (await list.text()).replace(/^\ufeff/, "").split(/\r?\n/);
  return lines.flatMap((line) => {
    const [, path, label] = /^(.*\S)[ \t]+(\S+)\s*$/.exec(line) ?? [];
    if (line.trim() === "") return [];
    const file = byPath.get(path);
    return [file && { id: path, label, file }];
  });
}

/** @type {Worker | undefined} */
let worker;
let asked = 0;
/** @type {Map<number, (picture: string | undefined) => void>} */
const waiting = new Map();

/**
 * Makes a small picture as a data URI, in a worker; `undefined` if the browser cannot decode the image.
 *
 * @param {File} file
 * @returns {Promise<string | undefined>}
 */
export function smallPicture(file) {
  worker ??= openWorker();
  const id = asked++;
  worker.postMessage({ id, file, side: SIDE });
  return new Promise((resolve) => waiting.set(id, resolve));
}

function openWorker() {
  const opened = new Worker(new URL("./thumbnail-worker.js", import.meta.url), { type: "module" });
  opened.addEventListener("message", ({ data: { id, picture } }) => {
    waiting.get(id)?.(picture);
    waiting.delete(id);
  });
  // without its worker the collection has no small pictures
  opened.addEventListener("error", () => {
    for (const resolve of waiting.values()) resolve(undefined);
    waiting.clear();
    worker = undefined;
  });
  return opened;
}
