//! Damage to a file, at random, the same for the same seed.

use std::fmt;

const PAGE: usize = 4096;
/// The part of the file that no checksum covers whole: redb's header.
const HEADER: usize = 320;

/// splitmix64
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[derive(Debug)]
pub(crate) enum Damage {
    /// Bits that are the other way round, by their place in the file.
    Flipped(Vec<usize>),
    /// The file ends here.
    Truncated(usize),
    Swapped(usize, usize),
    Zeroed(usize),
    /// Other bytes in this page.
    Overwritten(usize, Random),
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Damage {
    /// Damage to these bytes, most of the time to pages that were written, as most of a small file is empty.
    pub(crate) fn random(seed: u64, bytes: &[u8]) -> Self {
        let mut random = Random::new(seed);
        let pages: Vec<_> = bytes.chunks(PAGE).enumerate().collect();
        let written: Vec<_> = pages.iter().filter(|(_, page)| page.iter().any(|byte| *byte != 0)).collect();
        let page = |random: &mut Random| match random.below(16) {
            0 => random.below(pages.len()),
            _ => written[random.below(written.len())].0,
        };
        match random.below(10) {
            0 => Self::Truncated(random.below(bytes.len())),
            1 => Self::Swapped(page(&mut random), page(&mut random)),
            2 => Self::Zeroed(page(&mut random)),
            3 => Self::Overwritten(page(&mut random), Random::new(seed)),
            4 => Self::Flipped((0..=random.below(8)).map(|_| random.below(8 * HEADER)).collect()),
            _ => {
                let one_page = page(&mut random);
                let anywhere = random.below(2) == 0;
                let bit = |_| {
                    let page = if anywhere { page(&mut random) } else { one_page };
                    8 * PAGE * page + random.below(8 * PAGE)
                };
                Self::Flipped((0..=Random::new(seed).below(8)).map(bit).collect())
            }
        }
    }

    pub(crate) fn done_to(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Flipped(bits) => bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8)),
            Self::Truncated(length) => bytes.truncate(length),
            Self::Swapped(left, right) => {
                for offset in 0..PAGE {
                    bytes.swap(left * PAGE + offset, right * PAGE + offset);
                }
            }
            Self::Zeroed(page) => bytes[page * PAGE..][..PAGE].fill(0),
            Self::Overwritten(page, mut random) => {
                bytes[page * PAGE..][..PAGE].fill_with(|| random.next() as u8);
            }
        }
        bytes
    }
}
