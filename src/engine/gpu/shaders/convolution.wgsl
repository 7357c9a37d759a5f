// A dense convolution. A thread computes one channel of four pixels in a row: neighbours read neighbouring weights and the
// same pixels. Weights are [side, side, in, out].

fn number(at: u32, inside: bool) -> f32 {
  return select(0.0, input[at], inside);
}

fn store(value: f32, x: u32, place: u32) {
  if (x < shapes.out_width) {
    output[place] = value;
  }
}

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  let strips = (shapes.out_width + 3u) / 4u;
  let y = id.y / strips;
  let x = id.y % strips * 4u;
  if (channel >= shapes.out_pixel || y >= shapes.out_height) {
    return;
  }
  var sums = vec4<f32>(weights[shapes.bias + channel]);
  for (var dy = 0u; dy < shapes.side; dy++) {
    let row = i32(y * shapes.stride + dy) - i32(shapes.before);
    if (row < 0 || row >= i32(shapes.height)) {
      continue;
    }
    let start = id.z * shapes.image + u32(row) * shapes.width * shapes.pixel;
    for (var dx = 0u; dx < shapes.side; dx++) {
      let first = i32(x * shapes.stride + dx) - i32(shapes.before);
      let columns = vec4<i32>(first) + vec4<i32>(0, 1, 2, 3) * i32(shapes.stride);
      let inside = (columns >= vec4<i32>(0)) & (columns < vec4<i32>(i32(shapes.width)));
      let at = start + vec4<u32>(clamp(columns, vec4<i32>(0), vec4<i32>(i32(shapes.width) - 1))) * shapes.pixel;
      var weight = (dy * shapes.side + dx) * shapes.channels * shapes.out_pixel + channel;
      for (var k = 0u; k < shapes.channels; k++) {
        let place = at + k * shapes.channel;
        let pixels = vec4<f32>(
          number(place.x, inside.x), number(place.y, inside.y), number(place.z, inside.z), number(place.w, inside.w));
        sums += weights[weight] * pixels;
        weight += shapes.out_pixel;
      }
    }
  }
  sums = activate(sums);
  let place = id.z * shapes.out_image + (y * shapes.out_width + x) * shapes.out_pixel + channel;
  store(sums.x, x, place);
  store(sums.y, x + 1u, place + shapes.out_pixel);
  store(sums.z, x + 2u, place + 2u * shapes.out_pixel);
  store(sums.w, x + 3u, place + 3u * shapes.out_pixel);
}
