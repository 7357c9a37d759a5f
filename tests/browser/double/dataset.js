/** A double of the WebAssembly for data sets: twenty images, of which the eighth stops it. */

const IMAGES = 20;
const TRAP = 7;

let exports;

export default async function init({ module_or_path }) {
  ({ exports } = await WebAssembly.instantiate(module_or_path));
  return {};
}

export class DatasetFiles {
  facts = [];
  isStream = false;

  static fromArchive() {
    return new DatasetFiles();
  }
  imageCount() {
    return IMAGES;
  }
  unknown() {
    return Uint32Array.from({ length: 2 * IMAGES }, (_, at) => at >> 1);
  }
  look(file) {
    if (file === TRAP) exports.trap();
    return `saw ${file}`;
  }
  take(place, facts) {
    this.facts[place] = facts;
  }
  takeBroken(place, message) {
    this.facts[place] = `broken: ${message}`;
  }
  problems() {
    return "[]";
  }
  takeProblems() {}
  report() {
    return JSON.stringify({ facts: this.facts, thumbnails: {} });
  }
  shown() {
    return "[]";
  }
}
