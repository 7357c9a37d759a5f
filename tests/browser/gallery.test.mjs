/** Galleries in the browser: through the package, with its WebAssembly, and in the page. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
  HANG_MS,
  ROOT,
  SHARED,
  TRAP_WASM,
  WWW,
  eventually,
  golden,
  goldenFeature,
  launch,
  openPage,
  requireWasm,
  serveDouble,
  withoutGolden,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

const FILES = join(ROOT, "tests/gallery/files");
const SCREENSHOTS = join(ROOT, "target/screenshots");

let browser;
let site;

before(async () => {
  requireWasm(["gallery"]);
  mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/files/", FILES],
      ["/golden/", join(SHARED, "golden")],
    ],
    answers: {
      "/empty.html": (response) =>
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
    },
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** In the browser: the package, and helpers. */
async function setUp() {
  const api = await import("/image-feature/index.js");
  const { Gallery } = api;
  const bytesOf = async (blob) =>
    Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte)).join("");
  globalThis.kit = {
    ...api,
    bytesOf,
    fetched: async (path) => new File([await (await fetch(path)).blob()], path.split("/").pop()),
    /** The result of a promise: its value, or its error as plain fields. */
    outcome: (promise) =>
      promise.then(
        (value) => ({ value }),
        (error) => ({ kind: error.kind, message: error.message, ours: error instanceof api.ImageFeatureError }),
      ),
    /** Cups and teas in three dimensions. */
    async shop(options) {
      const gallery = new Gallery({ dimension: 3, ...options });
      await gallery.add({ id: "tea-1", label: "tea", feature: [1, 0.1, 0], meta: { price: 2, shop: "north" } });
      await gallery.add({
        id: "tea-2",
        label: "tea",
        feature: Float32Array.of(0.9, 0, 0.1),
        meta: { price: 3, shop: "south" },
      });
      await gallery.addMany([{ id: "cup-1", label: "cup" }, { id: "nameless" }], Float32Array.of(0, 0.2, 1, 0, 1, 0.2));
      return gallery;
    },
    /** Numbers that are the same in each run. */
    random(count, seed = 1) {
      let state = seed;
      return Float32Array.from(
        { length: count },
        () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) / 2 ** 24 - 0.5,
      );
    },
  };
}

/**
 * @param {string} name
 * @param {{ skip?: string | false }} settings
 * @param {(page: import("playwright-core").Page) => Promise<void>} body
 */
function inBrowser(name, { skip = false }, body) {
  test(name, { timeout: HANG_MS, skip }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    page.setDefaultTimeout(120_000);
    await page.evaluate(setUp);
    await body(page);
    assert.deepEqual(await close(), []);
  });
}

const inShop = (page, body, argument) =>
  page.evaluate(
    `(async (argument) => { const gallery = await kit.shop(); const answer = await (${body})(gallery, argument); gallery.dispose(); return answer; })(${JSON.stringify(argument ?? null)})`,
  );

inBrowser("vectors are added, found, changed and taken out", {}, async (page) => {
  const answer = await inShop(page, async (gallery) => {
    const first = await gallery.search([1, 0, 0], { k: 2 });
    const facts = { size: gallery.size, dimension: gallery.dimension, metric: gallery.metric, dtype: gallery.dtype };
    const many = await gallery.searchMany(
      [
        [1, 0, 0],
        [0, 0, 1],
      ],
      { k: 1 },
    );
    const joined = await gallery.searchMany(Float32Array.of(1, 0, 0, 0, 0, 1), { k: 1 });
    const filtered = {
      label: (await gallery.search([1, 0, 0], { filter: { label: "cup" } })).map(({ id }) => id),
      labels: (await gallery.search([1, 0, 0], { filter: { label: ["cup", "tea"] } })).map(({ id }) => id),
      meta: (await gallery.search([1, 0, 0], { filter: { meta: { shop: "south" } } })).map(({ id }) => id),
      range: (await gallery.search([1, 0, 0], { filter: { meta: { price: { max: 2.5 } } } })).map(({ id }) => id),
    };
    const near = (await gallery.search([1, 0, 0], { threshold: 0.9 })).map(({ id }) => id);
    const recognized = [
      await gallery.recognize([1, 0, 0], { k: 3, threshold: 0.9 }),
      await gallery.recognize([-1, 0, 0], { k: 3, threshold: 0.9 }),
    ].map((hits) => hits.length);
    const votes = await gallery.classify([1, 0, 0], { k: 3 });
    const pairs = (await gallery.duplicates({ threshold: 0.9 })).map(({ first, second, score }) => [
      first.id,
      second.id,
      score > 0.9,
    ]);
    await gallery.update({ id: "tea-1", label: "coffee" });
    await gallery.update({ id: "tea-2", label: null, meta: { price: 9 }, feature: [0, 0, 1] });
    const changed = [await gallery.get("tea-1"), await gallery.get("tea-2"), await gallery.get("gone")];
    const labels = await gallery.labels();
    await gallery.remove("tea-1");
    const left = (await gallery.entries()).map(({ id }) => id);
    const page = (await gallery.entries({ first: 1, count: 1 })).map(({ id }) => id);
    const vector = [...(await gallery.vector("tea-2"))];
    return {
      first,
      facts,
      many,
      joined,
      filtered,
      near,
      recognized,
      votes,
      pairs,
      changed,
      labels,
      left,
      page,
      vector,
      size: gallery.size,
    };
  });
  const {
    first,
    facts,
    many,
    joined,
    filtered,
    near,
    recognized,
    votes,
    pairs,
    changed,
    labels,
    left,
    page: some,
    vector,
    size,
  } = answer;
  assert.deepEqual(
    first.map(({ id }) => id),
    ["tea-1", "tea-2"],
  );
  assert.deepEqual(
    { ...first[0], score: 0 },
    { id: "tea-1", label: "tea", meta: { price: 2, shop: "north" }, score: 0 },
  );
  assert.ok(Math.abs(first[0].score - 1 / Math.hypot(1, 0.1)) < 1e-6, `${first[0].score}`);
  assert.deepEqual(facts, { size: 4, dimension: 3, metric: "cosine", dtype: "f32" });
  assert.deepEqual(
    many.map(([{ id }]) => id),
    ["tea-1", "cup-1"],
  );
  assert.deepEqual(joined, many);
  assert.deepEqual(filtered, {
    label: ["cup-1"],
    labels: ["tea-1", "tea-2", "cup-1"],
    meta: ["tea-2"],
    range: ["tea-1"],
  });
  assert.deepEqual(near, ["tea-1", "tea-2"]);
  assert.deepEqual(recognized, [3, 0]);
  assert.deepEqual(
    votes.map(({ label, count }) => [label, count]),
    [
      ["tea", 2],
      ["cup", 1],
    ],
  );
  assert.deepEqual(pairs, [["tea-1", "tea-2", true]]);
  assert.deepEqual(changed, [
    { id: "tea-1", label: "coffee", meta: { price: 2, shop: "north" } },
    { id: "tea-2", meta: { price: 9 } },
    undefined,
  ]);
  assert.deepEqual(labels, [
    { label: null, count: 2 },
    { label: "coffee", count: 1 },
    { label: "cup", count: 1 },
  ]);
  assert.deepEqual([left, some, vector, size], [["tea-2", "cup-1", "nameless"], ["cup-1"], [0, 0, 1], 3]);
});

