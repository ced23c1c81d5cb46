//! Who calls: the owner that everything a call reads and writes belongs to.

use parlance_app::{Error, Result};
use parlance_domain::Owner;
use tonic::Request;
use tonic::metadata::MetadataMap;

/// Names the owner where no credential does.
const OWNER: &str = "x-parlance-owner";

/// The caller and what is asked.
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
    // Of two names neither is the one that is meant.
    owner.filter(|_| named.next().is_none()).ok_or_else(|| {
        Error::invalid_field(
            OWNER,
            "not the name of an owner; give one of 1 to 128 printable ASCII characters without spaces, or leave it out",
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
    fn whoever_is_not_named_is_the_default() {
        assert_eq!(owner(&MetadataMap::new()).unwrap(), Owner::default());
        assert_eq!(
            owner(&named(&["acme"])).unwrap(),
            Owner::parse("acme").unwrap()
        );
    }

    #[test]
    fn a_malformed_name_is_told() {
        let longest = "x".repeat(129);
        for names in [&["a b"][..], &[""], &[&longest], &["a", "b"], &["a", "a"]] {
            let error = owner(&named(names)).unwrap_err();
            assert_eq!(error.violations[0].field, OWNER, "{names:?}");
        }
    }
}
