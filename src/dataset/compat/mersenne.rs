//! CPython's `random`: the Mersenne Twister, with Python's seeding and shuffling.

const STATE: usize = 624;
const MIDDLE: usize = 397;

/// `random.Random(seed)` of CPython, for shuffling.
///
/// ```
/// use image_feature::dataset::compat::PythonRandom;
///
/// // random.seed(123); x = list(range(5)); random.shuffle(x)
/// let mut x = [0, 1, 2, 3, 4];
/// PythonRandom::new(123).shuffle(&mut x);
/// assert_eq!(x, [3, 1, 4, 2, 0]);
/// ```
#[derive(Clone)]
pub struct PythonRandom {
    state: [u32; STATE],
    index: usize,
}

impl PythonRandom {
    /// `random.seed(seed)`.
    pub fn new(seed: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32];
        Self::from_words(if words[1] == 0 { &words[..1] } else { &words })
    }

    /// The reference implementation's `init_by_array`.
    fn from_words(key: &[u32]) -> Self {
        let mut state = [0u32; STATE];
        state[0] = 19_650_218;
        for i in 1..STATE {
            state[i] = mixed(&state, i).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        let step = |state: &mut [u32; STATE], i: &mut usize| {
            *i += 1;
            if *i == STATE {
                state[0] = state[STATE - 1];
                *i = 1;
            }
        };
        for k in 0..STATE.max(key.len()) {
            let j = k % key.len();
            state[i] =
                (state[i] ^ mixed(&state, i).wrapping_mul(1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            step(&mut state, &mut i);
        }
        for _ in 1..STATE {
            state[i] = (state[i] ^ mixed(&state, i).wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            step(&mut state, &mut i);
        }
        state[0] = 0x8000_0000;
        PythonRandom { state, index: STATE }
    }

    /// `random.getrandbits(32)`.
    pub fn next_u32(&mut self) -> u32 {
        if self.index == STATE {
            self.refill();
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..STATE {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
            let twisted = (y >> 1) ^ if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % STATE] ^ twisted;
        }
        self.index = 0;
    }

    /// `random.shuffle(items)`, for fewer than 2^32 items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// `random._randbelow(bound)`: draws bits until their number is below `bound`.
    fn below(&mut self, bound: u32) -> u32 {
        let unused = bound.leading_zeros();
        loop {
            let drawn = self.next_u32() >> unused;
            if drawn < bound {
                return drawn;
            }
        }
    }
}

fn mixed(state: &[u32; STATE], i: usize) -> u32 {
    state[i - 1] ^ (state[i - 1] >> 30)
}
