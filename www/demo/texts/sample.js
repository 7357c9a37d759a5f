/** The labels of the sample collection. */

export const sampleTexts = /** @type {const} */ ({
  "sample.Baby bodysuit": ["Baby bodysuit", "婴儿连体衣"],
  "sample.Blazer": ["Blazer", "西装外套"],
  "sample.Blouse": ["Blouse", "女式衬衫"],
  "sample.Dress": ["Dress", "连衣裙"],
  "sample.Hat": ["Hat", "帽子"],
  "sample.Hoodie": ["Hoodie", "连帽衫"],
  "sample.Jacket": ["Jacket", "外套"],
  "sample.Long sleeve": ["Long sleeve", "长袖上衣"],
  "sample.Pants": ["Pants", "长裤"],
  "sample.Polo": ["Polo", "Polo 衫"],
  "sample.Shirt": ["Shirt", "衬衫"],
  "sample.Shoes": ["Shoes", "鞋"],
  "sample.Shorts": ["Shorts", "短裤"],
  "sample.Skirt": ["Skirt", "半身裙"],
  "sample.T-Shirt": ["T-Shirt", "T 恤"],
  "sample.Top": ["Top", "上衣"],
  "sample.Undershirt": ["Undershirt", "背心"],
});