inBrowser("what is wrong is said, and nothing is changed by it", {}, async (page) => {
  const answer = await inShop(page, async (gallery) => {
    const tell = async (promise) => {
      const { kind, message, ours } = await kit.outcome(promise);
      return `${ours ? kind : "foreign"}: ${message}`;
    };
    const wrong = {
      dimension: await tell(gallery.add({ id: "x", feature: [1, 2] })),
      among: await tell(
        gallery.addMany([
          { id: "x", feature: [1, 2, 3] },
          { id: "y", feature: [1, 2] },
        ]),
      ),
      values: await tell(gallery.addMany([{ id: "x" }, { id: "y" }], new Float32Array(5))),
      nan: await tell(gallery.add({ id: "x", feature: [1, NaN, 2] })),
      infinity: await tell(gallery.search([1, Infinity, 2])),
      zeros: await tell(gallery.add({ id: "x", feature: [0, 0, 0] })),
      twice: await tell(
        gallery.addMany([
          { id: "x", feature: [1, 2, 3] },
          { id: "x", feature: [1, 2, 3] },
        ]),
      ),
      there: await tell(gallery.add({ id: "tea-1", feature: [1, 2, 3] })),
      id: await tell(gallery.add({ id: 7, feature: [1, 2, 3] })),
      label: await tell(gallery.add({ id: "x", label: 7, feature: [1, 2, 3] })),
      feature: await tell(gallery.add({ id: "x" })),
      meta: await tell(gallery.add({ id: "x", meta: { big: 1n }, feature: [1, 2, 3] })),
      "meta of another kind": await tell(gallery.add({ id: "x", meta: [1], feature: [1, 2, 3] })),
      "half a character": await tell(gallery.add({ id: "\ud800", feature: [1, 2, 3] })),
      gone: await tell(gallery.remove(["tea-1", "gone"])),
      update: await tell(gallery.update({ id: "gone", label: "x" })),
      query: await tell(
        gallery.searchMany([
          [1, 2, 3],
          [1, 2],
        ]),
      ),
      k: await tell(gallery.search([1, 2, 3], { k: -1 })),
      threshold: await tell(gallery.search([1, 2, 3], { threshold: NaN })),
      filter: await tell(gallery.search([1, 2, 3], { filter: { colour: "red" } })),
      duplicates: await tell(gallery.duplicates({})),
      format: await tell(gallery.toFile({ format: "csv" })),
      hamming: await tell(new kit.Gallery({ dimension: 3, metric: "hamming" }).search([1, 2, 3])),
    };
    const made = (options) => {
      try {
        new kit.Gallery(options);
      } catch ({ kind, message }) {
        return `${kind}: ${message}`;
      }
    };
    Object.assign(wrong, {
      zero: made({ dimension: 0 }),
      metric: made({ dimension: 3, metric: "l1" }),
      dtype: made({ dimension: 3, dtype: "f64" }),
    });
    return { wrong, size: gallery.size, ids: (await gallery.entries()).map(({ id }) => id) };
  });
  const patterns = {
    dimension: /`x`: a vector of 2 values; the gallery's have 3/,
    among: /`y`: a vector of 2 values/,
    values: /5 values/,
    nan: /`x`: value 1 .* NaN/,
    infinity: /vector 0: value 1 .* inf/,
    zeros: /zeros/,
    twice: /`x`.*already/,
    there: /`tea-1`.*already/,
    id: /an id must be a text, got 7/,
    label: /`x`: the label/,
    feature: /`x`: a feature is/,
    meta: /JSON/,
    "meta of another kind": /not a list of entries/,
    "half a character": /not a list of entries/,
    gone: /no id `gone`/,
    update: /no id `gone`/,
    query: /feature 1: a vector of 2/,
    k: /k must be a whole number/,
    threshold: /threshold must be a number/,
    filter: /no `colour`/,
    duplicates: /threshold/,
    format: /unknown format "csv"/,
    hamming: /needs storage bit/,
    zero: /dimension/,
    metric: /unknown metric "l1"/,
    dtype: /unknown dtype "f64"/,
  };
  for (const [name, pattern] of Object.entries(patterns)) {
    assert.match(answer.wrong[name] ?? "nothing", /^usage: /, name);
    assert.match(answer.wrong[name], pattern, name);
  }
  assert.deepEqual([answer.size, answer.ids], [4, ["tea-1", "tea-2", "cup-1", "nameless"]]);
});

inBrowser(
  "files made natively give the same hits with the same scores, and are written again byte by byte",
  {},
  async (page) => {
    const { queries, k, ...cases } = JSON.parse(readFileSync(join(FILES, "hits.json"), "utf8"));
    assert.deepEqual(Object.keys(cases).sort(), ["cosine-f32", "hamming-bit", "ip-f16", "l2-i8"]);
    for (const [name, expected] of Object.entries(cases)) {
      const found = await page.evaluate(
        async ({ name, queries, k }) => {
          const gallery = await kit.Gallery.fromFile(await kit.fetched(`/files/${name}.safetensors`));
          const many = await gallery.searchMany(Float32Array.from(queries), { k });
          const each = [];
          for (let at = 0; at < queries.length; at += gallery.dimension)
            each.push(await gallery.search(queries.slice(at, at + gallery.dimension), { k }));
          const file = await gallery.toFile({ name });
          gallery.dispose();
          const brief = (all) => all.map((hits) => hits.map(({ id, score }) => [id, score]));
          return {
            many: brief(many),
            each: brief(each),
            bytes: await kit.bytesOf(file),
            called: file.name,
            facts: `${gallery.metric}-${gallery.dtype} ${gallery.size}`,
          };
        },
        { name, queries, k },
      );
      const exact = expected.map((hits) => hits.map(([id, score]) => [id, Math.fround(score)]));
      assert.deepEqual(found.many, exact, name);
      assert.deepEqual(found.each, exact, name);
      assert.equal(found.facts, `${name} 60`);
      assert.equal(found.called, `${name}.safetensors`);
      assert.ok(
        Buffer.from(found.bytes, "latin1").equals(readFileSync(join(FILES, `${name}.safetensors`))),
        `${name}: written again`,
      );
    }
  },
);

inBrowser("damaged files are refused, whichever byte is wrong", {}, async (page) => {
  const failures = await page.evaluate(async () => {
    const whole = new Uint8Array(await (await kit.fetched("/files/cosine-f32.safetensors")).arrayBuffer());
    const failures = [];
    const refuse = async (what, bytes) => {
      const { value, kind, ours, message } = await kit.outcome(
        kit.Gallery.fromFile(new File([bytes], "shop.safetensors")),
      );
      value?.dispose();
      if (!ours || !["gallery", "unsupported"].includes(kind) || !message.startsWith("shop.safetensors: "))
        failures.push(`${what}: ${kind} ${message}`);
    };
    for (const length of [0, 1, 8, 20, 600, whole.length - 1]) await refuse(`${length} bytes`, whole.slice(0, length));
    await refuse("a byte more", new Uint8Array([...whole, 0]));
    await refuse("text", new TextEncoder().encode("hello, this is no gallery at all"));
    await refuse("a header without end", Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 127, 123]));
    for (let at = 3; at < whole.length; at += 397) {
      const damaged = whole.slice();
      damaged[at] ^= 0x55;
      await refuse(`byte ${at}`, damaged);
    }
    return failures;
  });
  assert.deepEqual(failures, []);
});

