//! Paging fields that all list requests share.

use parlance_app::PageRequest;

use super::fields::Violations;
use super::limits;

/// Reads `page_size` and `page_token`. The list that issued the token interprets it.
pub(super) fn request(
    violations: &mut Violations,
    page_size: i32,
    page_token: String,
) -> PageRequest {
    let size = usize::try_from(page_size).unwrap_or_else(|_| {
        violations.push(
            "page_size",
            "must not be negative; use 0 for the default of 50",
        );
        0
    });
    violations.text("page_token", &page_token, limits::PAGE_TOKEN);
    PageRequest {
        size,
        token: page_token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    #[test]
    fn a_size_is_not_negative() {
        for size in [0, 1, i32::MAX] {
            let page = accepted(|violations| request(violations, size, "t".to_owned()));
            assert_eq!(
                (page.size, page.token.as_str()),
                (usize::try_from(size).unwrap(), "t")
            );
        }
        for size in [-1, i32::MIN] {
            let fields = violated_fields(|violations| _ = request(violations, size, String::new()));
            assert_eq!(fields, ["page_size"]);
        }
    }
}
