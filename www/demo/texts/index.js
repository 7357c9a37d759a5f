/**
 * All texts of the page, in one table: `[English, Chinese]`. The parts are files of their own, because they are long.
 *
 * `{name}` is a value. `{n:picture:pictures}` is a number with its noun, in the singular or the plural.
 */

import { collectionTexts } from "./collections.js";
import { datasetTexts } from "./dataset.js";
import { errorTexts } from "./errors.js";
import { frameTexts } from "./frame.js";
import { modelTexts } from "./model.js";
import { qualityTexts } from "./quality.js";
import { sampleTexts } from "./sample.js";
import { searchTexts } from "./search.js";
import { teachTexts } from "./teach.js";
import { vectorTexts } from "./vectors.js";

export const TEXTS = {
  ...frameTexts,
  ...searchTexts,
  ...sampleTexts,
  ...collectionTexts,
  ...qualityTexts,
  ...teachTexts,
  ...datasetTexts,
  ...vectorTexts,
  ...modelTexts,
  ...errorTexts,
};