inBrowser(
  "PaddleX's index folders give the hits of the goldens, and are written as PaddleX does",
  { skip: withoutGolden },
  async (page) => {
    const index = JSON.parse(readFileSync(golden("index/index.json"), "utf8"));
    for (const name of ["IP_Flat", "IP_HNSW32", "L2_Flat"]) {
      const cases = index[name]["search_thr0.5_top3"];
      const own = cases.slice(0, 7).map(({ query }) => query);
      const features = cases.map(({ query }) =>
        own.includes(query) ? null : query === "rgba_300x200.png" ? undefined : [...goldenFeature(query)],
      );
      for (const dtype of ["f32", "f16", "i8"]) {
        const { found, metric, size, files } = await page.evaluate(
          async ({ name, dtype, features }) => {
            const folder = ["vector.index", "id_map.yaml"].map((file) => `/golden/index/${name}/${file}`);
            const gallery = await kit.Gallery.fromFile(await Promise.all(folder.map(kit.fetched)), { dtype });
            const vectors = await Promise.all((await gallery.entries()).map(({ id }) => gallery.vector(id)));
            const found = [];
            for (const [at, feature] of features.entries())
              found.push(feature === undefined ? undefined : await gallery.search(feature ?? vectors[at], { k: 3 }));
            const files = await gallery.toFile({ format: "paddlex" });
            gallery.dispose();
            return {
              found,
              metric: gallery.metric,
              size: gallery.size,
              files: await Promise.all(files.map(async (file) => [file.name, await kit.bytesOf(file)])),
            };
          },
          { name, dtype, features },
        );
        assert.deepEqual([metric, size], [name.startsWith("L2") ? "l2" : "ip", 7]);
        let compared = 0;
        cases.forEach(({ query, label, score }, at) => {
          if (!found[at]) return;
          compared++;
          // PaddleX refuses a best score below the threshold, for L2 too
          if (label === null) return assert.ok(found[at][0].score < 0.5, `${name}, ${query}`);
          assert.deepEqual(
            found[at].map((hit) => hit.label),
            label,
            `${name} ${dtype}, ${query}`,
          );
          found[at].forEach((hit, rank) =>
            assert.ok(
              Math.abs(hit.score - score[rank]) < 1e-6,
              `${name} ${dtype}, ${query}: ${hit.score} for ${score[rank]}`,
            ),
          );
        });
        assert.ok(compared >= 7, `${compared} queries`);
        if (name === "IP_HNSW32") continue;
        for (const [file, bytes] of files)
          assert.ok(
            Buffer.from(bytes, "latin1").equals(readFileSync(golden(`index/${name}/${file}`))),
            `${name}/${file}`,
          );
      }
    }
    const told = await page.evaluate(async () => {
      const [vectors, labels] = await Promise.all(
        ["vector.index", "id_map.yaml"].map((file) => kit.fetched(`/golden/index/IP_IVF/${file}`)),
      );
      return [
        await kit.outcome(kit.Gallery.fromFile([vectors, labels])),
        await kit.outcome(kit.Gallery.fromFile(labels)),
        await kit.outcome(kit.Gallery.fromFile([labels, labels])),
      ].map(({ kind, message }) => `${kind}: ${message}`);
    });
    assert.match(told[0], /^gallery: .*7 ids for 0 vectors/);
    assert.match(told[1], /^usage: .*vector\.index/);
    assert.match(told[2], /^usage: .*not 2 files/);
  },
);

inBrowser("JSON lines and .npy come back as they went", {}, async (page) => {
  const answer = await inShop(page, async (gallery) => {
    const brief = async (gallery) => {
      const entries = await gallery.entries();
      const vectors = await Promise.all(entries.map(async ({ id }) => [...(await gallery.vector(id))]));
      gallery.dispose();
      return { entries, vectors };
    };
    const lines = await gallery.toFile({ format: "jsonl", name: "shop" });
    const npy = await gallery.toFile({ format: "npy", name: "shop" });
    const [matrix] = npy;
    const text = new File(["tea\ntea\ncup\n\n"], "shop.txt");
    const predicted = new File(
      ['{"input_path": "a.png", "feature": [1, 2]}\n\n{"input_path": "b.png", "error": "x"}\n'],
      "predicted.jsonl",
    );
    const other = new File(["tea\ntea\ncup\nspoon\n"], "labels.txt");
    const list = new File(['row,input_path\n0,a\n1,"b, c"\n2,d\n3,e\n'], "shop.csv");
    const many = new File(
      ['\ufeff{"id": 7, "embedding": [[1, 2]], "price": 3}\n{"res": {"input_path": "b", "rec_feature": [2, 1]}}\n'],
      "many.jsonl",
    );
    const results = {
      other: await brief(await kit.Gallery.fromFile([other, matrix])),
      list: await brief(await kit.Gallery.fromFile([list, matrix])),
      many: await brief(await kit.Gallery.fromFile(many, { metric: "ip" })),
      lines: await brief(await kit.Gallery.fromFile(lines)),
      npy: await brief(await kit.Gallery.fromFile(npy)),
      labelled: await brief(await kit.Gallery.fromFile(matrix, { labels: ["a", "b", "c", "d"] })),
      text: await brief(await kit.Gallery.fromFile([matrix, text], { dtype: "i8", metric: "l2" })),
      bare: await brief(await kit.Gallery.fromFile(matrix)),
      predicted: await brief(await kit.Gallery.fromFile(predicted, { metric: "ip" })),
    };
    const told = [
      await kit.outcome(kit.Gallery.fromFile(matrix, { labels: ["a"] })),
      await kit.outcome(
        kit.Gallery.fromFile(new File(['{"id": "a", "feature": [1, 2]}\n{"id": "b", "feature": [1]}'], "x.jsonl")),
      ),
      await kit.outcome(kit.Gallery.fromFile(new File(['{"id": "a"}'], "x.jsonl"))),
      await kit.outcome(kit.Gallery.fromFile([matrix, new File(["{"], "shop.jsonl")])),
      await kit.outcome(kit.Gallery.fromFile(new File([await matrix.slice(0, 100).arrayBuffer()], "shop.npy"))),
      await kit.outcome(kit.Gallery.fromFile(7)),
      await kit.outcome(
        kit.Gallery.fromFile(new File(['{"id": "a", "feature": [1]}\n{"id": "b", "embeding": [1]}'], "x.jsonl")),
      ),
      await kit.outcome(kit.Gallery.fromFile([matrix, text], { labels: ["a", "b", "c", "d"] })),
      await kit.outcome(kit.Gallery.fromFile([matrix, text, new File(["{}"], "shop.jsonl")])),
      await kit.outcome(kit.Gallery.fromFile([matrix, new File([matrix], "b.npy"), text])),
      await kit.outcome(kit.Gallery.fromFile([lines, new File([lines], "more.jsonl")])),
      await kit.outcome(kit.Gallery.fromFile(lines, { labels: ["a", "b", "c", "d"] })),
      await kit.outcome(kit.Gallery.fromFile(new File([Uint8Array.of(0x1f, 0x8b, 8, 0)], "index.tar.gz"))),
    ].map(({ kind, message }) => `${kind}: ${message}`);
    return { own: await brief(gallery), results, told, names: [lines.name, ...npy.map(({ name }) => name)] };
  });
  const { own, results, told, names } = answer;
  assert.deepEqual(names, ["shop.jsonl", "shop.npy", "shop.jsonl"]);
  assert.deepEqual(results.lines, own);
  assert.deepEqual(results.npy, own);
  assert.deepEqual(results.labelled, {
    entries: ["a", "b", "c", "d"].map((label, at) => ({ id: `${at}`, label })),
    vectors: own.vectors,
  });
  assert.deepEqual(
    results.text.entries.map(({ label }) => label),
    ["tea", "tea", "cup", ""],
  );
  assert.deepEqual(
    results.bare.entries,
    [0, 1, 2, 3].map((at) => ({ id: `${at}` })),
  );
  assert.deepEqual(results.predicted, { entries: [{ id: "a.png" }], vectors: [[1, 2]] });
  assert.deepEqual(
    results.other.entries.map(({ label }) => label),
    ["tea", "tea", "cup", "spoon"],
  );
  assert.deepEqual(
    results.list.entries.map(({ id }) => id),
    ["a", "b, c", "d", "e"],
  );
  assert.deepEqual(results.many, {
    entries: [{ id: "7", meta: { price: 3 } }, { id: "b" }],
    vectors: [
      [1, 2],
      [2, 1],
    ],
  });
  const patterns = [
    /^gallery: .*1 entries for 4 vectors/,
    /^gallery: .*line 2: .*a vector of 1 values/,
    /^gallery: .*line 1: no vector/,
    /^gallery: .*shop\.jsonl: line 1: /,
    /^gallery: .*damaged/,
    /^usage: /,
    /^gallery: .*line 2: no vector/,
    /^usage: .*`labels` and shop\.txt both/,
    /^usage: .*several files say what the rows are: shop\.txt, shop\.jsonl/,
    /^usage: .*2 files have vectors: shop\.npy, b\.npy/,
    /^usage: .*2 files have vectors: shop\.jsonl, more\.jsonl/,
    /^usage: .*`labels` are of the rows of a \.npy file/,
    /^usage: .*index\.tar\.gz: the file is compressed/,
  ];
  patterns.forEach((pattern, at) => assert.match(told[at], pattern));
});

