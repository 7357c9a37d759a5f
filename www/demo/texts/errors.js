/** Texts of errors that the page itself finds. Those of the package are in English. */

export const errorTexts = /** @type {const} */ ({
  "error.noImage": ["no picture is among these files", "这些文件中没有图片"],
  "error.listed": [
    "{n:picture:pictures} of gallery.txt and query.txt cannot be found; the others are taken",
    "gallery.txt 和 query.txt 中有 {n} 张图片找不到，其余图片已采用",
  ],
  "advice.decode": ["Choose another picture: this one is damaged.", "请选择其他图片：此图片已损坏。"],
  "advice.gallery": [
    "Take an undamaged copy of the file, or make the collection again.",
    "请使用未损坏的文件副本，或重新建立图库。",
  ],
  "advice.io": [
    "Choose it again: files that were moved or changed cannot be read.",
    "请重新选择：文件被移动或修改后无法读取。",
  ],
  "advice.device": ["Choose another device in the tab Model.", "请在“模型”页选择其他计算设备。"],
  "advice.internal": [
    "This is a fault of the page. Reload it and try again; the browser's console says more.",
    "这是本页面的错误。请刷新后重试，浏览器控制台中有更多信息。",
  ],
});
