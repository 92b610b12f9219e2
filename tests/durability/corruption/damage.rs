//! Random damage to a file, the same for the same seed.

use fastrand::Rng;

const PAGE: usize = 4096;
/// The part of the file that no checksum covers completely: redb's header.
const HEADER: usize = 320;

#[derive(Debug)]
pub(crate) enum Damage {
    /// Flipped bits, by their place in the file.
    Flipped(Vec<usize>),
    /// The file ends here.
    Truncated(usize),
    Swapped(usize, usize),
    Zeroed(usize),
    /// This page contains other bytes.
    Overwritten(usize, Rng),
}

impl Damage {
    /// Random damage to these bytes, mostly to pages that were written, because most of a small file is empty.
    pub(crate) fn random(seed: u64, bytes: &[u8]) -> Self {
        let mut random = Rng::with_seed(seed);
        let pages: Vec<_> = bytes.chunks(PAGE).enumerate().collect();
        let written: Vec<_> = pages.iter().filter(|(_, page)| page.iter().any(|byte| *byte != 0)).collect();
        let page = |random: &mut Rng| match random.usize(..16) {
            0 => random.usize(..pages.len()),
            _ => written[random.usize(..written.len())].0,
        };
        match random.usize(..10) {
            0 => Self::Truncated(random.usize(..bytes.len())),
            1 => Self::Swapped(page(&mut random), page(&mut random)),
            2 => Self::Zeroed(page(&mut random)),
            3 => Self::Overwritten(page(&mut random), random.fork()),
            4 => Self::Flipped((0..=random.usize(..8)).map(|_| random.usize(..8 * HEADER)).collect()),
            _ => {
                let one_page = page(&mut random);
                let more = random.usize(..8);
                let anywhere = random.usize(..2) == 0;
                let bit = |_| {
                    let page = if anywhere { page(&mut random) } else { one_page };
                    8 * PAGE * page + random.usize(..8 * PAGE)
                };
                Self::Flipped((0..=more).map(bit).collect())
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
                bytes[page * PAGE..][..PAGE].fill_with(|| random.u8(..));
            }
        }
        bytes
    }
}
