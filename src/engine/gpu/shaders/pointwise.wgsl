// A matrix product at each pixel. A thread computes four channels of four pixels. Four threads side by side read the same
// pixels and neighbouring weights. Weights are [out / 16, in, 16].

fn store(sums: vec4<f32>, row: u32, image: u32, column: u32) {
  if (row >= shapes.out_height) {
    return;
  }
  var values = activate(sums);
  let place = row * (shapes.out_pixel / 4u) + column;
  if (shapes.has_residual != 0u) {
    values += residual[image * (shapes.residual_image / 4u) + place];
  }
  output[image * (shapes.out_image / 4u) + place] = values;
}

@compute @workgroup_size(4, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  // the map is one column here: out_height is its number of pixels
  let row = (group.y * 16u + local.y) * 4u;
  let column = group.x * 4u + local.x;
  if (row >= shapes.out_height || column * 4u >= shapes.out_pixel) {
    return;
  }
  let inner = shapes.pixel / 4u;
  let last = shapes.out_height - 1u;
  let start = group.z * (shapes.image / 4u);
  let p0 = start + row * inner;
  let p1 = start + min(row + 1u, last) * inner;
  let p2 = start + min(row + 2u, last) * inner;
  let p3 = start + min(row + 3u, last) * inner;
  var w = group.x * shapes.pixel * 4u + local.x;
  var a0 = weights[shapes.bias / 4u + column];
  var a1 = a0;
  var a2 = a0;
  var a3 = a0;
  for (var k = 0u; k < inner; k++) {
    GATE
    let x0 = input[p0 + k] FACTOR;
    let x1 = input[p1 + k] FACTOR;
    let x2 = input[p2 + k] FACTOR;
    let x3 = input[p3 + k] FACTOR;
    let w0 = weights[w];
    let w1 = weights[w + 4u];
    let w2 = weights[w + 8u];
    let w3 = weights[w + 12u];
    a0 += x0.x * w0 + x0.y * w1 + x0.z * w2 + x0.w * w3;
    a1 += x1.x * w0 + x1.y * w1 + x1.z * w2 + x1.w * w3;
    a2 += x2.x * w0 + x2.y * w1 + x2.z * w2 + x2.w * w3;
    a3 += x3.x * w0 + x3.y * w1 + x3.z * w2 + x3.w * w3;
    w += 16u;
  }
  store(a0, row, group.z, column);
  store(a1, row + 1u, group.z, column);
  store(a2, row + 2u, group.z, column);
  store(a3, row + 3u, group.z, column);
}
