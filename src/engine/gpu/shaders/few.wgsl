// The matrix product of a map with few pixels. There are few outputs, so four threads share the sum of each: thread (c, s)
// takes every fourth part of the input's channels for output channel c. Weights are as in `pointwise`.

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let inner = shapes.pixel / 4u;
  let start = (group.z * shapes.image + group.y * shapes.pixel) / 4u;
  let column = group.x * shapes.pixel * 16u + local.x;
  var sum = 0.0;
  for (var k = local.y; k < inner; k += 4u) {
    var x = input[start + k];
    if (shapes.has_gate != 0u) {
      x *= gate[group.z * inner + k];
    }
    let w = column + k * 64u;
    sum += dot(x, vec4<f32>(weights[w], weights[w + 16u], weights[w + 32u], weights[w + 48u]));
  }
  parts[local.y * 16u + local.x] = sum;
  workgroupBarrier();
  let channel = group.x * 16u + local.x;
  if (local.y > 0u || channel >= shapes.out_pixel) {
    return;
  }
  var total = weights[shapes.bias + channel];
  for (var part = 0u; part < 4u; part++) {
    total += parts[part * 16u + local.x];
  }
  var value = activate(vec4<f32>(total)).x;
  let place = group.y * shapes.out_pixel + channel;
  if (shapes.has_residual != 0u) {
    value += residual[group.z * shapes.residual_image + place];
  }
  output[group.z * shapes.out_image + place] = value;
}