inBrowser("indexes of PaddleClas and arrays of NumPy are read, with their labels", {}, async (page) => {
  const answer = await page.evaluate(async () => {
    const named = async (path, name) => new File([await kit.fetched(path)], name);
    const first = async (files, options) => {
      const gallery = await kit.Gallery.fromFile(files, options);
      const entries = await gallery.entries();
      gallery.dispose();
      return [gallery.size, gallery.metric, entries[0]];
    };
    const index = await named("/files/ivf.index", "vector.index");
    const pickle = await named("/files/lines.pkl", "id_map.pkl");
    return {
      pickle: await first([pickle, index]),
      alone: await first(await named("/files/ivf-removed.index", "vector.index"), { metric: "cosine" }),
      npz: await first(await kit.fetched("/files/shop.npz")),
      told: [
        await kit.outcome(kit.Gallery.fromFile([index, pickle, new File(["x"], "id_map.yaml")])),
        await kit.outcome(kit.Gallery.fromFile([index, new File(["\x80"], "id_map.pkl")])),
        await kit.outcome(kit.Gallery.fromFile(await kit.fetched("/files/two.npz"))),
      ].map(({ kind, message }) => `${kind}: ${message}`),
    };
  });
  assert.deepEqual(answer.pickle, [40, "l2", { id: "5", label: "green tea 5", meta: { path: "gallery/5.jpg" } }]);
  assert.deepEqual(answer.alone, [37, "cosine", { id: "8" }]);
  assert.deepEqual(answer.npz, [3, "cosine", { id: "a.jpg", label: "tea" }]);
  assert.match(answer.told[0], /^usage: .*several files say labels: id_map\.pkl, id_map\.yaml/);
  assert.match(answer.told[1], /^gallery: .*id_map\.pkl/);
  assert.match(answer.told[2], /^gallery: .*`arr_0`, `arr_1`/);
});

inBrowser("features of another or an unknown model are refused", {}, async (page) => {
  const answer = await page.evaluate(async () => {
    const { Maker, setMaker } = await import("/image-feature/makers.js");
    const [ours, other] = ["ours", "other"].map((name) => ({ name, hash: name.padEnd(64, "0") }));
    /** A feature as an extractor gives it. */
    const by = (model, ...values) => {
      const feature = Float32Array.from(values);
      setMaker(feature, new Maker(async () => model));
      return feature;
    };
    const tell = async (promise) => {
      const { kind, message } = await kit.outcome(promise);
      return kind ? `${kind}: ${message}` : "fine";
    };
    // the first feature says it, files and the browser keep it
    const gallery = new kit.Gallery({ dimension: 2 });
    const before = gallery.model;
    await gallery.add({ id: "a", feature: by(ours, 1, 0) });
    const files = { gallery: await gallery.toFile() };
    for (const format of ["jsonl", "npy", "paddlex"]) files[format] = await gallery.toFile({ format });
    const kept = {};
    for (const [format, file] of Object.entries(files)) {
      const read = await kit.Gallery.fromFile(file);
      kept[format] = read.model;
      read.dispose();
    }
    await gallery.save("made by ours");
    const opened = await kit.Gallery.open("made by ours");
    kept.opened = opened.model;
    // the model was changed under an open gallery
    const changed = {
      same: await tell(opened.search(by(ours, 1, 0))),
      plain: await tell(opened.search([1, 0])),
      add: await tell(opened.add({ id: "b", feature: by(other, 1, 0) })),
      update: await tell(opened.update({ id: "a", feature: by(other, 1, 0) })),
      search: await tell(opened.search(by(other, 1, 0))),
      many: await tell(opened.searchMany([by(ours, 1, 0), by(other, 1, 0)])),
      recognize: await tell(opened.recognize(by(other, 1, 0))),
      classify: await tell(opened.classify(by(other, 1, 0))),
      evaluate: await tell(opened.evaluate({ queries: [{ feature: by(other, 1, 0), label: "x" }] })),
      any: await tell(opened.search(by(other, 1, 0), { anyModel: true })),
    };
    // nobody said it
    const line = new File(['{"id": "a", "feature": [1, 0]}'], "a.jsonl");
    const unknown = await kit.Gallery.fromFile(line);
    const asked = {
      model: unknown.model,
      search: await tell(unknown.search(by(ours, 1, 0))),
      add: await tell(unknown.add({ id: "b", feature: by(ours, 1, 0) })),
      any: await tell(unknown.add({ id: "b", feature: by(ours, 0, 1) }, { anyModel: true })),
      still: unknown.model,
    };
    await unknown.setModel(ours);
    asked.after = await tell(unknown.search(by(ours, 1, 0)));
    const named = await kit.Gallery.fromFile(line, { model: ours });
    asked.named = [named.model, await tell(named.search(by(other, 1, 0)))];
    asked.against = await tell(kit.Gallery.fromFile(files.jsonl, { model: other }));
    const made = new kit.Gallery({ dimension: 2, model: ours });
    asked.made = [made.model, await tell(made.add({ id: "a", feature: by(other, 1, 0) }))];
    for (const one of [gallery, opened, unknown, named, made]) one.dispose();
    return { before, kept, changed, asked, ours };
  });
  const { before, kept, changed, asked, ours } = answer;
  assert.equal(before, null);
  assert.deepEqual(kept, { gallery: ours, jsonl: ours, npy: ours, paddlex: ours, opened: ours });
  const { same, plain, any, many, ...refused } = changed;
  assert.deepEqual([same, plain, any], ["fine", "fine", "fine"]);
  assert.match(many, /^usage: these features are of two models/);
  for (const [call, told] of Object.entries(refused))
    assert.match(told, /^usage: .*made by another model, ours \(ours0000\), not by other .*`anyModel`/, call);
  for (const told of [asked.search, asked.add])
    assert.match(told, /^usage: .*does not know which model .*setModel.*`anyModel`/);
  assert.deepEqual([asked.model, asked.any, asked.still, asked.after], [null, "fine", null, "fine"]);
  assert.deepEqual([asked.named[0], asked.made[0]], [ours, ours]);
  assert.match(asked.named[1], /another model/);
  assert.match(asked.made[1], /another model/);
  assert.match(asked.against, /^usage: .*says that ours .*leave `model` out/);
});

