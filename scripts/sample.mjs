/**
 * Makes the page's sample gallery: `node scripts/sample.mjs FOLDER` writes www/demo/sample/.
 *
 * FOLDER holds photos of clothing-dataset (CC0), a folder for each class: `images/Hat/….webp`. The script takes the same
 * number of each class, in the order of their names, and plants three near duplicates, which the page's visitors find.
 * Chromium makes the small pictures, so nothing else needs to be installed.
 */

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const OUTPUT = "www/demo/sample";
const EACH = 7;
/** The longer side, in pixels. */
const SIDE = 200;
const QUALITY = 0.8;
/** What a near duplicate shows of which picture. The part is [left, top, width, height], each a share of 1. */
const PLANTED = [
  { file: "shoes-8.webp", of: "shoes-3.webp", mirrored: true },
  { file: "hat-8.webp", of: "hat-7.webp", part: [0.06, 0.05, 0.88, 0.9] },
  { file: "shirt-8.webp", of: "shirt-2.webp", side: 120, quality: 0.35 },
];
/** Names of classes that do not say what they show. */
const LABELS = { Body: "Baby bodysuit", Longsleeve: "Long sleeve", Outwear: "Jacket" };

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node scripts/sample.mjs FOLDER");
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const page = await browser.newPage();

/** A small picture of a photo, as WebP. */
async function small(path, { mirrored = false, part = [0, 0, 1, 1], side = SIDE, quality = QUALITY } = {}) {
  const data = readFileSync(path).toString("base64");
  const made = await page.evaluate(
    async ({ data, mirrored, part: [left, top, wide, high], side, quality }) => {
      const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
      const photo = await createImageBitmap(new Blob([bytes]));
      const [width, height] = [photo.width * wide, photo.height * high];
      const scale = side / Math.max(width, height);
      const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      if (mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
      context.drawImage(
        photo,
        photo.width * left,
        photo.height * top,
        width,
        height,
        0,
        0,
        canvas.width,
        canvas.height,
      );
      const blob = await canvas.convertToBlob({ type: "image/webp", quality });
      const address = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(blob);
      });
      return { base64: address.split(",")[1], width: canvas.width, height: canvas.height };
    },
    { data, mirrored, part, side, quality },
  );
  return { bytes: Buffer.from(made.base64, "base64"), size: [made.width, made.height] };
}

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
const pictures = [];
let total = 0;
for (const name of readdirSync(join(folder, "images")).sort()) {
  const photos = readdirSync(join(folder, "images", name))
    .sort()
    .slice(0, EACH);
  const label = LABELS[name] ?? name;
  for (const [at, photo] of photos.entries()) {
    const path = join(folder, "images", name, photo);
    const file = `${label.toLowerCase().replaceAll(" ", "-")}-${at + 1}.webp`;
    const copies = PLANTED.filter(({ of }) => of === file);
    for (const { file: called = file, ...how } of [{}, ...copies]) {
      const { bytes, size } = await small(path, how);
      writeFileSync(join(OUTPUT, called), bytes);
      total += bytes.length;
      pictures.push({ file: called, label, size });
    }
  }
}
await browser.close();

// mixed, so that the first screen shows every kind, and copies are not side by side: multiples of a number that has no
// factor in common with the count visit each place once
const mixed = pictures.map((_, at) => pictures[(at * 47) % pictures.length]);
if (new Set(mixed).size !== pictures.length) throw new Error("the count has a factor in common with the step");
writeFileSync(join(OUTPUT, "index.json"), `[\n${mixed.map((one) => `  ${JSON.stringify(one)}`).join(",\n")}\n]\n`);
writeFileSync(
  join(OUTPUT, "README.md"),
  `# The sample gallery

${pictures.length} photos of clothing, from [clothing-dataset](https://github.com/alexeygrigorev/clothing-dataset) by Alexey Grigorev and
contributors. Licence: [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/), public domain.

\`node scripts/sample.mjs FOLDER\` made them: scaled to ${SIDE} pixels, as WebP. Three are near duplicates, for visitors to find:

| picture | is |
|---|---|
${PLANTED.map(({ file, of, mirrored, part }) => `| ${file} | ${of}, ${mirrored ? "mirrored" : part ? "cut at its edges" : "smaller, and compressed again"} |`).join("\n")}
`,
);
console.error(`${pictures.length} pictures, ${(total / 1e3).toFixed(0)} kB in ${OUTPUT}`);
