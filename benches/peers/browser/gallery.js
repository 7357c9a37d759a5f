/**
 * Galleries of the same vectors, ours and those of peers, each as a page uses it. Each gives a function that finds the
 * nearest vectors of each query. Its results are their places; for bits, which often tie, the numbers of differing bits.
 *
 * @typedef {{ count: number, dimension: number, k: number, metric: string, dtype: string }} Size
 * @typedef {(queries: Float32Array) => Promise<number[][]> | number[][]} Search
 */

/** Average number of vectors of a cluster, and their distance from its centre, as in benches/ours/gallery.rs. */
const ABOUT = 20;
const SPREAD = 1.1;

/**
 * Vectors of length 1 in clusters, like the features of photos of things. They are the same in each page.
 *
 * @param {number} first number of the first
 * @param {number} many
 * @param {Pick<Size, "count" | "dimension">} size of the gallery
 */
export function vectors(first, many, { count, dimension }) {
  const centres = Math.max(Math.floor(count / ABOUT), 1);
  const values = new Float32Array(many * dimension);
  for (let row = 0; row < many; row++) {
    const number = first + row;
    const centre = mix(number) % centres;
    let sum = 0;
    for (let at = 0; at < dimension; at++) {
      const value = unit(mix(centre * dimension + at)) + SPREAD * unit(mix((number * dimension + at) ^ 0x5eed0000));
      values[row * dimension + at] = value;
      sum += value * value;
    }
    const length = Math.sqrt(sum);
    for (let at = 0; at < dimension; at++) values[row * dimension + at] /= length;
  }
  return values;
}

/** @param {number} number */
function mix(number) {
  let bits = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** A value in [-1, 1). @param {number} bits */
function unit(bits) {
  return (bits >>> 8) / 2 ** 23 - 1;
}

/** @type {Record<string, (size: Size) => Promise<Search>>} */
export const contenders = {
  async ours({ count, dimension, k, metric, dtype }) {
    const { Gallery } = await import("/image-feature/index.js");
    const gallery = new Gallery({ dimension, metric, dtype });
    await gallery.addMany(
      Array.from({ length: count }, (_, at) => ({ id: `${at}` })),
      vectors(0, count, { count, dimension }),
    );
    return async (queries) =>
      (await gallery.searchMany(queries, { k })).map((hits) =>
        hits.map(({ id, score }) => (metric === "hamming" ? score : Number(id))),
      );
  },

  async "hnswlib-wasm"({ count, dimension, k }) {
    const { loadHnswlib } = await import("/hnswlib/hnswlib.js");
    const library = await loadHnswlib();
    const index = new library.BruteforceSearch("ip", dimension);
    index.initIndex(count);
    const all = vectors(0, count, { count, dimension });
    for (let row = 0; row < count; row++) index.addPoint(all.subarray(row * dimension, (row + 1) * dimension), row);
    return (queries) => each(queries, dimension, (query) => index.searchKnn(query, k, undefined).neighbors);
  },

  /** Its flat index has bits only. */
  async edgevec({ count, dimension, k }) {
    const { default: init, EdgeVec, EdgeVecConfig, JsIndexType } = await import("/edgevec/edgevec.js");
    await init();
    const config = new EdgeVecConfig(dimension);
    config.metric = "hamming";
    config.indexType = JsIndexType.Flat;
    const index = new EdgeVec(config);
    const all = vectors(0, count, { count, dimension });
    for (let row = 0; row < count; row++)
      index.insertBinary(new Uint8Array(bitsOf(all.subarray(row * dimension, (row + 1) * dimension)).buffer));
    return (queries) =>
      each(queries, dimension, (query) =>
        index.searchBinary(new Uint8Array(bitsOf(query).buffer), k).map(({ score }) => score),
      );
  },

  async "typed-array loop"({ count, dimension, k, metric }) {
    if (metric === "hamming") return bitLoop(count, dimension, k);
    const all = vectors(0, count, { count, dimension });
    return (queries) =>
      each(queries, dimension, (query) => {
        const best = new Best(k);
        for (let row = 0, at = 0; row < count; row++) {
          let a = 0;
          let b = 0;
          let c = 0;
          let d = 0;
          for (let i = 0; i < dimension; i += 4, at += 4) {
            a += query[i] * all[at];
            b += query[i + 1] * all[at + 1];
            c += query[i + 2] * all[at + 2];
            d += query[i + 3] * all[at + 3];
          }
          const score = a + b + c + d;
          if (score > best.least) best.take(row, score);
        }
        return best.rows;
      });
  },
};

/** @param {number} count @param {number} dimension @param {number} k @returns {Search} */
function bitLoop(count, dimension, k) {
  const words = dimension / 32;
  const all = bitsOf(vectors(0, count, { count, dimension }));
  return (queries) =>
    each(queries, dimension, (query) => {
      const asked = bitsOf(query);
      const best = new Best(k);
      for (let row = 0, at = 0; row < count; row++) {
        let differing = 0;
        for (let word = 0; word < words; word++, at++) {
          let bits = asked[word] ^ all[at];
          bits -= (bits >>> 1) & 0x55555555;
          bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
          differing += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
        }
        if (-differing > best.least) best.take(row, -differing);
      }
      return Array.from(best.scores, (score) => -score);
    });
}

/** Which values are above zero, one bit each. @param {Float32Array} values */
function bitsOf(values) {
  const bits = new Uint32Array(values.length / 32);
  values.forEach((value, at) => (bits[at >> 5] |= Number(value > 0) << (at & 31)));
  return bits;
}

/** The best so far, best first. */
class Best {
  /** @param {number} k */
  constructor(k) {
    this.rows = Array(k).fill(-1);
    this.scores = new Float64Array(k).fill(-Infinity);
    this.least = -Infinity;
  }

  /** @param {number} row @param {number} score above the least */
  take(row, score) {
    const { rows, scores } = this;
    let place = rows.length - 1;
    for (; place > 0 && scores[place - 1] < score; place--) {
      scores[place] = scores[place - 1];
      rows[place] = rows[place - 1];
    }
    scores[place] = score;
    rows[place] = row;
    this.least = scores[scores.length - 1];
  }
}

/**
 * @param {Float32Array} queries
 * @param {number} dimension
 * @param {(query: Float32Array) => number[]} find
 */
function each(queries, dimension, find) {
  const found = [];
  for (let at = 0; at < queries.length; at += dimension) found.push(find(queries.subarray(at, at + dimension)));
  return found;
}
