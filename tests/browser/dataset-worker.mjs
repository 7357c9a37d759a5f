/**
 * A worker that gives hostile files to the WebAssembly itself, and reports the verdict and the memory that it took.
 *
 * In: `{ archive: address }` or `{ images: addresses }`. Out: a verdict, or one for each image; and the bytes of
 * memory.
 */

import init, { DatasetFiles } from "/image-feature/wasm/dataset/image_feature.js";

const started = fetch("/image-feature/wasm/dataset/image_feature_bg.wasm")
  .then((response) => response.arrayBuffer())
  .then(async (bytes) => init({ module_or_path: await WebAssembly.compile(bytes) }));

const fetched = async (address) => (await fetch(address)).blob();

/** As tests/archives/torture.rs has it. */
function verdictOf(blob) {
  let files;
  try {
    files = DatasetFiles.fromArchive("x", blob, undefined, []);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    return "refused";
  }
  let whole = true;
  try {
    files.beginZip();
    while (files.nextOfZip());
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    whole = false;
  }
  const { codes } = JSON.parse(files.report(1, 128));
  files.free();
  return whole && !codes.some(({ name }) => name === "archive-problem") ? "whole" : "part";
}

addEventListener("message", async ({ data: { id, archive, images } }) => {
  try {
    const { memory } = await started;
    let value;
    if (archive) {
      value = verdictOf(await fetched(archive));
    } else {
      const files = DatasetFiles.fromFolder(
        "x",
        images.map((_, index) => `${String(index).padStart(3, "0")}`),
        await Promise.all(images.map(fetched)),
        undefined,
        undefined,
        [],
      );
      value = images.map((_, index) => JSON.parse(files.look(index)));
      files.free();
    }
    postMessage({ id, value, memory: memory.buffer.byteLength });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
});