inBrowser("the metrics are PaddleClas's", { skip: withoutGolden }, async (page) => {
  // Python writes NaN, which JSON does not have
  const { cases } = JSON.parse(readFileSync(golden("metrics/metrics.json"), "utf8").replaceAll("NaN", "null"));
  const names = Object.keys(cases);
  assert.ok(names.length >= 12, `${names.length} cases`);
  const reports = await page.evaluate(async (cases) => {
    const bytes = await (await fetch("/golden/metrics/metrics_inputs.safetensors")).arrayBuffer();
    const head = Number(new DataView(bytes).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, head)));
    const tensor = (name) => {
      const {
        dtype,
        shape,
        data_offsets: [from, to],
      } = header[name];
      const data = bytes.slice(8 + head + from, 8 + head + to);
      return { values: dtype === "F32" ? new Float32Array(data) : Array.from(new BigInt64Array(data), String), shape };
    };
    const reports = {};
    for (const [name, { options }] of Object.entries(cases)) {
      const [images, imageLabels, asked, askedLabels] = [
        "gallery_feat",
        "gallery_label",
        "query_feat",
        "query_label",
      ].map((part) => tensor(`${name}/${part}`));
      const dimension = images.shape[1];
      // kept as they are: evaluation makes them of length 1 itself
      const gallery = new kit.Gallery({ dimension, metric: "ip" });
      await gallery.addMany(
        imageLabels.values.map((label, at) => ({ id: `${at}`, label })),
        images.values,
      );
      const queries = askedLabels.values.map((label, at) => ({
        label,
        feature: asked.values.subarray(at * dimension, (at + 1) * dimension),
      }));
      reports[name] = await kit.outcome(gallery.evaluate({ queries, block: options.block ?? 64 }));
      gallery.dispose();
    }
    return reports;
  }, cases);
  for (const [name, { log, error }] of Object.entries(cases)) {
    const { value, message } = reports[name];
    if (error) {
      assert.match(message, /recall@5 needs a gallery of at least 5/, name);
      continue;
    }
    assert.equal(message, undefined, name);
    const number = (value) => (value === null ? "nan" : value.toFixed(5));
    const { recall, mAP } = value.scores;
    assert.equal(
      `[Eval][Epoch 0][Avg]recall1: ${number(recall[1])}, recall5: ${number(recall[5])}, mAP: ${number(mAP)}`,
      log,
      name,
    );
    assert.ok(JSON.parse(value.evaluateResult).done_flag, name);
  }
});

inBrowser("an evaluation without queries asks each image for the others", {}, async (page) => {
  const { report, outside, told } = await inShop(page, async (gallery) => {
    await gallery.add({ id: "cup-2", label: "cup", feature: [1, 0.05, 0] });
    const report = await gallery.evaluate({ recallAt: [1, 3], nearest: 2 });
    const queries = [
      { feature: [1, 0.1, 0], label: "cup", id: "cup-2" },
      { feature: [1, 0, 0], label: "spoon" },
    ];
    const outside = await gallery.evaluate({ queries, recallAt: [1] });
    const told = [
      await kit.outcome(gallery.evaluate({ queries: [] })),
      await kit.outcome(gallery.evaluate({ recallAt: [99] })),
      await kit.outcome(gallery.evaluate({ queries: [{ feature: [1, 2, 3] }] })),
    ];
    return { report, outside, told: told.map(({ kind, message }) => `${kind}: ${message}`) };
  });
  assert.deepEqual([report.queries, report.images, report.withoutMatch], [4, 5, 0]);
  // the second cup lies among the teas, and is the nearest of both
  assert.deepEqual(report.scores.recall, { 1: 0, 3: 0.5 });
  assert.deepEqual(
    report.classes.map(({ label, queries, images, recall1 }) => [label, queries, images, recall1]),
    [
      ["tea", 2, 2, 0],
      ["cup", 2, 2, 0],
    ],
  );
  assert.deepEqual(
    report.confusions.map(({ label, takenFor, count }) => [label, takenFor, count]).sort(),
    [
      ["cup", "tea", 1],
      ["cup", null, 1],
      ["tea", "cup", 2],
    ].sort(),
  );
  assert.deepEqual(
    [report.worst[0].entry.id, report.worst[0].label, report.worst[0].first, report.worst[0].nearest.length],
    ["cup-1", "cup", 4, 2],
  );
  assert.ok(
    report.worst.every(({ entry, nearest }) => nearest.every(({ id }) => id !== entry.id)),
    "none is its own answer",
  );
  assert.deepEqual([outside.queries, outside.withoutMatch, outside.overall.recall[1]], [2, 1, 0]);
  assert.ok(
    outside.worst.every(({ entry, nearest }) => entry === undefined && nearest.every(({ id }) => id !== "cup-2")),
    "the query's own image is left out",
  );
  assert.match(told[0], /^usage: .*no queries/);
  assert.match(told[1], /^usage: recall@99 needs/);
  assert.match(told[2], /^usage: the label of a query/);
});

inBrowser("smaller storage finds what f32 finds, and the page's thread stays free", {}, async (page) => {
  const answer = await page.evaluate(async () => {
    const [count, dimension, k] = [4000, 128, 10];
    const vectors = kit.random(count * dimension);
    const queries = kit.random(20 * dimension, 99);
    const entries = Array.from({ length: count }, (_, at) => ({ id: `${at}`, label: `${at % 7}` }));
    const found = {};
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(
      () => ([longest, last] = [Math.max(longest, performance.now() - last), performance.now()]),
      5,
    );
    for (const dtype of ["f32", "f16", "i8", "bit"]) {
      const gallery = new kit.Gallery({ dimension, dtype });
      await gallery.addMany(entries, vectors);
      found[dtype] = (await gallery.searchMany(queries, { k })).map((hits) =>
        hits.map(({ id, score }) => `${id} ${score}`),
      );
      gallery.dispose();
    }
    clearInterval(timer);
    return { found, kept: vectors.length, longest };
  });
  const { f32, f16, i8, bit } = answer.found;
  assert.deepEqual(f16, f32);
  assert.deepEqual(i8, f32);
  const same = bit.flat().filter((hit, at) => hit === f32.flat()[at]).length;
  assert.ok(same >= 0.99 * f32.flat().length, `${same} of ${f32.flat().length}`);
  assert.equal(answer.kept, 4000 * 128, "the caller's vectors stay");
  console.log(`# the page's thread was busy for ${answer.longest.toFixed(0)} ms at most`);
});

inBrowser("calls stop when they are told to, and end with dispose", {}, async (page) => {
  const answer = await inShop(page, async (gallery) => {
    const tell = async (promise) => {
      const { kind, value } = await kit.outcome(promise);
      return kind ?? (value === undefined ? "done" : "answered");
    };
    const before = await tell(gallery.search([1, 0, 0], { signal: AbortSignal.abort() }));
    const stop = new AbortController();
    // while the search is on its way to the worker, before any answer can come
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (message, ...more) {
      postMessage.call(this, message, ...more);
      if (message.method === "searchVectors") queueMicrotask(() => stop.abort());
    };
    const many = tell(gallery.searchMany(kit.random(3 * 50_000), { signal: stop.signal }));
    const waiting = tell(gallery.search([1, 0, 0]));
    const during = [await many, await waiting];
    Worker.prototype.postMessage = postMessage;
    const running = tell(gallery.search([1, 0, 0]));
    gallery.dispose();
    return {
      before,
      during,
      ended: [await running, await tell(gallery.search([1, 0, 0])), await tell(gallery.save("x"))],
    };
  });
  assert.deepEqual(answer, {
    before: "cancelled",
    during: ["cancelled", "answered"],
    ended: ["usage", "usage", "usage"],
  });
});

