/** The types of `Dataset`: what it takes and gives back. */

/**
 * The version of PaddleX: 3.0 and later, or 3.0-beta.
 *
 * @typedef {"paddlex" | "paddlex-beta"} Compat
 */

/**
 * @typedef {object} OpenDatasetOptions
 * @property {string} [name] of the data set, in reports and messages
 * @property {string} [encoding] of lists, and of names in an archive, that are not UTF-8, such as `gbk`, `shift_jis`,
 *   `koi8-r`. By default it is guessed from the user's languages, and a finding of the check names the one that was
 *   taken. UTF-16 is recognised.
 * @property {number} [workers] number of workers that look at images at the same time: 1 to 16. By default 4, or the
 *   number of the machine's cores if that is less.
 * @property {AbortSignal} [signal]
 * @property {import("./compile.js").WasmSource} [wasm] the folder that holds `dataset/`, if it is not beside the package; or
 *   that core itself
 */

/**
 * @typedef {object} Running
 * @property {AbortSignal} [signal]
 * @property {(event: import("./progress.js").ProgressEvent) => void} [onProgress]
 */

/**
 * The parts into which images are divided, in percent. Give all three or none.
 *
 * @typedef {object} Shares
 * @property {number} [train]
 * @property {number} [gallery]
 * @property {number} [query]
 * @property {number} [seed] a whole number, 0 by default; the same seed gives the same division
 */

/** @typedef {"train" | "gallery" | "query"} ListName */

/**
 * A kind of finding, and how many there are.
 *
 * @typedef {object} ReportCode
 * @property {string} code
 * @property {string} name
 * @property {"error" | "warning" | "hint"} severity
 * @property {string} title
 * @property {string} fix
 * @property {number} count
 * @property {number} shown
 */

/**
 * @typedef {object} ReportFinding
 * @property {string} code
 * @property {ListName} [list]
 * @property {number} [line]
 * @property {number} [column]
 * @property {string} [image]
 * @property {string} reason
 * @property {string} [fix]
 */

/**
 * The result of a check. The documentation of the Rust module `dataset::report` explains the fields.
 *
 * @typedef {object} DatasetReport
 * @property {"dataset-report"} schema
 * @property {1} version
 * @property {string} name
 * @property {string} root
 * @property {string[]} notes
 * @property {boolean} passed
 * @property {boolean} complete
 * @property {number} errors
 * @property {number} warnings
 * @property {number} hints
 * @property {{ listed: number, decoded: number, bytes: number }} images
 * @property {{ list: ListName, file: string, rows: number, classes: number }[]} lists
 * @property {number} class_count
 * @property {[label: number, train: number, gallery: number, query: number][]} class_sizes
 * @property {{ queries: number, answerable: number, recall_ceiling: number | null }} evaluation
 * @property {{ classes: number, largest_batch: number }} training
 * @property {ReportCode[]} codes
 * @property {ReportFinding[]} findings
 * @property {{ image: string, list: ListName, label: number | null }[]} samples
 * @property {Record<string, string>} thumbnails
 */

/**
 * PaddleX's verdict.
 *
 * - `passed`: whether PaddleX accepts the data set
 * - `log`: the last line of its log, or the exception that it raises
 * - `json`: its `check_dataset_result.json`, byte for byte; `null` after a conversion or division that succeeded
 * - `samples`: of a check, the names of the images that it draws labels on
 *
 * @typedef {{ passed: boolean, log: string, json: string | null, samples?: string[] }} CompatVerdict
 */

/**
 * Number of rows of each list.
 *
 * @typedef {{ train: number, gallery: number, query: number }} ListSizes
 */

/**
 * What is in the source of a conversion, where that is not clear.
 *
 * @typedef {object} ConvertChoices
 * @property {"auto" | "yes" | "no"} [divisions] whether folders named train, val, test, gallery, query are divisions
 *   (`yes`) or classes (`no`). `auto`, the default: divisions where all are named so, an error where only some are
 * @property {string} [pathColumn] the column of a CSV file with the paths: its name, or its number from 1. By default
 *   columns are known by their names and content
 * @property {string} [labelColumn] the column with the labels
 * @property {string} [listColumn] the column that says train, val, test, gallery or query
 * @property {string} [table] the path of the CSV file, where there are several
 * @property {boolean} [skipFaulty] leave out faulty rows and annotations, and tell them in the notes; false by default:
 *   they are an error, with up to 20 of them in the lines of its message
 */

/**
 * Number of rows of each list, and what was taken as what and left out, in words.
 *
 * @typedef {ListSizes & { notes: string[] }} ConvertOutcome
 */

/**
 * Number of rows that were kept, that were set aside, and that were kept without what follows after path and label (`cut`;
 * `set_aside.tsv` has the whole rows), and number of images that were renamed.
 *
 * @typedef {ListSizes & { kept: number, setAside: number, cut: number, renamed: number }} FixOutcome
 */

export {};
