/** ONNX Runtime Web on the CPU. */

export async function load({ threads, model }) {
  const ort = await import("/ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  return {
    version: ort.env.versions.web,
    async run({ planes, count }) {
      const start = performance.now();
      const given = new ort.Tensor("float32", planes, [count, 3, 224, 224]);
      const result = await session.run({ [input]: given });
      const features = await result[output].getData();
      return { milliseconds: performance.now() - start, features: [...features] };
    },
  };
}
