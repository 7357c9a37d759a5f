import { fill, h } from "../report/component.js";
import { t } from "./language.js";

/**
 * A button that takes a photo with the camera. Without a camera in this browser there is no button.
 *
 * @param {(photo: File) => void} on
 */
export function cameraButton(on) {
  if (!navigator.mediaDevices?.getUserMedia) return null;
  return h("button", { type: "button", className: "button", on: { click: () => open(on) } }, t("search.camera"));
}

/** @param {(photo: File) => void} on */
async function open(on) {
  const video = h("video", { autoplay: true, muted: true, playsInline: true, hidden: true });
  const said = h("p", { role: "status" }, t("camera.wait"));
  const take = h("button", { type: "button", className: "button primary", disabled: true }, t("camera.take"));
  const close = h("button", { type: "button", className: "button" }, t("action.cancel"));
  const dialog = h(
    "dialog",
    { className: "card camera", "aria-label": t("camera.title") },
    h("h2", {}, t("camera.title")),
    said,
    video,
    h("div", { className: "actions" }, take, close),
  );
  /** @type {MediaStream | undefined} */
  let stream;
  let closed = false;
  dialog.addEventListener("close", () => {
    closed = true;
    stop(stream);
    dialog.remove();
  });
  close.addEventListener("click", () => dialog.close());
  take.addEventListener("click", async () => {
    const photo = await frameOf(video);
    dialog.close();
    on(photo);
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    // it may come after the visitor has closed the dialog
    if (closed) return stop(stream);
    video.srcObject = stream;
    await video.play();
    video.hidden = false;
    take.disabled = false;
    fill(said);
    take.focus();
  } catch (error) {
    said.textContent = t("camera.none", { reason: error instanceof Error ? error.message : String(error) });
  }
}

/** @param {MediaStream | undefined} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** @param {HTMLVideoElement} video */
async function frameOf(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new File([await canvas.convertToBlob({ type: "image/png" })], `${t("search.photo")}.png`, {
    type: "image/png",
  });
}
