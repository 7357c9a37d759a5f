/** The texts of `<image-search>`. */

/**
 * `{n}` stands for a number, `{label}` and `{score}` for those of the first hit.
 *
 * @typedef {object} ImageSearchTexts
 * @property {string} drop
 * @property {string} choose
 * @property {string} camera
 * @property {string} take
 * @property {string} cancel
 * @property {string} preparing
 * @property {string} searching
 * @property {string} results the name of the list
 * @property {string} found
 * @property {string} none
 * @property {string} noPicture what was dropped or pasted is no picture
 * @property {string} noCamera
 * @property {string} query the description of the picture that is searched with
 */

/** By language, as in `lang`. @type {Record<string, ImageSearchTexts>} */
export const texts = {
  en: {
    drop: "Drop a picture here, or paste one",
    choose: "Choose a picture",
    camera: "Use the camera",
    take: "Take the picture",
    cancel: "Cancel",
    preparing: "Preparing the search…",
    searching: "Searching…",
    results: "Similar pictures",
    found: "{n} similar pictures. The nearest: {label}, {score}",
    none: "Nothing similar was found",
    noPicture: "This is no picture",
    noCamera: "The camera cannot be used",
    query: "The picture that is searched with",
  },
  zh: {
    drop: "把图片拖到这里，或粘贴图片",
    choose: "选择图片",
    camera: "使用摄像头",
    take: "拍照",
    cancel: "取消",
    preparing: "正在准备搜索…",
    searching: "正在搜索…",
    results: "相似图片",
    found: "找到 {n} 张相似图片。最相似：{label}，{score}",
    none: "没有找到相似的图片",
    noPicture: "这不是图片",
    noCamera: "无法使用摄像头",
    query: "用来搜索的图片",
  },
};

/**
 * The texts of the language of an element: its own, that of an element around it, or the browser's; else English.
 *
 * @param {Element} element
 * @returns {ImageSearchTexts}
 */
export function textsOf(element) {
  const named = element.closest("[lang]")?.getAttribute("lang");
  for (const language of named ? [named] : navigator.languages) {
    const found = texts[language] ?? texts[language.split("-")[0]];
    if (found) return found;
  }
  return texts.en;
}
