//! Update masks: the fields that an update changes.

use super::fields::Violations;

/// Paths of an update mask. An empty mask covers the fields that are set.
#[derive(Debug)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// Reads a mask that may contain the allowed fields only. Masks have no wildcard: it would let callers that do not
    /// know a field of a later version clear that field.
    pub(super) fn read(
        violations: &mut Violations,
        mask: Option<prost_types::FieldMask>,
        allowed: &[&str],
    ) -> Self {
        let prost_types::FieldMask { paths } = mask.unwrap_or_default();
        if !paths.iter().all(|path| allowed.contains(&path.as_str())) {
            let allowed = allowed.join(", ");
            violations.push(
                "update_mask",
                format!("contains a field that cannot be changed; use only: {allowed}"),
            );
        }
        Self(paths)
    }

    /// Whether the field takes its value from the request.
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
    use crate::convert::testing::{accepted, violated_fields};

    fn mask(paths: &[&str]) -> FieldMask {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        FieldMask { paths }
    }

    #[test]
    fn a_mask_covers_its_fields_whether_set_or_not() {
        let mask = accepted(|violations| {
            Mask::read(
                violations,
                Some(mask(&["body", "body"])),
                &["body", "title"],
            )
        });
        assert!(mask.covers("body", false) && mask.covers("body", true));
        assert!(!mask.covers("title", true));
    }

    #[test]
    fn a_missing_or_empty_mask_covers_the_fields_that_are_set() {
        for mask in [None, Some(mask(&[]))] {
            let mask = accepted(|violations| Mask::read(violations, mask, &["body"]));
            assert!(mask.covers("body", true) && !mask.covers("body", false));
        }
    }

    #[test]
    fn disallowed_paths_are_one_violation() {
        for paths in [
            &["*"][..],
            &["bodies", "id"],
            &["body.x"],
            &[""],
            &["body", "Body"],
        ] {
            let fields = violated_fields(|violations| {
                _ = Mask::read(violations, Some(mask(paths)), &["body"]);
            });
            assert_eq!(fields, ["update_mask"], "{paths:?}");
        }
    }
}
