// A convolution of each channel by itself. A thread computes one channel of four pixels in a row: neighbours have
// neighbouring channels. Weights are [side, side, channels].

fn number(start: u32, column: i32, channel: u32) -> f32 {
  let inside = column >= 0 && column < i32(shapes.width);
  let place = start + u32(clamp(column, 0, i32(shapes.width) - 1)) * shapes.pixel + channel;
  return select(0.0, input[place], inside);
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
  let first = i32(x * STRIDE) - i32(shapes.before);
  var sums = vec4<f32>(weights[shapes.bias + channel]);
  for (var dy = 0u; dy < SIDE; dy++) {
    let line = i32(y * STRIDE + dy) - i32(shapes.before);
    if (line < 0 || line >= i32(shapes.height)) {
      continue;
    }
    let start = id.z * shapes.image + u32(line) * shapes.width * shapes.pixel;
    let weight = dy * SIDE * shapes.out_pixel + channel;
    ROW;
  }
  sums = activate(sums);
  let place = id.z * shapes.out_image + (y * shapes.out_width + x) * shapes.out_pixel + channel;
  store(sums.x, x, place);
  store(sums.y, x + 1u, place + shapes.out_pixel);
  store(sums.z, x + 2u, place + 2u * shapes.out_pixel);
  store(sums.w, x + 3u, place + 3u * shapes.out_pixel);
}
