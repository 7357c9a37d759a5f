/** The camera of `<image-search>`. */

/**
 * Asks for the camera, and shows it until a picture is taken or the dialog is closed.
 *
 * @param {HTMLDialogElement} dialog
 * @param {import("./element-texts.js").ImageSearchTexts} texts
 * @returns {Promise<Blob | undefined>} the picture
 */
export async function takePicture(dialog, texts) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: stream });
    const take = Object.assign(document.createElement("button"), { type: "button", textContent: texts.take });
    const cancel = Object.assign(document.createElement("button"), { type: "button", textContent: texts.cancel });
    dialog.replaceChildren(video, take, " ", cancel);
    dialog.returnValue = "";
    cancel.onclick = () => dialog.close("");
    take.onclick = () => dialog.close("take");
    dialog.showModal();
    await video.play();
    if (dialog.open) await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    return dialog.returnValue === "take" && video.videoWidth > 0 ? await frameOf(video) : undefined;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    if (dialog.open) dialog.close();
    dialog.replaceChildren();
  }
}

/** @param {HTMLVideoElement} video @returns {Promise<Blob>} */
function frameOf(video) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the camera gave no picture"))), "image/png"),
  );
}
