//! Telephone numbers: E.164 with a calling code that exists and a length that its country uses.
//!
//! Neither the library's parser nor its `is_valid` is asked. The parser takes letters, brackets and national forms for digits.
//! `is_valid` knows which area codes were assigned when it was built: numbering plans change faster than that, and the numbers of
//! the world's examples (+1 555 ...) are assigned to nobody. The provider knows better whether a number lives.

use std::sync::LazyLock;

use phonenumber::Metadata;
use phonenumber::metadata::DATABASE;

use super::{AddressError, canonical};

canonical! {
    /// A telephone number in E.164 form: `+`, calling code, national number.
    Phone
}

impl Phone {
    /// Checks a number; what is a number is canonical already.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').ok_or(AddressError::NotE164)?;
        let is_e164 = (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !is_e164 {
            return Err(AddressError::NotE164);
        }
        let (possible, national) = plan_of(digits).ok_or(AddressError::UnknownCountry)?;
        if possible & length_bit(national) == 0 {
            return Err(AddressError::NumberLength);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Loads the numbering plans, which takes some tens of milliseconds: at start, or the first request pays for it.
pub fn warm_up() {
    LazyLock::force(&LENGTHS);
}

/// For every calling code the lengths that a national number under it may have, as bits; 0 where no country has the code.
static LENGTHS: LazyLock<Vec<u32>> = LazyLock::new(|| (0..1_000).map(lengths_under).collect());

/// The lengths and the number of national digits. No calling code is the beginning of another, so the first found is the one.
fn plan_of(digits: &str) -> Option<(u32, usize)> {
    (1..=3).find_map(|len| {
        let code: usize = digits.get(..len)?.parse().ok()?;
        let possible = LENGTHS.get(code).copied().filter(|&lengths| lengths != 0)?;
        Some((possible, digits.len() - len))
    })
}

/// Over all countries that share the code: which of them a number belongs to depends on area codes, and those change.
fn lengths_under(code: u16) -> u32 {
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    plans
        .into_iter()
        .flat_map(lengths_in)
        .fold(0, |bits, length| bits | length_bit(length.into()))
}

/// The general description carries no lengths of its own: they are what the kinds of numbers have together, less those that
/// cannot be reached from abroad.
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
    fn no_calling_code_begins_another() {
        let known = |code: usize| LENGTHS[code] != 0;
        let codes: Vec<usize> = (1..1_000).filter(|&code| known(code)).collect();
        assert!(codes.len() > 200, "{} calling codes", codes.len());
        for code in codes.into_iter().filter(|code| *code > 9) {
            assert!(!known(code / 10), "{code}");
            assert!(code < 100 || !known(code / 100), "{code}");
        }
    }

    #[test]
    fn the_example_of_every_mobile_plan_is_a_number() {
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
