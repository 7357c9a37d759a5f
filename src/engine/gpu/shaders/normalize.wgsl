// LayerNorm: 64 threads for each pixel. Weights are [2, channels]: scale and shift.

var<workgroup> parts: array<f32, 64>;

// The sum of all threads' numbers.
fn sum_of_all(thread: u32, number: f32) -> f32 {
  parts[thread] = number;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (thread < half) {
      parts[thread] += parts[thread + half];
    }
    workgroupBarrier();
  }
  let sum = parts[0];
  // nobody writes the next numbers before all have read this sum
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let start = group.z * shapes.image + group.y * shapes.pixel;
  var sum = 0.0;
  for (var channel = local.x; channel < shapes.channels; channel += 64u) {
    sum += input[start + channel];
  }
  let mean = sum_of_all(local.x, sum) / f32(shapes.channels);
  sum = 0.0;
  for (var channel = local.x; channel < shapes.channels; channel += 64u) {
    let apart = input[start + channel] - mean;
    sum += apart * apart;
  }
  let variance = sum_of_all(local.x, sum) / f32(shapes.channels);
  let factor = inverseSqrt(variance + bitcast<f32>(shapes.extra));
  let to = group.z * shapes.out_image + group.y * shapes.out_pixel;
  for (var channel = local.x; channel < shapes.out_pixel; channel += 64u) {
    var value = 0.0;
    if (channel < shapes.channels) {
      value = (input[start + channel] - mean) * factor;
      if (shapes.has_affine != 0u) {
        value = value * weights[channel] + weights[shapes.bias + channel];
      }
    }
    output[to + channel] = value;
  }
}
