// A matrix product at each pixel. A thread computes four channels of four pixels. Four threads side by side read the same
// pixels and neighbouring weights: one load of a cache line serves them all, and on a CPU that emulates a GPU it is one
// instruction. Weights are [out / 16, in, 16]; thread t of the four has the channels t, t + 4, t + 8 and t + 12.

fn store(sums: vec4<f32>, row: u32, image: u32, first: u32) {
  if (row >= shapes.out_height) {
    return;
  }
  var values = activate(sums);
  let place = row * shapes.out_pixel + first;
  let room = shapes.out_pixel - first;
  if (shapes.has_residual != 0u) {
    let source = image * shapes.residual_image + place;
    values.x += residual[source];
    if (room > 4u) { values.y += residual[source + 4u]; }
    if (room > 8u) { values.z += residual[source + 8u]; }
    if (room > 12u) { values.w += residual[source + 12u]; }
  }
  let to = image * shapes.out_image + place;
  output[to] = values.x;
  if (room > 4u) { output[to + 4u] = values.y; }
  if (room > 8u) { output[to + 8u] = values.z; }
  if (room > 12u) { output[to + 12u] = values.w; }
}

@compute @workgroup_size(4, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  // the map is one column here: out_height is its number of pixels
  let row = (group.y * 16u + local.y) * 4u;
  if (row >= shapes.out_height) {
    return;
  }
  let inner = shapes.pixel / 4u;
  let last = shapes.out_height - 1u;
  let start = group.z * (shapes.image / 4u);
  let p0 = start + row * inner;
  let p1 = start + min(row + 1u, last) * inner;
  let p2 = start + min(row + 2u, last) * inner;
  let p3 = start + min(row + 3u, last) * inner;
  var w = group.x * shapes.pixel * 16u + local.x;
  let bias = shapes.bias + group.x * 16u + local.x;
  var a0 = vec4<f32>(weights[bias], weights[bias + 4u], weights[bias + 8u], weights[bias + 12u]);
  var a1 = a0;
  var a2 = a0;
  var a3 = a0;
  for (var k = 0u; k < inner; k++) {
    GATE
    let x0 = input[p0 + k] FACTOR;
    let x1 = input[p1 + k] FACTOR;
    let x2 = input[p2 + k] FACTOR;
    let x3 = input[p3 + k] FACTOR;
    let w0 = vec4<f32>(weights[w], weights[w + 4u], weights[w + 8u], weights[w + 12u]);
    a0 += x0.x * w0;
    a1 += x1.x * w0;
    a2 += x2.x * w0;
    a3 += x3.x * w0;
    let w1 = vec4<f32>(weights[w + 16u], weights[w + 20u], weights[w + 24u], weights[w + 28u]);
    a0 += x0.y * w1;
    a1 += x1.y * w1;
    a2 += x2.y * w1;
    a3 += x3.y * w1;
    let w2 = vec4<f32>(weights[w + 32u], weights[w + 36u], weights[w + 40u], weights[w + 44u]);
    a0 += x0.z * w2;
    a1 += x1.z * w2;
    a2 += x2.z * w2;
    a3 += x3.z * w2;
    let w3 = vec4<f32>(weights[w + 48u], weights[w + 52u], weights[w + 56u], weights[w + 60u]);
    a0 += x0.w * w3;
    a1 += x1.w * w3;
    a2 += x2.w * w3;
    a3 += x3.w * w3;
    w += 64u;
  }
  let first = group.x * 16u + local.x;
  if (first >= shapes.out_pixel) {
    return;
  }
  store(a0, row, group.z, first);
  store(a1, row + 1u, group.z, first);
  store(a2, row + 2u, group.z, first);
  store(a3, row + 3u, group.z, first);
}
