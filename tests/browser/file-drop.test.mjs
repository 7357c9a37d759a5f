/** Reading of dropped folders, on entries that are made up: no browser is needed. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { droppedPaths, unreadError } from "../../www/demo/file-drop.js";

const file = (name) => ({ isFile: true, name, file: (resolve) => resolve(new File(["x"], name)) });
const lostFile = (name) => ({ isFile: true, name, file: (_, reject) => reject(new Error("NotFoundError")) });

/** A folder that gives its entries one at a time, and fails after `readable` of them. */
function folder(name, entries, readable = Infinity) {
  const createReader = () => {
    let at = 0;
    return {
      readEntries: (resolve, reject) =>
        at >= readable ? reject(new Error("NotReadableError")) : resolve(entries.slice(at, ++at)),
    };
  };
  return { isFile: false, isDirectory: true, name, createReader };
}

const dropped = (...entries) => ({ items: entries.map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry })) });

test("what cannot be read in a dropped folder is told, and the rest is taken", async () => {
  const shop = folder("shop", [
    folder("tea", [file("1.jpg")]),
    folder("cup", [], 0),
    folder("pot", [file("2.jpg"), file("3.jpg")], 1),
    lostFile("4.jpg"),
    file("5.jpg"),
  ]);
  const unread = [];
  const files = await droppedPaths(dropped(shop), unread);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["tea/1.jpg", "pot/2.jpg", "5.jpg"],
  );
  assert.deepEqual(unread, ["cup", "pot", "4.jpg"]);
  assert.match(unreadError(unread).message, /could not read cup, pot, 4\.jpg; the others are taken/);
});

test("of several folders one may fail; where nothing is read, that is an error", async () => {
  const unread = [];
  const files = await droppedPaths(dropped(folder("tea", [file("1.jpg")]), folder("cup", [], 0)), unread);
  assert.deepEqual([files.map(({ path }) => path), unread], [["tea/1.jpg"], ["cup"]]);
  await assert.rejects(droppedPaths(dropped(folder("cup", [], 0)), []), { kind: "io", message: /could not read cup/ });
});
