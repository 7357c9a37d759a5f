/** Takes what a visitor drops, pastes or chooses, on any tab: a picture to search with, a collection, a model. */

import { ImageFeatureError } from "../image-feature/index.js";
import { droppedPaths, isModelFile, unreadError } from "./file-drop.js";
import { isImage, sourcesAmong } from "./gallery-pictures.js";
import { galleryState } from "./gallery-state.js";
import { t } from "./language.js";
import { searchState } from "./search-state.js";
import { workspace } from "./workspace.js";

/** @typedef {import("./file-drop.js").PathAndFile} PathAndFile */

/** The kinds of files that a file dialogue offers for pictures. */
export const IMAGE_FILES = "image/*,.qoi,.pnm,.ppm,.pgm,.pbm,.tif,.tiff";
/** The kinds of files that a gallery may have. */
export const GALLERY_FILES = ".safetensors,.jsonl,.npy,.txt,.index,.yaml,.yml";
const GALLERY_FILE = /\.(safetensors|jsonl|npy|index)$/i;

/**
 * Takes what was dropped or pasted. It must be called during the event.
 *
 * @param {DataTransfer} transfer
 */
export async function takeTransfer(transfer) {
  /** @type {string[]} */
  const unread = [];
  const address = transfer.getData("text/uri-list") || transfer.getData("text/plain");
  const files = await droppedPaths(transfer, unread);
  if (files.length > 0 || unread.length > 0) return takeFiles(files, unread);
  if (!/^data:image\//i.test(address)) throw new ImageFeatureError("usage", t("search.foreign", { address }));
  // the browser decodes it, without any request
  const blob = await (await fetch(address)).blob();
  return searchState.askFile(new File([blob], t("search.pasted"), { type: blob.type }));
}

/**
 * One picture is searched with. Several, or a folder, are a new collection, or are added to the one that is open.
 *
 * @param {PathAndFile[]} files
 * @param {readonly string[]} [unread] the paths of what could not be read
 */
export async function takeFiles(files, unread = []) {
  const images = files.filter(({ file }) => isImage(file));
  // of a model or gallery, all files are needed
  if (unread.length > 0 && images.length === 0) throw unreadError(unread, false);
  if (images.length === 0 && files.some(({ file }) => GALLERY_FILE.test(file.name)) && !files.some(isModel))
    return galleryState.openFiles(files.map(({ file }) => file));
  if (files.length > 0 && files.every(({ file }) => isModelFile(file)))
    return workspace.loadModel(files.map(({ file }) => file));
  if (files.length === 1 && images.length <= 1) return searchState.askFile(files[0].file);
  return addToCollection(files, unread);
}

/** A `.safetensors` file may be a gallery, too, and is taken for one. @param {PathAndFile} one */
function isModel({ file }) {
  return isModelFile(file) && !GALLERY_FILE.test(file.name);
}

/**
 * Adds pictures to the open collection, or makes one of them. Rejects where some are missing, too; the others are taken.
 *
 * @param {PathAndFile[]} files
 * @param {readonly string[]} [unread]
 */
export async function addToCollection(files, unread = []) {
  const { images, queries, missing } = await sourcesAmong(files);
  if (images.length === 0) throw new ImageFeatureError("usage", t("error.noImage"));
  const name = galleryState.state.what === "nothing" ? "gallery" : galleryState.state.name;
  const adding = galleryState.add(name, images, queries);
  if (unread.length > 0) throw unreadError(unread);
  if (missing > 0) throw new ImageFeatureError("usage", t("error.listed", { n: missing }));
  return adding;
}
