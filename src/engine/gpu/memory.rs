//! Buffers for the values of a program: a value takes a buffer that no living value has.
//!
//! A dispatch may not write into a buffer that it reads, not even in another place. So values share whole buffers, one
//! after the other, and not parts of one block of memory as on the CPU.

/// A value between dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Numbers of one image.
    pub len: usize,
    /// The dispatch that makes it.
    pub from: usize,
    /// The last dispatch that reads it.
    pub to: usize,
}

/// The buffer of each value, and the numbers of each buffer. Values are in the order in which they are made.
pub(super) fn assign(lives: &[Life]) -> (Vec<usize>, Vec<usize>) {
    let mut sizes: Vec<usize> = Vec::new();
    let mut busy_to: Vec<usize> = Vec::new();
    let mut buffers = Vec::with_capacity(lives.len());
    for life in lives {
        let free = (0..sizes.len()).filter(|&buffer| busy_to[buffer] < life.from);
        // the smallest that is large enough; else the largest grows
        let best = free.min_by_key(|&buffer| match sizes[buffer] >= life.len {
            true => (0, sizes[buffer]),
            false => (1, usize::MAX - sizes[buffer]),
        });
        let buffer = best.unwrap_or_else(|| {
            sizes.push(0);
            busy_to.push(0);
            sizes.len() - 1
        });
        sizes[buffer] = sizes[buffer].max(life.len);
        busy_to[buffer] = life.to;
        buffers.push(buffer);
    }
    (buffers, sizes)
}
