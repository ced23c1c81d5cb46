//! Pages of lists, and the opaque token that requests the next page.
//!
//! A token holds the position after the last item and a fingerprint over the request, its owner and that position. It
//! grants nothing (every statement filters by the owner). The fingerprint only distinguishes a valid token from that
//! of another list, or a broken one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parlance_domain::Owner;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// The page size of a request that names none.
const DEFAULT_SIZE: usize = 50;
/// The largest page size.
const MAX_SIZE: usize = 200;
/// A page ends after the item that reaches this size, so that it fits every client's message limit.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
const FINGERPRINT: usize = 16;

/// Page parameters of a list request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// `page_size`, not negative.
    pub size: usize,
    /// `page_token`; empty for the first page.
    pub token: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Token of the next page; empty at the end.
    pub next_page_token: String,
    /// Number of items of all pages, if requested.
    pub total_size: Option<i64>,
}

impl PageRequest {
    /// The effective size.
    pub(crate) const fn limit(&self) -> usize {
        match self.size {
            0 => DEFAULT_SIZE,
            size if size > MAX_SIZE => MAX_SIZE,
            size => size,
        }
    }

    /// The position after which the page begins; `None` for the first page.
    pub(crate) fn position<const N: usize>(&self, list: &ListIdentity) -> Result<Option<[u8; N]>> {
        if self.token.is_empty() {
            return Ok(None);
        }
        let foreign = || {
            Error::invalid_field(
                "page_token",
                "is not a token of this list; pass next_page_token unchanged with an otherwise equal request",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(&self.token).map_err(|_| foreign())?;
        let (fingerprint, position) = bytes.split_at_checked(FINGERPRINT).ok_or_else(foreign)?;
        let position: [u8; N] = position.try_into().map_err(|_| foreign())?;
        if list.fingerprint(&position) != fingerprint {
            return Err(foreign());
        }
        Ok(Some(position))
    }
}

/// Identity of a list: the RPC, the owner and every filter.
#[derive(Debug, Clone)]
pub(crate) struct ListIdentity(Sha256);

/// Fingerprint of everything that a response depends on, except the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueryFingerprint(pub(crate) u128);

impl QueryFingerprint {
    /// The part of it that fits into a cache key.
    pub(crate) const fn short(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

impl ListIdentity {
    pub(crate) fn new(rpc: &str, owner: &Owner) -> Self {
        Self(Sha256::new())
            .with(rpc.as_bytes())
            .with(owner.as_str().as_bytes())
    }

    /// Adds a filter with its length, so that no two sequences of filters are the same.
    pub(crate) fn with(mut self, filter: &[u8]) -> Self {
        self.0.update((filter.len() as u64).to_be_bytes());
        self.0.update(filter);
        self
    }

    /// The token of the page after a position.
    pub(crate) fn token(&self, position: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([self.fingerprint(position).as_slice(), position].concat())
    }

    /// The fingerprint of the query.
    pub(crate) fn query_fingerprint(&self) -> QueryFingerprint {
        QueryFingerprint(u128::from_be_bytes(self.fingerprint(&[])))
    }

    fn fingerprint(&self, position: &[u8]) -> [u8; FINGERPRINT] {
        let hash: [u8; 32] = self.0.clone().chain_update(position).finalize().into();
        let mut fingerprint = [0; FINGERPRINT];
        fingerprint.copy_from_slice(&hash[..FINGERPRINT]);
        fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(owner: &str, filter: &str) -> ListIdentity {
        ListIdentity::new("List", &Owner::parse(owner).unwrap()).with(filter.as_bytes())
    }

    fn asking(token: String) -> PageRequest {
        PageRequest { size: 0, token }
    }

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let token = list("a", "x").token(&[1; 8]);
        assert_eq!(
            asking(token.clone()).position(&list("a", "x")).unwrap(),
            Some([1; 8])
        );
        assert!(
            asking(token.clone())
                .position::<8>(&list("b", "x"))
                .is_err(),
            "another owner's"
        );
        assert!(
            asking(token.clone())
                .position::<8>(&list("a", "y"))
                .is_err(),
            "another filter's"
        );
        assert!(
            asking(token).position::<16>(&list("a", "x")).is_err(),
            "another kind's"
        );
    }

    #[test]
    fn every_changed_character_breaks_a_token() {
        let token = list("a", "x").token(&[7; 8]);
        for at in 0..token.len() {
            let mut broken = token.clone().into_bytes();
            broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
            let broken = String::from_utf8(broken).unwrap();
            assert!(
                asking(broken.clone())
                    .position::<8>(&list("a", "x"))
                    .is_err(),
                "{broken}"
            );
        }
        assert!(
            asking("%".to_owned())
                .position::<8>(&list("a", "x"))
                .is_err()
        );
    }

    #[test]
    fn sizes_are_defaulted_and_cut() {
        let limit = |size| {
            PageRequest {
                size,
                token: String::new(),
            }
            .limit()
        };
        assert_eq!(
            [limit(0), limit(1), limit(200), limit(201)],
            [50, 1, 200, 200]
        );
    }
}