/** The two stores of a browser: its file system, and its database. */
const STORES = {
  "the file system": async () => {},
  "the database": (page) =>
    page.addInitScript(() => {
      delete StorageManager.prototype.getDirectory;
    }),
};

for (const [store, prepare] of Object.entries(STORES)) {
  inBrowser(`galleries are kept in ${store}, listed, replaced, deleted, and survive a reload`, {}, async (page) => {
    await prepare(page);
    const reload = async () => {
      await page.reload();
      await page.evaluate(setUp);
    };
    await reload();
    const names = ["shop", "Läden/№ 1.*? <b>", "..", "con"];
    await page.evaluate(async (names) => {
      const gallery = await kit.shop({ dtype: "i8" });
      for (const name of names) await gallery.save(name);
      gallery.dispose();
    }, names);
    await reload();
    const kept = await page.evaluate(async () =>
      (await kit.Gallery.list()).map(({ saved, ...rest }) => ({
        ...rest,
        recent: Math.abs(Date.now() - saved) < 60_000,
      })),
    );
    const facts = { count: 4, dimension: 3, metric: "cosine", dtype: "i8", recent: true };
    assert.deepEqual(
      kept.map(({ bytes, ...rest }) => rest),
      [...names].sort().map((name) => ({ name, ...facts })),
    );
    assert.ok(
      kept.every(({ bytes }) => bytes > 400),
      JSON.stringify(kept),
    );
    const found = await page.evaluate(async () => {
      const gallery = await kit.Gallery.open("shop");
      const before = (await gallery.search([1, 0, 0], { k: 1 }))[0];
      await gallery.remove("tea-1");
      await gallery.save("shop");
      gallery.dispose();
      return { before, size: gallery.size };
    });
    assert.deepEqual([found.before.id, found.before.meta, found.size], ["tea-1", { price: 2, shop: "north" }, 3]);
    await reload();
    const after = await page.evaluate(async (names) => {
      const gallery = await kit.Gallery.open("shop");
      const ids = (await gallery.entries()).map(({ id }) => id);
      gallery.dispose();
      const deleted = [];
      for (const name of [...names, "gone"]) deleted.push(await kit.Gallery.delete(name));
      const told = [];
      for (const call of [
        () => kit.Gallery.open("shop"),
        () => kit.Gallery.open(""),
        () => kit.Gallery.open(7),
        () => kit.Gallery.delete("x".repeat(300)),
        () => kit.Gallery.open("\ud800"),
      ])
        told.push(await kit.outcome(call()));
      return { ids, deleted, left: await kit.Gallery.list(), told };
    }, names);
    assert.deepEqual(after.ids, ["tea-2", "cup-1", "nameless"]);
    assert.deepEqual(after.deleted, [true, true, true, true, false]);
    assert.deepEqual(after.left, []);
    assert.ok(
      after.told.every(({ kind, ours }) => kind === "usage" && ours),
      JSON.stringify(after.told),
    );
    assert.match(after.told[0].message, /no gallery `shop` is kept here/);
  });

  inBrowser(`a full disk leaves what was kept in ${store} as it was`, {}, async (page) => {
    await prepare(page);
    await page.reload();
    await page.evaluate(setUp);
    const devtools = await page.context().newCDPSession(page);
    const quota = (quotaSize) =>
      devtools.send("Storage.overrideQuotaForOrigin", {
        origin: new URL(page.url()).origin,
        ...(quotaSize && { quotaSize }),
      });
    await quota(3e6);
    await page.evaluate(async () => {
      const gallery = await kit.shop();
      await gallery.save("shop");
      const large = new kit.Gallery({ dimension: 512 });
      const count = 4000;
      await large.addMany(
        Array.from({ length: count }, (_, at) => ({ id: `${at}` })),
        kit.random(512 * count),
      );
      globalThis.large = large;
    });
    const told = await page.evaluate(async () => {
      const told = [await kit.outcome(large.save("shop", { replace: true })), await kit.outcome(large.save("new"))];
      const gallery = await kit.Gallery.open("shop");
      const hits = await gallery.search([1, 0, 0], { k: 1 });
      gallery.dispose();
      return { told, hits, kept: (await kit.Gallery.list()).map(({ name, count }) => [name, count]) };
    });
    for (const { kind, message, ours } of told.told) {
      assert.deepEqual([kind, ours], ["limit", true], message);
      assert.match(message, /could not be saved: it takes 8\.\d MB.*storage in the browser is full.*as it was/);
    }
    assert.deepEqual(
      told.hits.map(({ id }) => id),
      ["tea-1"],
    );
    assert.deepEqual(told.kept, [["shop", 4]]);
    // browsers check the free space for a database only from time to time
    if (store === "the database") return;
    await quota();
    assert.deepEqual(
      await page.evaluate(async () => {
        await large.save("shop", { replace: true });
        return (await kit.Gallery.list()).map(({ name, count }) => [name, count]);
      }),
      [["shop", 4000]],
    );
  });
}

inBrowser("a kept gallery that is damaged is listed, and opening it says why", {}, async (page) => {
  const { kept, told } = await page.evaluate(async () => {
    const gallery = await kit.shop();
    await gallery.save("good");
    gallery.dispose();
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("image-feature-galleries");
    const put = async (name, bytes) => {
      const writer = await (await folder.getFileHandle(name, { create: true })).createWritable();
      await writer.write(bytes);
      await writer.close();
    };
    const good = await (await folder.getFileHandle("good.safetensors")).getFile();
    await put("torn.safetensors", good.slice(0, good.size - 5));
    await put("text.safetensors", "hello");
    await put("begun.safetensors", "");
    const told = [];
    for (const name of ["torn", "text", "begun"]) told.push(await kit.outcome(kit.Gallery.open(name)));
    return {
      kept: (await kit.Gallery.list()).map(({ name, count }) => [name, count]),
      told: told.map(({ kind, message }) => `${kind}: ${message}`),
    };
  });
  assert.deepEqual(kept, [
    ["good", 4],
    ["text", null],
    ["torn", 4],
  ]);
  assert.match(told[0], /^gallery: torn: the gallery file is damaged/);
  assert.match(told[1], /^gallery: text: /);
  assert.match(told[2], /^usage: no gallery `begun`/);
});

inBrowser("tabs wait for each other, and a tab that is closed while it saves loses nothing", {}, async (page) => {
  await page.evaluate(async () => {
    const gallery = await kit.shop();
    await gallery.save("shop");
    // another tab that holds the name
    const held = new Promise((resolve) => (globalThis.letGo = resolve));
    navigator.locks.request("image-feature gallery shop", () => held);
    globalThis.order = [];
    globalThis.saving = gallery.save("shop").then(() => order.push("saved"));
  });
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.evaluate(setUp);
  const impatient = await other.evaluate(() =>
    kit.outcome(kit.Gallery.open("shop", { signal: AbortSignal.timeout(300) })),
  );
  assert.equal(impatient.kind, "cancelled");
  const opening = other.evaluate(async () => {
    const gallery = await kit.Gallery.open("shop");
    gallery.dispose();
    return gallery.size;
  });
  // one waits to save, one to open
  await eventually(
    () =>
      page.evaluate(async () => {
        const { pending } = await navigator.locks.query();
        return pending.filter(({ name }) => name === "image-feature gallery shop").length;
      }),
    (waiting) => assert.equal(waiting, 2),
  );
  await page.evaluate(() => {
    order.push("let go");
    letGo();
  });
  assert.equal(await opening, 4);
  assert.deepEqual(await page.evaluate(() => saving.then(() => order)), ["let go", "saved"]);
  // the tab is closed during a save, at several moments
  for (const wait of [0, 20, 60, 150]) {
    const doomed = await page.context().newPage();
    await doomed.goto(page.url());
    await doomed.evaluate(setUp);
    await doomed.evaluate(async () => {
      globalThis.large = new kit.Gallery({ dimension: 512 });
      const count = 10_000;
      await large.addMany(
        Array.from({ length: count }, (_, at) => ({ id: `${at}` })),
        kit.random(512 * count),
      );
    });
    await doomed.evaluate((wait) => {
      void large.save("shop");
      return new Promise((resolve) => setTimeout(resolve, wait));
    }, wait);
    await doomed.close();
    const size = await other.evaluate(async () => {
      const gallery = await kit.Gallery.open("shop");
      gallery.dispose();
      return gallery.size;
    });
    assert.ok(size === 4 || size === 10_000, `${size} vectors after ${wait} ms`);
    await other.evaluate(async () => {
      const gallery = await kit.shop();
      await gallery.save("shop", { replace: true });
      gallery.dispose();
    });
  }
  await other.close();
});

