//! Deterministic pseudo-random numbers.

/// Pseudo-random number generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        let first = random.next();
        Self(first ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in the range.
    pub(super) fn within(&mut self, range: std::ops::Range<i64>) -> i64 {
        let width = range.end.saturating_sub(range.start).max(1);
        let width = u64::try_from(width).unwrap_or(1);
        let step = i64::try_from(self.next() % width).unwrap_or_default();
        range.start.saturating_add(step)
    }

    /// Returns `true` with this probability in percent.
    pub(super) fn percent(&mut self, share: i64) -> bool {
        self.within(0..100) < share
    }

    /// Returns one of the items; `None` if there are none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let length = i64::try_from(of.len()).unwrap_or(i64::MAX);
        let at = usize::try_from(self.within(0..length)).unwrap_or_default();
        of.get(at)
    }

    /// Returns one of the texts; an empty one if there are none.
    pub(super) fn pick_text<'a>(&mut self, of: &'a [String]) -> &'a str {
        self.pick(of).map_or("", String::as_str)
    }
}
