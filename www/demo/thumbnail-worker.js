/** Makes small pictures of images, so that the page's own thread stays free. */

self.addEventListener("message", async ({ data: { id, file, side } }) => {
  self.postMessage({ id, picture: await smallPicture(file, side).catch(() => undefined) });
});

/**
 * @param {File} file
 * @param {number} side the longer side, in pixels
 * @returns {Promise<string>} a data URI
 */
async function smallPicture(file, side) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const canvas = new OffscreenCanvas(width, Math.max(1, Math.round(bitmap.height * scale)));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no memory for the picture");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.72 });
  return dataUri(blob);
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
