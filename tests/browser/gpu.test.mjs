/**
 * The package's own shaders on WebGPU, in software: the features, and what happens where the GPU fails. Failures are made on
 * the page, by changing what its WebGPU gives; so the network runs on the page's thread there.
 */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import {
  GOLDEN,
  HANG_MS,
  MODEL_FILES,
  SOFTWARE_WEBGPU,
  WWW,
  goldenFeature,
  largestDifference,
  launch,
  openPage,
  requireWasm,
  tar,
  withoutGolden,
} from "./harness.mjs";
import { serveStatic } from "./static-server.mjs";

/** Largest difference of a feature's element from PaddleX's, and of features of the same network on two devices. */
const TOLERANCE = 1e-4;
const IMAGES = withoutGolden ? [] : readdirSync(join(GOLDEN, "features/inputs"));

let browser;
let site;

before(async () => {
  requireWasm(["cpu", "cpu-relaxed"]);
  browser = await launch(SOFTWARE_WEBGPU);
  const archive = withoutGolden
    ? Buffer.alloc(0)
    : tar(MODEL_FILES.map((path) => ({ name: `PP-ShiTuV2_rec_infer/${basename(path)}`, bytes: readFileSync(path) })));
  site = await serveStatic({
    mounts: [
      ["/", WWW],
      ["/golden/", GOLDEN],
    ],
    answers: {
      "/empty.html": (response) =>
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>"),
      "/model.tar": (response) => response.writeHead(200, { "content-length": archive.length }).end(archive),
    },
  });
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** In the browser: the package, images, and ways to make WebGPU fail. */
async function setUp() {
  const { FeatureExtractor } = await import("/image-feature/index.js");
  /** Puts a function around a method: it gets the method as its first argument. */
  const around = (prototype, name, wrap) => {
    const method = prototype[name];
    prototype[name] = function (...given) {
      return wrap.call(this, method.bind(this), ...given);
    };
  };
  /** An image of two colours; no two numbers give the same. */
  const image = (number) => {
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext("2d");
    context.fillStyle = `hsl(${(number * 47) % 360} 80% 40%)`;
    context.fillRect(0, 0, 64, 64);
    context.fillStyle = `hsl(${(number * 91 + 180) % 360} 60% 70%)`;
    context.fillRect(8 + number, 16, 24, 40);
    return context.getImageData(0, 0, 64, 64);
  };
  return {
    around,
    image,
    load: (options) => FeatureExtractor.load("tiny", { device: "webgpu", threads: 1, worker: false, ...options }),
    loadOfficial: (options) => FeatureExtractor.load("/model.tar", options),
    photo: async (name) => new File([await (await fetch(`/golden/features/inputs/${name}`)).blob()], name),
    outcome: (promise) =>
      promise.then(
        (value) => ({ value }),
        ({ kind, message }) => ({ kind, message }),
      ),
    /** The adapter in software looks like one in hardware. */
    disguise: () =>
      Object.defineProperty(GPUAdapter.prototype, "info", {
        get: () => ({ vendor: "acme", architecture: "fast", device: "", description: "", isFallbackAdapter: false }),
      }),
    /** Features of some images on the CPU, in f32. */
    onCpu: async (numbers) => {
      const extractor = await FeatureExtractor.load("tiny", { device: "cpu", dtype: "f32", threads: 1 });
      const features = [];
      for (const number of numbers) features.push([...(await extractor.embed(image(number))).feature]);
      extractor.dispose();
      return features;
    },
  };
}

/**
 * @param {string} name
 * @param {(api: any) => unknown} body runs in the browser
 * @param {(result: any) => void} check
 * @param {{ skip?: string | false, given?: unknown, first?: (api: any) => unknown }} [options] `first` runs in the browser
 *   before
 */
function inBrowser(name, body, check, { skip = false, given, first = () => {} } = {}) {
  test(name, { timeout: HANG_MS, skip }, async () => {
    const { page, close } = await openPage(browser, `${site.url}/empty.html`);
    const api = await page.evaluateHandle(setUp);
    await page.evaluate(first, api);
    check(
      await page.evaluate(body, await page.evaluateHandle(({ api, given }) => ({ ...api, given }), { api, given })),
    );
    assert.deepEqual(await close(), []);
  });
}

function assertSame(features, expected, what) {
  features.forEach((feature, index) => {
    const difference = largestDifference(feature, expected[index]);
    assert.ok(difference <= TOLERANCE, `${what}, image ${index}: ${difference}`);
  });
}

inBrowser(
  "each image has the feature PaddleX gives it, one by one and in batches, and no Burn is fetched",
  async ({ loadOfficial, photo, given: names }) => {
    const photos = await Promise.all(names.map(photo));
    const start = performance.now();
    const extractor = await loadOfficial({ device: "webgpu" });
    await extractor.embed(photos[0]);
    const first = performance.now() - start;
    const alone = {};
    const each = [];
    for (const file of photos) {
      const { feature, milliseconds } = await extractor.embed(file);
      alone[file.name] = [...feature];
      each.push(milliseconds.network);
    }
    const batches = {};
    // 8 at once, and a rest
    const many = Array.from({ length: 19 }, (_, index) => ({
      source: photos[index % photos.length],
      name: `${index}`,
    }));
    for await (const { name, feature, error } of extractor.embedMany(many, { batchSize: 19 })) {
      if (error) throw error;
      batches[name] = [...feature];
    }
    const { info } = extractor;
    extractor.dispose();
    const addresses = performance.getEntriesByType("resource").map(({ name }) => name);
    return { info, alone, batches, first, each, burn: addresses.filter((address) => address.includes("/wasm/gpu/")) };
  },
  ({ info, alone, batches, first, each, burn }) => {
    console.log(
      `first feature after ${first.toFixed(0)} ms, then ${each.map((time) => time.toFixed(0)).join(", ")} ms`,
    );
    assert.deepEqual([info.device, info.dtype, info.reasons], ["webgpu", "f32", []]);
    assert.match(info.adapter, /swiftshader/i);
    assert.deepEqual(burn, []);
    for (const [name, feature] of Object.entries(alone)) assertSame([feature], [goldenFeature(name)], name);
    assert.equal(Object.keys(batches).length, 19);
    for (const [number, feature] of Object.entries(batches)) {
      const name = IMAGES[Number(number) % IMAGES.length];
      assertSame([feature], [goldenFeature(name)], `${name} in a batch`);
    }
  },
  { skip: withoutGolden, given: IMAGES },
);

inBrowser(
  "auto takes the quicker one of GPU and CPU, and gives both times",
  async ({ load, disguise, around }) => {
    disguise();
    const slow = (await load({ device: "auto" })).info;
    // a CPU that is slower than the adapter in software
    const { Network } = await import("/image-feature/wasm/cpu-relaxed/image_feature.js");
    around(Network.prototype, "run", async (run, ...given) => {
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      return run(...given);
    });
    const quick = (await load({ device: "auto" })).info;
    return { slow, quick };
  },
  ({ slow, quick }) => {
    const times = /^WebGPU: an image takes [\d.]+ ms on acme fast, [\d.]+ ms on the CPU$/;
    assert.equal(slow.device, "cpu");
    assert.match(slow.reasons[0], times);
    assert.deepEqual([quick.device, quick.adapter, quick.dtype], ["webgpu", "acme fast", "f32"]);
    assert.match(quick.reasons[0], times);
  },
);

/** Faults that the load finds: what is changed on the page, and what the error says. Both kinds of adapters have the line. */
const FAULTS = {
  "a wrong kernel": {
    body: ({ around }) =>
      around(GPUDevice.prototype, "createShaderModule", (create, { code, label }) =>
        create({ label, code: code.replace("var values = activate(sums);", "var values = activate(sums) + 0.05;") }),
      ),
    expected: /self-test on .* failed at one image: its feature differs from the CPU's by/,
  },
  "a shader that does not compile": {
    body: ({ around }) =>
      around(GPUDevice.prototype, "createShaderModule", (create, { code, label }) =>
        create({ label, code: code.replace("var values = activate(sums);", "var values = nothing;") }),
      ),
    expected: /the shader `(wide )?(gated )?product` did not compile: .*nothing/s,
  },
  "a second image with the first one's result": {
    body: ({ around }) => {
      const written = new Set();
      around(GPUQueue.prototype, "writeBuffer", (write, buffer, offset, data, ...rest) => {
        // weights are written once, images again and again
        if (data instanceof Float32Array && written.has(buffer)) return;
        written.add(buffer);
        write(buffer, offset, data, ...rest);
      });
    },
    expected: /self-test on .* failed at a batch/,
  },
  "a batch whose second image is not computed": {
    body: ({ around }) =>
      around(GPUComputePassEncoder.prototype, "dispatchWorkgroups", (dispatch, x, y) => dispatch(x, y, 1)),
    expected: /self-test on .* failed at a batch/,
  },
  "a device that is destroyed during the load": {
    body: ({ around }) => {
      around(GPUAdapter.prototype, "requestDevice", async (request, ...given) => {
        const device = await request(...given);
        around(device.queue, "submit", (submit, ...given) => {
          submit(...given);
          device.destroy();
        });
        return device;
      });
    },
    expected: /the GPU was lost/,
  },
  "memory that cannot be had": {
    body: ({ around }) =>
      around(GPUDevice.prototype, "createBuffer", (create, { size, usage }) => create({ size: size + 2 ** 40, usage })),
    expected: /the memory of the network failed/,
  },
};

for (const [name, { body, expected }] of Object.entries(FAULTS)) {
  inBrowser(
    `${name}: the CPU computes, or the error says so where WebGPU was asked for`,
    async ({ load, image, outcome, disguise }) => {
      const asked = await outcome(load());
      disguise();
      const extractor = await load({ device: "auto" });
      const { feature } = await extractor.embed(image(1));
      return { asked, info: extractor.info, length: feature.length };
    },
    ({ asked, info, length }) => {
      assert.equal(asked.kind, "device");
      assert.match(asked.message, /^WebGPU cannot be used: /);
      assert.match(asked.message, expected);
      assert.equal(info.device, "cpu");
      assert.match(info.reasons[0], expected);
      assert.equal(length, 512);
    },
    { first: body },
  );
}

/** Ways to lose the device after the load: when, and whether another one can be had. */
const LOSSES = {
  "between two images": { during: false, another: true },
  "during an image": { during: true, another: true },
  "between two images, without another": { during: false, another: false },
  "during an image, without another": { during: true, another: false },
};

for (const [name, given] of Object.entries(LOSSES)) {
  inBrowser(
    `a device lost ${name}: no image is lost, and the information says so`,
    async ({ load, image, around, onCpu, given: { during, another } }) => {
      const devices = [];
      let destroyNext = false;
      around(GPUAdapter.prototype, "requestDevice", async (request, ...given) => {
        const device = await request(...given);
        devices.push(device);
        around(device.queue, "submit", (submit, ...given) => {
          submit(...given);
          if (!destroyNext) return;
          destroyNext = false;
          device.destroy();
        });
        return device;
      });
      const changes = [];
      const extractor = await load({ onDeviceChange: (info) => changes.push(info) });
      const before = extractor.info;
      const features = [[...(await extractor.embed(image(0))).feature]];
      if (!another) navigator.gpu.requestAdapter = async () => null;
      if (during) destroyNext = true;
      else devices[0].destroy();
      // three at once
      const images = [1, 2, 3].map(image);
      features.push(
        ...(await Promise.all(images.map((image) => extractor.embed(image)))).map(({ feature }) => [...feature]),
      );
      features.push([...(await extractor.embed(image(4))).feature]);
      const { info } = extractor;
      extractor.dispose();
      return { before, info, changes, features, devices: devices.length, expected: await onCpu([0, 1, 2, 3, 4]) };
    },
    ({ before, info, changes, features, devices, expected }) => {
      assert.deepEqual([before.device, before.reasons], ["webgpu", []]);
      assert.equal(info.reasons.length, 1);
      assert.match(info.reasons[0], /^WebGPU: the GPU was lost: /);
      assert.match(info.reasons[0], given.another ? /a new device computes$/ : /no WebGPU adapter.*the CPU computes$/);
      assert.equal(info.device, given.another ? "webgpu" : "cpu");
      assert.equal(devices, given.another ? 2 : 1);
      assert.deepEqual(changes, [info]);
      // the model is for i8, but a gallery of its features in f32 must not get others
      assert.equal(info.dtype, "f32");
      assertSame(features, expected, name);
    },
    { given },
  );
}
