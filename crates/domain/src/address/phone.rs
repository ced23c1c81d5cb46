//! Telephone numbers: E.164 with a calling code that exists and a length that its country uses.
//!
//! The `phonenumber` crate contributes its tables only; its parser and `is_valid` are not used. The parser accepts
//! letters, brackets and national formats. `is_valid` knows the area codes that were assigned when the crate was built:
//! numbering plans change faster than that, and the usual example numbers (+1 555 ...) are unassigned. The provider
//! knows better whether a number is in service.

use std::sync::LazyLock;

use phonenumber::Metadata;
use phonenumber::metadata::DATABASE;

use super::AddressError;
use super::canonical::canonical;

canonical! {
    /// A telephone number in E.164 form: `+`, calling code, national number.
    Phone
}

impl Phone {
    /// Checks a number. Every valid text is already canonical.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').ok_or(AddressError::NotE164)?;
        let is_e164 = (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !is_e164 {
            return Err(AddressError::NotE164);
        }
        let (possible, national) = lengths_for(digits).ok_or(AddressError::UnknownCountry)?;
        if possible & length_bit(national) == 0 {
            return Err(AddressError::NumberLength);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Loads the numbering plans. This takes some tens of milliseconds and is done at start, so that the first request does
/// not pay for it.
pub fn warm_up() {
    LazyLock::force(&LENGTHS);
}

/// Permitted lengths of a national number for every calling code, as bits; 0 for a code that no country uses.
static LENGTHS: LazyLock<Vec<u32>> = LazyLock::new(|| (0..1_000).map(lengths_under).collect());

/// Returns the permitted lengths and the number of national digits. No calling code is a prefix of another, so the
/// first match is the only one.
fn lengths_for(digits: &str) -> Option<(u32, usize)> {
    (1..=3).find_map(|len| {
        let code: usize = digits.get(..len)?.parse().ok()?;
        let possible = LENGTHS.get(code).copied().filter(|&lengths| lengths != 0)?;
        Some((possible, digits.len() - len))
    })
}

/// Lengths over all countries that share a calling code. Area codes decide which country a number belongs to, and those
/// change.
fn lengths_under(code: u16) -> u32 {
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    plans
        .into_iter()
        .flat_map(lengths_in)
        .fold(0, |bits, length| bits | length_bit(length.into()))
}

/// Lengths in a numbering plan. The general description has no lengths of its own: they are the union over the kinds of
/// numbers, without those that cannot be reached from abroad.
fn lengths_in(plan: &Metadata) -> impl Iterator<Item = u16> {
    let kinds = plan.descriptors();
    let kinds = [
        Some(kinds.general()),
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.personal_number(),
        kinds.voip(),
        kinds.pager(),
        kinds.uan(),
        kinds.voicemail(),
    ];
    kinds
        .into_iter()
        .flatten()
        .flat_map(|kind| kind.possible_length().iter().copied())
}

const fn length_bit(length: usize) -> u32 {
    if length < 32 { 1 << length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_calling_code_is_a_prefix_of_another() {
        let known = |code: usize| LENGTHS[code] != 0;
        let codes: Vec<usize> = (1..1_000).filter(|&code| known(code)).collect();
        assert!(codes.len() > 200, "{} calling codes", codes.len());
        for code in codes.into_iter().filter(|code| *code > 9) {
            assert!(!known(code / 10), "{code}");
            assert!(code < 100 || !known(code / 100), "{code}");
        }
    }

    #[test]
    fn the_example_number_of_every_mobile_plan_is_valid() {
        let mut seen = 0;
        for plan in (1..1_000).flat_map(|code| DATABASE.by_code(&code).unwrap_or_default()) {
            let Some(example) = plan.descriptors().mobile().and_then(|kind| kind.example()) else {
                continue;
            };
            let number = format!("+{}{example}", plan.country_code());
            assert!(Phone::parse(&number).is_ok(), "{number} of {}", plan.id());
            seen += 1;
        }
        assert!(seen > 200, "{seen} plans");
    }
}
