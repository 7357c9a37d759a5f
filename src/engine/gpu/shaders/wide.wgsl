// The matrix product for a CPU that emulates a GPU. A load costs as much there as dozens of sums, and each is many
// instructions of code, which must stay in a small cache. So a thread computes 16 channels of eight pixels, which no GPU has
// registers for, in a loop that is not unrolled. Weights are [out / 16, in, 16]; thread t of four has the channels
// 4 t to 4 t + 3 of four tiles.

fn store(sums: vec4<f32>, row: u32, image: u32, column: u32) {
  if (row >= shapes.out_height || column * 4u >= shapes.out_pixel) {
    return;
  }
  var values = activate(sums);
  let place = row * (shapes.out_pixel / 4u) + column;
  if (shapes.has_residual != 0u) {
    values += residual[image * (shapes.residual_image / 4u) + place];
  }
  output[image * (shapes.out_image / 4u) + place] = values;
}

@compute @workgroup_size(4, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let row = (group.y * 4u + local.y) * 8u;
  if (row >= shapes.out_height) {
    return;
  }
  let last = shapes.out_height - 1u;
  let last_tile = (shapes.out_pixel - 1u) / 16u;
  let start = group.z * shapes.image;
  START;
  for (var k = 0u; k < shapes.channels; k++) {
    BODY;
  }
  END;
}