for (const [store, prepare] of Object.entries({
  ...STORES,
  "the database of a page without locks": async (page) => {
    await STORES["the database"](page);
    await page.addInitScript(() => {
      delete Navigator.prototype.locks;
    });
  },
})) {
  inBrowser(`of two tabs that save one gallery, none loses what the other added: ${store}`, {}, async (page) => {
    const enter = async (tab) => {
      await prepare(tab);
      await tab.goto(page.url());
      await tab.evaluate(setUp);
    };
    const other = await page.context().newPage();
    await enter(page);
    await enter(other);
    await page.evaluate(async () => {
      const gallery = await kit.shop();
      await gallery.save("shop");
      gallery.dispose();
    });
    const open = (tab) => tab.evaluate(async () => void (globalThis.opened = await kit.Gallery.open("shop")));
    const add = (tab, id) => tab.evaluate((id) => globalThis.opened.add({ id, feature: [1, 2, 3] }), id);
    const save = (tab, name, options) =>
      tab.evaluate(([name, options]) => kit.outcome(globalThis.opened.save(name, options)), [name, options]);
    const kept = () =>
      page.evaluate(async () => {
        const gallery = await kit.Gallery.open("shop");
        const ids = (await gallery.entries()).map(({ id }) => id);
        gallery.dispose();
        return ids.slice(4);
      });
    await open(page);
    await open(other);
    await add(page, "first");
    await add(other, "second");
    assert.equal((await save(page, "shop")).kind, undefined);
    const refused = await save(other, "shop");
    assert.equal(refused.kind, "usage");
    assert.match(refused.message, /another tab.*nothing was replaced.*open it again.*`replace: true`/);
    assert.deepEqual(await kept(), ["first"]);
    // a tab may save again and again, and under another name
    await add(page, "third");
    assert.equal((await save(page, "shop")).kind, undefined);
    assert.equal((await save(other, "mine")).kind, undefined);
    // opened again, it goes on
    await open(other);
    await add(other, "second");
    assert.equal((await save(other, "shop")).kind, undefined);
    assert.deepEqual(await kept(), ["first", "third", "second"]);
    assert.match((await save(page, "shop")).message, /another tab/);
    // a new gallery does not replace one of its name, and what is deleted may be saved anew
    const [fresh, again, replaced, anew] = await other.evaluate(async () => {
      const gallery = await kit.shop();
      const tell = async (promise) => (await kit.outcome(promise)).message ?? "saved";
      const told = [await tell(gallery.save("shop")), await tell(gallery.save("shop"))];
      told.push(await tell(gallery.save("shop", { replace: true })));
      await kit.Gallery.delete("shop");
      told.push(await tell(gallery.save("shop")));
      gallery.dispose();
      return told;
    });
    for (const told of [fresh, again]) assert.match(told, /is kept here already; nothing was replaced/);
    assert.deepEqual([replaced, anew], ["saved", "saved"]);
    // both save at the same moment: one is told
    await open(page);
    await open(other);
    await add(page, "left");
    await add(other, "right");
    const both = await Promise.all([save(page, "shop"), save(other, "shop")]);
    assert.deepEqual(both.map(({ kind }) => kind ?? "saved").sort(), ["saved", "usage"]);
    assert.deepEqual(await kept(), [both[0].kind ? "right" : "left"]);
    await other.close();
  });
}

inBrowser("a gallery finds its own threshold, keeps it, and recognizes by it", {}, async (page) => {
  const answer = await page.evaluate(async () => {
    const { Gallery, outcome, random } = kit;
    const gallery = new Gallery({ dimension: 16 });
    const centres = random(10 * 16, 3);
    const noise = random(200 * 16, 4);
    const features = Float32Array.from(
      { length: 200 * 16 },
      (_, at) => centres[(Math.floor(at / 16) % 10) * 16 + (at % 16)] + 0.1 * noise[at],
    );
    const entries = Array.from({ length: 200 }, (_, at) => ({ id: `${at}`, label: `kind ${at % 10}` }));
    await gallery.addMany(entries, features);
    const other = random(16, 99);
    const before = { threshold: gallery.threshold, hits: (await gallery.recognize(other)).length };
    const progress = [];
    const calibration = await gallery.calibrate({ onProgress: (event) => progress.push(event) });
    const after = [(await gallery.recognize(other)).length, (await gallery.recognize(features.slice(0, 16))).length];
    const strict = await gallery.calibrate({ maxFalseAccepts: 0, points: 5, queries: 50, keep: false });
    const again = await Gallery.fromFile(await gallery.toFile());
    const reread = { threshold: again.threshold, hits: (await again.recognize(other)).length };
    await again.setThreshold(null);
    const anything = [again.threshold, (await again.recognize(other)).length];
    const plain = new Gallery({ dimension: 2 });
    await plain.add({ id: "a", feature: [1, 0] });
    const faults = {
      unlabelled: await outcome(plain.calibrate()),
      share: await outcome(gallery.calibrate({ maxFalseAccepts: 2 })),
      points: await outcome(gallery.calibrate({ points: 1 })),
      text: await outcome(gallery.setThreshold("0.5")),
      infinite: await outcome(gallery.setThreshold(Number.POSITIVE_INFINITY)),
    };
    const kept = gallery.threshold;
    for (const one of [gallery, again, plain]) one.dispose();
    return { before, calibration, after, strict, reread, anything, faults, kept, progress };
  });
  const { before, calibration, after, strict, reread, anything, faults, kept, progress } = answer;
  assert.deepEqual(before, { threshold: null, hits: 10 });
  assert.deepEqual([calibration.known, calibration.unknown, calibration.curve.length], [200, 200, 101]);
  assert.deepEqual([calibration.errors.falseAccepts, calibration.errors.falseRejects], [0, 0]);
  assert.equal(calibration.errors.threshold, calibration.threshold);
  assert.equal(calibration.curve[0].falseAccepts, 1);
  assert.equal(kept, calibration.threshold);
  assert.deepEqual(after, [0, 10], "only what is known is recognized");
  assert.deepEqual([strict.curve.length, strict.errors.falseAccepts, strict.known], [5, 0, 50]);
  assert.deepEqual(reread, { threshold: calibration.threshold, hits: 0 }, "the file keeps it");
  assert.deepEqual(anything, [null, 10]);
  assert.match(faults.unlabelled.message, /label/);
  assert.match(faults.share.message, /from 0 to 1/);
  assert.match(faults.points.message, /points must be a whole number from 2/);
  assert.match(faults.text.message, /threshold must be a number/);
  assert.match(faults.infinite.message, /threshold is inf/);
  for (const { kind } of Object.values(faults)) assert.equal(kind, "usage");
  assert.deepEqual([progress.at(-1).stage, progress.at(-1).fraction, progress.at(-1).total], ["compare", 1, 200]);
});

