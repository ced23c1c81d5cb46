//! Which fields an update changes.

use super::fields::Found;

/// The paths of an update mask; without any, the fields that are set.
#[derive(Debug)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// Reads a mask that may name these fields and no others. Masks have no wildcard: a later field would be cleared by
    /// callers who do not know of it.
    pub(super) fn read(
        found: &mut Found,
        mask: Option<prost_types::FieldMask>,
        allowed: &[&str],
    ) -> Self {
        let prost_types::FieldMask { paths } = mask.unwrap_or_default();
        if !paths.iter().all(|path| allowed.contains(&path.as_str())) {
            let allowed = allowed.join(", ");
            found.push(
                "update_mask",
                format!("only these can be changed: {allowed}; name no others"),
            );
        }
        Self(paths)
    }

    /// Whether the field is to take the value that the request has for it.
    pub(super) fn covers(&self, path: &str, is_set: bool) -> bool {
        if self.0.is_empty() {
            is_set
        } else {
            self.0.iter().any(|named| named == path)
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::convert::testing::{fields_of, seen};

    fn mask(paths: &[&str]) -> FieldMask {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        FieldMask { paths }
    }

    #[test]
    fn a_mask_covers_what_it_names_set_or_not() {
        let mask =
            seen(|found| Mask::read(found, Some(mask(&["body", "body"])), &["body", "title"]));
        assert!(mask.covers("body", false) && mask.covers("body", true));
        assert!(!mask.covers("title", true));
    }

    #[test]
    fn no_mask_and_an_empty_one_cover_what_is_set() {
        for mask in [None, Some(mask(&[]))] {
            let mask = seen(|found| Mask::read(found, mask, &["body"]));
            assert!(mask.covers("body", true) && !mask.covers("body", false));
        }
    }

    #[test]
    fn other_paths_are_told_once() {
        for paths in [
            &["*"][..],
            &["bodies", "id"],
            &["body.x"],
            &[""],
            &["body", "Body"],
        ] {
            let fields = fields_of(|found| _ = Mask::read(found, Some(mask(paths)), &["body"]));
            assert_eq!(fields, ["update_mask"], "{paths:?}");
        }
    }
}
