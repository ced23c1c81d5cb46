//! What every list request says about pages.

use parlance_app::PageRequest;

use super::fields::Found;
use super::limits;

/// Reads `page_size` and `page_token`; what the token means is the list's to say.
pub(super) fn request(found: &mut Found, page_size: i32, page_token: String) -> PageRequest {
    let size = usize::try_from(page_size).unwrap_or_else(|_| {
        found.push("page_size", "must not be negative; 0 means 50");
        0
    });
    found.text("page_token", &page_token, limits::PAGE_TOKEN);
    PageRequest {
        size,
        token: page_token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{fields_of, seen};

    #[test]
    fn a_size_is_not_negative() {
        for size in [0, 1, i32::MAX] {
            let page = seen(|found| request(found, size, "t".to_owned()));
            assert_eq!(
                (page.size, page.token.as_str()),
                (usize::try_from(size).unwrap(), "t")
            );
        }
        for size in [-1, i32::MIN] {
            let fields = fields_of(|found| _ = request(found, size, String::new()));
            assert_eq!(fields, ["page_size"]);
        }
    }
}
