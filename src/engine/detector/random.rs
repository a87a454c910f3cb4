//! Python's random numbers, so that a detector that samples gives the signals it gives there.
//!
//! Nothing is drawn from outside: the seed is a setting, and the same seed gives the same numbers.

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// The Mersenne twister of Matsumoto and Nishimura 1998, seeded as `random.Random(seed)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PythonRandom {
    state: Vec<u32>,
    at: usize,
}

impl PythonRandom {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = vec![19_650_218u32; SIZE];
        for i in 1..SIZE {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = before.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        let mut mix = |state: &mut Vec<u32>, factor: u32, add: u32, subtract: bool| {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            let mixed = state[i] ^ before.wrapping_mul(factor);
            state[i] = match subtract {
                true => mixed.wrapping_sub(i as u32),
                false => mixed.wrapping_add(add),
            };
            i += 1;
            if i >= SIZE {
                state[0] = state[SIZE - 1];
                i = 1;
            }
        };
        // The key has one word: its position is always 0.
        for _ in 0..SIZE {
            mix(&mut state, 1_664_525, seed, false);
        }
        for _ in 1..SIZE {
            mix(&mut state, 1_566_083_941, 0, true);
        }
        state[0] = 0x8000_0000;
        Self { state, at: SIZE }
    }

    fn next(&mut self) -> u32 {
        if self.at == SIZE {
            for i in 0..SIZE {
                let word =
                    (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % SIZE] & 0x7fff_ffff);
                let odd = if word & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + MIDDLE) % SIZE] ^ (word >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in 0 .. `end`, which is not 0.
    fn below(&mut self, end: u32) -> u32 {
        let bits = u32::BITS - end.leading_zeros();
        loop {
            let drawn = self.next() >> (32 - bits);
            if drawn < end {
                return drawn;
            }
        }
    }

    /// `random.sample(range(population), count)`; `count` is not greater.
    pub(super) fn sample(&mut self, population: u32, count: usize) -> Vec<u32> {
        // Python keeps a set instead of a list where the population is much greater.
        let mut set_size = 21u64;
        if count > 5 {
            set_size += 4u64.pow((count as f64 * 3.0).log(4.0).ceil() as u32);
        }
        if u64::from(population) > set_size {
            let mut drawn: Vec<u32> = Vec::with_capacity(count);
            while drawn.len() < count {
                let next = self.below(population);
                if !drawn.contains(&next) {
                    drawn.push(next);
                }
            }
            return drawn;
        }
        let mut pool: Vec<u32> = (0..population).collect();
        let draw = |i: usize| {
            let at = self.below(population - i as u32) as usize;
            let drawn = pool[at];
            pool[at] = pool[population as usize - i - 1];
            drawn
        };
        (0..count).map(draw).collect()
    }
}
