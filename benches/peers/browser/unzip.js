/** A worker that unzips a file with one of two libraries, and reports the seconds. */

addEventListener("message", async ({ data: { who, file } }) => {
  try {
    const run = await { ours, fflate }[who](file);
    const start = performance.now();
    const bytes = await run();
    const seconds = (performance.now() - start) / 1e3;
    if (bytes < file.size / 2) throw new Error(`${bytes} bytes came out`);
    postMessage({ seconds });
  } catch (error) {
    postMessage({ error: String(error) });
  }
});

async function ours(file) {
  const { default: init, DatasetFiles } = await import("/image-feature/wasm/dataset/image_feature.js");
  const answer = await fetch("/image-feature/wasm/dataset/image_feature_bg.wasm");
  await init({ module_or_path: await WebAssembly.compile(await answer.arrayBuffer()) });
  return async () => {
    const files = DatasetFiles.fromArchive(file.name, file, undefined, []);
    return files.paths().reduce((sum, path) => sum + files.read(path).length, 0);
  };
}

async function fflate(file) {
  const { unzipSync } = await import("/fflate/browser.js");
  return async () =>
    Object.values(unzipSync(new Uint8Array(await file.arrayBuffer()))).reduce((sum, { length }) => sum + length, 0);
}
