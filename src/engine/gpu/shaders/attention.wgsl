// Attention: a workgroup has one head and four queries. It goes through the keys 64 at a time: each thread computes the
// scores of one key, then each adds the values of these keys for its channels. What was added before is scaled down where a
// larger score appears, so no row of scores is kept. A thread has at most four channels: heads have at most 256.

var<workgroup> scores: array<vec4<f32>, 64>;
var<private> sums: array<vec4<f32>, 4>;

const LOW = -3.0e38;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let tokens = shapes.height * shapes.width;
  let heads = shapes.extra;
  let width = shapes.channels / 3u;
  let head_width = width / heads;
  let image = group.z * shapes.image;
  let last = tokens - 1u;
  let first = group.y * 4u;
  let q = image + group.x * head_width;
  let q0 = q + first * shapes.pixel;
  let q1 = q + min(first + 1u, last) * shapes.pixel;
  let q2 = q + min(first + 2u, last) * shapes.pixel;
  let q3 = q + min(first + 3u, last) * shapes.pixel;
  var most = vec4<f32>(LOW);
  var total = vec4<f32>(0.0);
  for (var part = 0u; part < 4u; part++) {
    sums[part] = vec4<f32>(0.0);
  }
  for (var chunk = 0u; chunk < tokens; chunk += 64u) {
    let count = min(64u, tokens - chunk);
    var score = vec4<f32>(LOW);
    if (local.x < count) {
      score = vec4<f32>(0.0);
      let key = q + width + (chunk + local.x) * shapes.pixel;
      for (var k = 0u; k < head_width; k++) {
        score += input[key + k] * vec4<f32>(input[q0 + k], input[q1 + k], input[q2 + k], input[q3 + k]);
      }
    }
    scores[local.x] = score;
    workgroupBarrier();
    var larger = most;
    for (var key = 0u; key < count; key++) {
      larger = max(larger, scores[key]);
    }
    // nobody overwrites a score before all have seen it
    workgroupBarrier();
    scores[local.x] = exp(score - larger);
    workgroupBarrier();
    let down = exp(most - larger);
    most = larger;
    total *= down;
    for (var key = 0u; key < count; key++) {
      total += scores[key];
    }
    for (var part = 0u; part * 64u + local.x < head_width; part++) {
      let value = q + 2u * width + chunk * shapes.pixel + part * 64u + local.x;
      var sum = sums[part] * down;
      for (var key = 0u; key < count; key++) {
        sum += scores[key] * input[value + key * shapes.pixel];
      }
      sums[part] = sum;
    }
    workgroupBarrier();
  }
  let to = group.z * shapes.out_image + group.x * head_width;
  for (var part = 0u; part * 64u + local.x < head_width; part++) {
    let channel = part * 64u + local.x;
    let mean = sums[part] / total;
    output[to + first * shapes.out_pixel + channel] = mean.x;
    if (first + 1u < tokens) { output[to + (first + 1u) * shapes.out_pixel + channel] = mean.y; }
    if (first + 2u < tokens) { output[to + (first + 2u) * shapes.out_pixel + channel] = mean.z; }
    if (first + 3u < tokens) { output[to + (first + 3u) * shapes.out_pixel + channel] = mean.w; }
  }
  // the padding behind the last head
  let padding = shapes.out_pixel - width;
  if (group.x == heads - 1u && local.x < padding * 4u && first + local.x / padding < tokens) {
    output[group.z * shapes.out_image + (first + local.x / padding) * shapes.out_pixel + width + local.x % padding] = 0.0;
  }
}
