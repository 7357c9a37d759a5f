// The mean over the pixels: four threads share the sum of each channel.

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let channel = group.x * 16u + local.x;
  let pixels = shapes.height * shapes.width;
  var sum = 0.0;
  if (channel < shapes.pixel) {
    for (var pixel = shapes.extra + local.y; pixel < pixels; pixel += 4u) {
      sum += input[group.z * shapes.image + pixel * shapes.pixel + channel];
    }
  }
  parts[local.y * 16u + local.x] = sum;
  workgroupBarrier();
  if (local.y > 0u || channel >= shapes.out_pixel) {
    return;
  }
  var total = 0.0;
  for (var part = 0u; part < 4u; part++) {
    total += parts[part * 16u + local.x];
  }
  output[group.z * shapes.out_image + channel] = total / f32(pixels - shapes.extra);
}
