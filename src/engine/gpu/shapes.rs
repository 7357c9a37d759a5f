//! A row of the table of shapes: the sizes of one dispatch.

/// The sizes that a shader reads, in the order of the structure `Shapes` in `shaders/common.wgsl`, which explains them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the shader's structure has the same fields with their meaning
pub struct Shapes {
    pub height: u32,
    pub width: u32,
    pub pixel: u32,
    pub channel: u32,
    pub image: u32,
    pub channels: u32,
    pub out_height: u32,
    pub out_width: u32,
    pub out_pixel: u32,
    pub out_image: u32,
    pub side: u32,
    pub stride: u32,
    pub before: u32,
    pub activation: u32,
    pub bias: u32,
    pub has_residual: u32,
    pub residual_image: u32,
    pub extra: u32,
    pub has_gate: u32,
    pub has_affine: u32,
}

impl Shapes {
    /// The numbers of a row.
    pub const LEN: usize = 20;

    /// The row as the shader reads it.
    pub fn to_words(&self) -> [u32; Self::LEN] {
        [
            self.height,
            self.width,
            self.pixel,
            self.channel,
            self.image,
            self.channels,
            self.out_height,
            self.out_width,
            self.out_pixel,
            self.out_image,
            self.side,
            self.stride,
            self.before,
            self.activation,
            self.bias,
            self.has_residual,
            self.residual_image,
            self.extra,
            self.has_gate,
            self.has_affine,
        ]
    }
}
