/** Our package as a page uses it. */

export async function load({ threads, simd, dtype, model }) {
  const { FeatureExtractor } = await import("/image-feature/index.js");
  const extractor = await FeatureExtractor.load(model, { device: "cpu", threads, dtype });
  const { info } = extractor;
  // f16 weights are computed in f32
  if (info.threads !== threads || info.simd !== simd || (info.dtype === "i8") !== (dtype === "i8")) {
    throw new Error(`asked for ${threads} threads, ${simd}, ${dtype}; got ${JSON.stringify(info)}`);
  }
  return {
    version: `${info.simd}`,
    /** Features of some images, and the milliseconds of the network's part: the peers are given ready tensors. */
    async run({ images }) {
      if (images.length === 1) {
        const { feature, milliseconds } = await extractor.embed(images[0]);
        return { features: [...feature], milliseconds: milliseconds.network };
      }
      const features = [];
      let milliseconds = 0;
      for await (const result of extractor.embedMany(images, { batchSize: images.length, workers: 1 })) {
        if (result.error) throw result.error;
        features.push(...result.feature);
        milliseconds += result.milliseconds.network;
      }
      return { features, milliseconds };
    },
  };
}
