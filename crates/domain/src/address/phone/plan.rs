//! Numbering plan of a calling code.

/// Numbering plan of a calling code, over all regions that share the code. Area codes decide which region a number
/// belongs to, and those change.
pub(super) struct Plan {
    pub(super) code: u16,
    /// The main region, or [`NO_REGION`].
    pub(super) region: &'static str,
    /// Permitted lengths of a national number of any kind that can be reached from abroad.
    pub(super) lengths: &'static [usize],
}

/// Region of the calling codes that belong to no country, such as satellite phones.
pub(super) const NO_REGION: &str = "001";
