//! Owner of a request: all that a call reads and writes belongs to it.

use parlance_app::{Error, Result};
use parlance_domain::Owner;
use tonic::Request;
use tonic::metadata::MetadataMap;

/// Header with the owner's name.
const OWNER: &str = "x-parlance-owner";

/// Splits a request into its owner and its message.
pub(super) fn split<T>(request: Request<T>) -> Result<(Owner, T)> {
    let owner = owner(request.metadata())?;
    Ok((owner, request.into_inner()))
}

fn owner(metadata: &MetadataMap) -> Result<Owner> {
    let mut named = metadata.get_all(OWNER).iter();
    let Some(name) = named.next() else {
        return Ok(Owner::default());
    };
    let owner = name.to_str().ok().and_then(Owner::parse);
    // Two names are ambiguous and refused.
    owner.filter(|_| named.next().is_none()).ok_or_else(|| {
        Error::invalid_field(
            OWNER,
            "not a valid owner name; give 1 to 128 printable ASCII characters without spaces, or omit it",
        )
    })
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn named(names: &[&str]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for name in names {
            metadata.append(OWNER, MetadataValue::try_from(*name).unwrap());
        }
        metadata
    }

    #[test]
    fn without_a_header_the_owner_is_the_default() {
        assert_eq!(owner(&MetadataMap::new()).unwrap(), Owner::default());
        assert_eq!(
            owner(&named(&["acme"])).unwrap(),
            Owner::parse("acme").unwrap()
        );
    }

    #[test]
    fn a_malformed_name_is_refused() {
        let longest = "x".repeat(129);
        for names in [&["a b"][..], &[""], &[&longest], &["a", "b"], &["a", "a"]] {
            let error = owner(&named(names)).unwrap_err();
            assert_eq!(error.violations[0].field, OWNER, "{names:?}");
        }
    }
}
