// An image's patches as rows of a matrix, behind a row of zeros for the class token. A row has the order of a layer's
// weights: [in, side, side].

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let element = id.x;
  let token = id.y;
  if (element >= shapes.out_pixel) {
    return;
  }
  var value = 0.0;
  if (token > 0u && element < shapes.channels * shapes.side * shapes.side) {
    let columns = shapes.width / shapes.side;
    let y = (token - 1u) / columns * shapes.side + element / shapes.side % shapes.side;
    let x = (token - 1u) % columns * shapes.side + element % shapes.side;
    let channel = element / (shapes.side * shapes.side);
    value = input[id.z * shapes.image + channel * shapes.channel + (y * shapes.width + x) * shapes.pixel];
  }
  output[id.z * shapes.out_image + token * shapes.out_pixel + element] = value;
}
