/** Images for a gallery: which files they are, what they are called, and small pictures of them that the gallery keeps. */

/** @typedef {import("./file-drop.js").PathAndFile} PathAndFile */

/**
 * An image that is to be in a gallery, or to be asked for.
 *
 * @typedef {{ id: string, label?: string, file: File }} Source
 *
 * What was dropped or picked: the images that a gallery is made of, and queries, where a `query.txt` names them.
 *
 * @typedef {{ images: Source[], queries: Source[], missing: number }} Sources
 */

/** The list of a data set to learn from. */
export const TRAINING_LIST = "train.txt";

const IMAGE = /\.(jpe?g|png|webp|gif|bmp|tiff?|p[bgpn]m|qoi|avif)$/i;
/** The longer side of a small picture. */
const SIDE = 96;

/** @param {File} file */
export function isImage({ type, name }) {
  return type.startsWith("image/") || IMAGE.test(name);
}

/**
 * The images among files, labelled by the folder that each lies in; where there is a `gallery.txt`, those it names with the labels it
 * gives.
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
 * The images to learn from, with labels: those of the list `train.txt` where there is one, else as `sourcesAmong`. `missing` is how many
 * of the list are not there.
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
 * The rows of a list, `PATH LABEL` each; `undefined` for one whose image is not there.
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

/**
 * A small picture as a data URI; nothing where the browser cannot decode the image.
 *
 * @param {File} file
 * @returns {Promise<string | undefined>}
 */
export async function smallPicture(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(
      Math.max(1, Math.round(bitmap.width * scale)),
      Math.max(1, Math.round(bitmap.height * scale)),
    );
    const context = canvas.getContext("2d");
    if (context) context.imageSmoothingQuality = "high";
    context?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await dataUri(await canvas.convertToBlob({ type: "image/webp", quality: 0.72 }));
  } catch {
    return undefined;
  }
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
function dataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
