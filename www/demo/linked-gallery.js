/** A link with `?gallery=ADDRESS`: the collection of that address is opened, once the visitor agrees. */

import { ImageFeatureError } from "../image-feature/index.js";
import { asError } from "./as-error.js";
import { fill, h } from "../report/component.js";
import { problem } from "./gallery-problem.js";
import { galleryState } from "./gallery-state.js";
import { t } from "./language.js";

/** The address of the link, if it is one that can be fetched. */
function linkedAddress() {
  const asked = new URLSearchParams(location.search).get("gallery");
  if (!asked) return undefined;
  const address = URL.canParse(asked, location.href) ? new URL(asked, location.href) : undefined;
  return address && /^https?:$/.test(address.protocol) ? address : undefined;
}

/** A card that asks for the visitor's consent; nothing without such a link. */
export function linkedGallery() {
  const address = linkedAddress();
  if (!address) return undefined;
  const answer = h("div", {});
  const open = async () => {
    fill(answer);
    button.disabled = true;
    try {
      await galleryState.openFiles([await fetchFile(address)]);
      card.remove();
      // after a reload nobody is asked again
      history.replaceState(null, "", location.pathname + location.hash);
    } catch (error) {
      fill(answer, problem(t("collections.notMade"), asError(error)));
      button.disabled = false;
    }
  };
  const button = h(
    "button",
    { type: "button", className: "button primary", on: { click: open } },
    t("collections.linkOpen"),
  );
  const card = h(
    "section",
    { className: "card", "aria-label": t("collections.linkTitle") },
    h("h2", {}, t("collections.linkTitle")),
    h("p", { className: "file-name" }, address.href),
    h("p", {}, t("collections.linkHow", { host: address.host })),
    h("div", { className: "actions" }, button),
    answer,
  );
  return card;
}

/** @param {URL} address */
async function fetchFile(address) {
  const name = decodeURIComponent(address.pathname.split("/").at(-1) || "gallery.safetensors");
  try {
    const response = await fetch(address, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new File([await response.blob()], name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ImageFeatureError("io", t("collections.linkFailed", { address: address.href, why }), { cause: error });
  }
}