inBrowser("near vectors are found as groups, and hits by label", {}, async (page) => {
  const { groups, classes, votes, missing, stopped } = await page.evaluate(async () => {
    const { Gallery, outcome, random } = kit;
    const shop = await kit.shop();
    const groups = await shop.groups({ threshold: 0.9 });
    const classes = await shop.searchClasses([1, 0, 0], { k: 4 });
    const votes = await shop.classify([1, 0, 0], { k: 3 });
    const missing = await outcome(shop.groups({}));
    shop.dispose();
    const many = new Gallery({ dimension: 64 });
    const entries = Array.from({ length: 20_000 }, (_, at) => ({ id: `${at}` }));
    await many.addMany(entries, random(20_000 * 64));
    const stop = new AbortController();
    const told = [];
    const onProgress = ({ fraction }) => {
      told.push(fraction);
      if (told.length === 3) stop.abort();
    };
    const stopped = { ...(await outcome(many.groups({ threshold: 0.99, signal: stop.signal, onProgress }))), told };
    stopped.size = (await many.entries({ count: 1 })).length;
    many.dispose();
    return { groups, classes, votes, missing, stopped };
  });
  assert.deepEqual(
    groups.map((group) => group.map(({ id }) => id)),
    [["tea-1", "tea-2"]],
  );
  assert.ok(groups[0][0].score > 0.999 && groups[0][1].score > 0.9, JSON.stringify(groups));
  assert.deepEqual(groups[0][0].meta, { price: 2, shop: "north" });
  assert.deepEqual(
    classes.map(({ label, hits }) => [label, hits.map(({ id }) => id)]),
    [
      ["tea", ["tea-1", "tea-2"]],
      ["cup", ["cup-1"]],
      [null, ["nameless"]],
    ],
  );
  const [{ best, mean, hits }] = classes;
  assert.equal(best, hits[0].score);
  assert.equal(mean, Math.fround((hits[0].score + hits[1].score) / 2));
  assert.ok(Math.abs(votes[0].mean - mean) < 1e-6, JSON.stringify(votes));
  assert.match(missing.message, /threshold must be a number/);
  assert.equal(stopped.kind, "cancelled");
  assert.equal(stopped.told.length, 3, "no progress after the abort");
  assert.ok(stopped.told[2] > stopped.told[0] && stopped.told[2] < 0.5, JSON.stringify(stopped.told));
  assert.equal(stopped.size, 1, "the gallery goes on");
});

inBrowser("after its worker was ended, a gallery goes on with all its vectors", {}, async (page) => {
  const told = await page.evaluate(async () => {
    const { Gallery, outcome, random } = kit;
    const workers = [];
    const Usual = globalThis.Worker;
    globalThis.Worker = class extends Usual {
      constructor(...given) {
        super(...given);
        workers.push(this);
      }
    };
    const restarts = [];
    const onRestart = (event) => restarts.push(event);
    const end = async () => {
      // as the browser does, without the package's own `terminate`
      Usual.prototype.terminate.call(workers.at(-1));
      // the page learns of it by the worker's lock
      for (let wait = 0; wait < 100 && (await navigator.locks.query()).held.length > 0; wait++)
        await new Promise((done) => setTimeout(done, 20));
      await new Promise((done) => setTimeout(done, 50));
    };
    const ids = async (gallery) => (await gallery.entries()).map(({ id, label }) => `${id} ${label ?? ""}`);

    // every kind of change
    const gallery = await kit.shop({ onRestart });
    const vector = Float32Array.of(0, 0, 1);
    await gallery.update({ id: "tea-2", label: "coffee", feature: vector });
    vector.fill(9);
    await gallery.remove("nameless");
    await gallery.setThreshold(0.25);
    await gallery.setModel({ name: "m", hash: "h" });
    const before = { hits: await gallery.search([1, 0, 0]), ids: await ids(gallery) };
    await end();
    const after = { hits: await gallery.search([1, 0, 0]), ids: await ids(gallery) };
    const facts = { size: gallery.size, threshold: gallery.threshold, model: gallery.model };
    const file = await Gallery.fromFile(await gallery.toFile());
    const written = { size: file.size, threshold: file.threshold, model: file.model };

    // a call under way fails, the next one answers
    const many = new Gallery({ dimension: 128, onRestart });
    const entries = Array.from({ length: 40_000 }, (_, at) => ({ id: `${at}` }));
    await many.addMany(entries, random(40_000 * 128));
    const running = outcome(many.groups({ threshold: 0.99, onProgress: ({ fraction }) => fraction > 0.01 && end() }));
    const failed = await running;
    const [{ id }] = await many.search(await many.vector("777"), { k: 1 });
    const size = many.size;

    // opened from a file, and kept
    await gallery.save("kept");
    const opened = await Gallery.open("kept", { onRestart });
    await opened.remove("cup-1");
    await end();
    const reopened = await ids(opened);
    for (const one of [gallery, file, many, opened]) one.dispose();
    await Gallery.delete("kept");
    return { before, after, facts, written, failed, id, size, reopened, restarts };
  });
  assert.deepEqual(told.before.ids, ["tea-1 tea", "tea-2 coffee", "cup-1 cup"]);
  assert.deepEqual(told.after, told.before);
  const facts = { size: 3, threshold: 0.25, model: { name: "m", hash: "h" } };
  assert.deepEqual(told.facts, facts);
  assert.deepEqual(told.written, facts, "the file has all, too");
  assert.deepEqual([told.failed.kind, told.failed.ours], ["internal", true]);
  assert.match(told.failed.message, /worker was ended/);
  assert.deepEqual([told.id, told.size], ["777", 40_000]);
  assert.deepEqual(told.reopened, ["tea-1 tea", "tea-2 coffee"]);
  assert.deepEqual(told.restarts, [{ size: 3 }, { size: 40_000 }, { size: 2 }]);
});

test("a WebAssembly that stops, and one that is missing, say so", { timeout: HANG_MS }, async () => {
  const double = await serveDouble({
    "/image-feature/wasm/gallery/image_feature.js": (response) =>
      response.writeHead(200, { "content-type": "text/javascript" }).end(`
        let exports;
        export default async ({ module_or_path }) => ({ exports } = await WebAssembly.instantiate(module_or_path));
        export class GalleryVectors {
          info() { return JSON.stringify({ dimension: 3, metric: "cosine", storage: "f32", count: 0, simd: "simd128" }); }
          search() { exports.trap(); }
        }`),
    "/gone/gallery/image_feature_bg.wasm": (response) => response.writeHead(404).end(),
    "/full/gallery/image_feature_bg.wasm": (response) => response.writeHead(200).end(TRAP_WASM),
  });
  const { page, close } = await openPage(browser, `${double.url}/`);
  const told = await page.evaluate(async () => {
    const { Gallery } = await import("/image-feature/index.js");
    const tell = (promise) =>
      promise.then(
        () => "fine",
        ({ kind, message }) => `${kind}: ${message}`,
      );
    const gallery = new Gallery({ dimension: 3, wasm: "/full/" });
    const missing = new Gallery({ dimension: 3, wasm: "/gone/" });
    return [
      await tell(gallery.search([1, 2, 3])),
      await tell(gallery.search([1, 2, 3])),
      await tell(missing.search([1, 2, 3])),
    ];
  });
  assert.match(told[0], /^internal: the WebAssembly core stopped/);
  assert.match(told[1], /^internal: the WebAssembly core stopped/);
  assert.match(told[2], /^io: .*404/);
  assert.deepEqual(await close(/404/), []);
  await double.close();
});
