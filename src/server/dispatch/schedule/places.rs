//! How many attempts may be on their way at a time, over all URLs, and who may take the last of these places.

/// Places for attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    pub all: usize,
    /// From so many on, the places that are left are for merchants that have few.
    pub(super) shared: usize,
    /// Up to here they are for URLs that have next to nothing on their way, too: a few wide ones must not stop the others of
    /// their merchant.
    pub(super) shared_by_urls: usize,
}

impl Places {
    /// Where nothing else is wished: some 30 MB where all of them are taken.
    pub const USUAL: u16 = 1_000;
    /// Fewer would leave nothing for those who have few.
    pub const FEWEST: u16 = 100;
    pub const MOST: u16 = 20_000;

    /// So many in all.
    pub fn of(all: u16) -> Self {
        let all = usize::from(all);
        Self { all, shared: all * 3 / 4, shared_by_urls: all * 7 / 8 }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::of(Self::USUAL)
    }
}
