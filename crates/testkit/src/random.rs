//! Numbers that look random and are the same in each run.

/// A xorshift64* generator (Vigna 2016, "An experimental exploration of Marsaglia's xorshift").
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Zero is the one state that the generator never leaves.
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.number() % bound).unwrap()
    }

    /// That many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let numbers = len.div_ceil(8);
        let mut bytes: Vec<u8> = (0..numbers)
            .flat_map(|_| self.number().to_le_bytes())
            .collect();
        bytes.truncate(len);
        bytes
    }

    /// `original` with a few bytes changed, doubled, lost, or cut off at the end.
    pub fn mutate(&mut self, original: &[u8]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => {
                    let piece = bytes[at..].to_vec();
                    bytes.extend(piece);
                }
                2 => {
                    let len = self.below(9);
                    let extra = self.bytes(len);
                    bytes.splice(at..at, extra);
                }
                _ => {
                    let byte = self.number().to_le_bytes()[0];
                    bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        assert_eq!(Random::new(7).bytes(100), Random::new(7).bytes(100));
        assert_ne!(Random::new(7).bytes(100), Random::new(8).bytes(100));
        assert_eq!(Random::new(7).bytes(13).len(), 13);
    }
}
