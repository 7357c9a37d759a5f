// The beginning of every shader. `INPUT`, `WEIGHTS` and `OUTPUT` are `f32` or `vec4<f32>`.

// One row of the table of shapes. Distances are in numbers (f32).
struct Shapes {
  height: u32,         // of the input
  width: u32,
  pixel: u32,          // from a pixel of the input to the next
  channel: u32,        // from a channel to the next
  image: u32,          // from an image to the next
  channels: u32,       // of the input, without padding
  out_height: u32,
  out_width: u32,
  out_pixel: u32,      // from a pixel of the output to the next: its channels with padding
  out_image: u32,
  side: u32,           // of a kernel or a patch
  stride: u32,
  before: u32,         // rows of the kernel above the input
  activation: u32,     // 0 none, 1 relu, 2 relu6, 3 gelu, 4 sigmoid, 5 hard swish, 6 hard sigmoid
  bias: u32,           // the place of the bias behind the weights
  has_residual: u32,
  residual_image: u32, // 0 where all images add the same
  extra: u32,          // pixels that a mean leaves out; heads; the bits of epsilon
  has_gate: u32,
  has_affine: u32,
}

@group(0) @binding(0) var<uniform> shapes: Shapes;
@group(0) @binding(1) var<storage, read> input: array<INPUT>;
@group(0) @binding(2) var<storage, read> weights: array<WEIGHTS>;
@group(0) @binding(3) var<storage, read> gate: array<INPUT>;
@group(0) @binding(4) var<storage, read> residual: array<OUTPUT>;
@group(0) @binding(5) var<storage, read_write> output: array<OUTPUT>;

// The error function of a number that is not negative, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn erf(x: vec4<f32>) -> vec4<f32> {
  let t = 1.0 / (1.0 + 0.3275911 * x);
  let sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return 1.0 - sum * exp(-x * x);
}

fn activate(x: vec4<f32>) -> vec4<f32> {
  switch shapes.activation {
    case 1u: { return max(x, vec4<f32>(0.0)); }
    case 2u: { return clamp(x, vec4<f32>(0.0), vec4<f32>(6.0)); }
    case 3u: { return 0.5 * x * (1.0 + sign(x) * erf(abs(x) * 0.7071067811865476)); }
    case 4u: { return 1.0 / (1.0 + exp(-x)); }
    case 5u: { return x * clamp(x / 6.0 + 0.5, vec4<f32>(0.0), vec4<f32>(1.0)); }
    case 6u: { return clamp(x / 6.0 + 0.5, vec4<f32>(0.0), vec4<f32>(1.0)); }
    default: { return x; }
  }
}
