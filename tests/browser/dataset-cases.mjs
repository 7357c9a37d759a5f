/** The goldens of PaddleX's check, and the data sets they were made from, rebuilt as tests/compat/cases.rs does it. */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";

import { golden } from "./harness.mjs";

/** @param {"v372" | "beta1"} release */
export function cases(release) {
  const folder = golden(`check_dataset/${release}`);
  const names = readdirSync(folder).filter((name) => name.endsWith(".json") && name !== "index.json");
  return names.map((name) => toCase(JSON.parse(readFileSync(join(folder, name), "utf8"))));
}

function toCase(all) {
  const overrides = Object.fromEntries(all.overrides.map((pair) => pair.replace(/^CheckDataset\./, "").split("=")));
  const percent = (list) =>
    `split.${list}_percent` in overrides ? Number(overrides[`split.${list}_percent`]) : undefined;
  const other = { ok_nested: "ok_nested2", split_70_20_10_second_run: "split_70_20_10" };
  return {
    case: all.case,
    folder: other[all.case] ?? all.case,
    files: filesOf(all),
    convert: "convert.enable" in overrides ? { from: overrides["convert.src_dataset_type"] } : undefined,
    split:
      "split.enable" in overrides
        ? {
            train: percent("train"),
            gallery: percent("gallery"),
            query: percent("query"),
            seed: all.python_random_seed_before_run ?? 0,
          }
        : undefined,
    result: all.result,
    lists: typeof all.txt_after === "object" && all.txt_after ? all.txt_after : all.txt_before,
    outFiles: all.out_files,
  };
}

/** Contents as base64, by path. */
function filesOf({ case: name, txt_before: lists, os_listdir_annotations: order = [], annotations }) {
  const files = {};
  if (name === "bad_dataset_dir_missing") return files;
  const base64 = (text) => Buffer.from(text).toString("base64");
  const below = name === "ok_nested" ? "sub/data/" : "";
  const folder = name === "bad_no_images_dir" ? "pics" : "images";
  const [classes, each] = name.startsWith("convert") ? [3, 4] : [4, 6];
  const all = Array.from({ length: classes * each }, (_, at) => [Math.floor(at / each), at % each]);
  for (const [label, k] of all) files[`${below}${folder}/c${label}_${k}.png`] = image(label, k);
  for (const [list, text] of Object.entries(lists ?? {})) files[list] = base64(text);
  if (name === "ok_nested") {
    for (const [list, parts] of [
      ["train", [0, 1]],
      ["gallery", [0]],
      ["query", [1]],
    ]) {
      const rows = all
        .filter(([, k]) => parts.includes(k % 2))
        .map(([label, k]) => `images/c${label}_${k}.png ${label}\n`);
      files[`sub/data/${list}.txt`] = base64(rows.join(""));
    }
  }
  if (name === "ok_image_outside_images") for (const label of [0, 1]) files[`other/c${label}_0.png`] = image(label, 0);
  if (name === "bad_corrupt_image_in_first10") files["images/c2_4.png"] = base64("notanimage");
  if (name === "ok_corrupt_image_after_first10") files["images/c1_4.png"] = base64("notanimage");
  if (name === "bad_two_images_dirs") files["x/images/file"] = "";
  if (name === "bad_space_in_path") files["images/a b.png"] = image(0, 0);
  (order ?? []).forEach(
    (file, index) =>
      (files[`annotations/${String(index).padStart(3, "0")}_${file}`] = base64(JSON.stringify(annotations[file]))),
  );
  return files;
}

/** The 64 x 48 pixels that the goldens' images have. */
function image(label, k) {
  return png(64, 48, (x, y) => [label * 60, k * 40, x >= 10 && x < 20 && y >= 10 && y < 20 ? 255 : 0]).toString(
    "base64",
  );
}

/**
 * @param {number} width
 * @param {number} height
 * @param {(x: number, y: number) => number[]} pixel
 */
export function png(width, height, pixel) {
  const rows = Array.from({ length: height }, (_, y) => [
    0,
    ...Array.from({ length: width }, (_, x) => pixel(x, y)).flat(),
  ]);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type, content) => {
    const body = Buffer.concat([Buffer.from(type), content]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.from(rows.flat()))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/**
 * The files of a stored zip, by name.
 *
 * @param {Buffer} zip
 */
export function unzipStored(zip) {
  const files = new Map();
  for (let at = 0; zip.readUInt32LE(at) === 0x04034b50; ) {
    const [size, name, extra] = [zip.readUInt32LE(at + 18), zip.readUInt16LE(at + 26), zip.readUInt16LE(at + 28)];
    const start = at + 30 + name + extra;
    files.set(zip.toString("utf8", at + 30, at + 30 + name), zip.subarray(start, start + size));
    at = start + size;
  }
  return files;
}

/**
 * A stored zip of some files, written piece by piece.
 *
 * @param {Iterable<[name: string, bytes: Buffer]>} files
 */
export function* zipStored(files) {
  const stored = function* () {
    for (const [name, packed] of files) yield { name, packed, crc: crc32(packed), size: packed.length, method: 0 };
  };
  yield* zipOf(stored());
}

/**
 * A zip of files that are packed already, written piece by piece.
 *
 * @param {Iterable<{ name: string, packed: Buffer, crc: number, size: number, method: number }>} files
 */
export function* zipOf(files) {
  const directory = [];
  let offset = 0;
  for (const { name, packed, crc, size, method } of files) {
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(1 << 11, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(path.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), common, place, path);
    yield Buffer.concat([Buffer.from("PK\x03\x04"), common, path, packed]);
    offset += 30 + path.length + packed.length;
  }
  const all = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(directory.length / 4, 8);
  end.writeUInt16LE(directory.length / 4, 10);
  end.writeUInt32LE(all.length, 12);
  end.writeUInt32LE(offset, 16);
  yield Buffer.concat([all, end]);
}
