// A dense convolution. A thread computes four channels of four pixels in a row: neighbours read neighbouring weights and the
// same pixels. Weights are [side, side, in, out].

fn number(at: u32, inside: bool) -> f32 {
  return select(0.0, input[at], inside);
}

fn store(sums: vec4<f32>, x: u32, place: u32) {
  if (x < shapes.out_width) {
    output[place] = activate(sums);
  }
}

@compute @workgroup_size(4, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let columns = shapes.out_pixel / 4u;
  let column = id.x;
  let strips = (shapes.out_width + 3u) / 4u;
  let y = id.y / strips;
  let x = id.y % strips * 4u;
  if (column >= columns || y >= shapes.out_height) {
    return;
  }
  var a0 = weights[shapes.bias / 4u + column];
  var a1 = a0;
  var a2 = a0;
  var a3 = a0;
  for (var dy = 0u; dy < shapes.side; dy++) {
    let row = i32(y * shapes.stride + dy) - i32(shapes.before);
    if (row < 0 || row >= i32(shapes.height)) {
      continue;
    }
    let start = id.z * shapes.image + u32(row) * shapes.width * shapes.pixel;
    for (var dx = 0u; dx < shapes.side; dx++) {
      let first = i32(x * shapes.stride + dx) - i32(shapes.before);
      let places = vec4<i32>(first) + vec4<i32>(0, 1, 2, 3) * i32(shapes.stride);
      let inside = (places >= vec4<i32>(0)) & (places < vec4<i32>(i32(shapes.width)));
      let at = start + vec4<u32>(clamp(places, vec4<i32>(0), vec4<i32>(i32(shapes.width) - 1))) * shapes.pixel;
      var weight = (dy * shapes.side + dx) * shapes.channels * columns + column;
      for (var k = 0u; k < shapes.channels; k++) {
        let from_channel = k * shapes.channel;
        let w = weights[weight];
        a0 += number(at.x + from_channel, inside.x) * w;
        a1 += number(at.y + from_channel, inside.y) * w;
        a2 += number(at.z + from_channel, inside.z) * w;
        a3 += number(at.w + from_channel, inside.w) * w;
        weight += columns;
      }
    }
  }
  let place = id.z * (shapes.out_image / 4u) + (y * shapes.out_width + x) * columns + column;
  store(a0, x, place);
  store(a1, x + 1u, place + columns);
  store(a2, x + 2u, place + 2u * columns);
  store(a3, x + 3u, place + 3u * columns);
}
