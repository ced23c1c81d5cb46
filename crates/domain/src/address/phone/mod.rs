//! Telephone numbers: E.164 with a calling code that exists and a length that its country uses.
//!
//! The numbering plans are constants of this crate: no library is built, and nothing is loaded at start. They do not say
//! which numbers are assigned. Numbering plans change faster than that, and the usual example numbers (+1 555 ...) are
//! unassigned. The provider knows better whether a number is in service.

mod plan;
mod plans;

use plan::{NO_REGION, Plan};
use plans::{PLANS, REGIONS};

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
        let is_e164 = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !is_e164 {
            return Err(AddressError::NotE164);
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(AddressError::E164Length);
        }
        let (plan, national) = plan_of(digits).ok_or(AddressError::UnknownCountry)?;
        if !plan.lengths.contains(&national.len()) {
            return Err(AddressError::NumberLength);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the region of the number: a country of ISO 3166 as two letters, or `AC`, `TA` or `XK`. `None` if the calling
    /// code belongs to no country. An unassigned number belongs to the main region of its calling code.
    #[must_use]
    pub fn region(&self) -> Option<&'static str> {
        let digits = self.0.strip_prefix('+')?;
        let special = (1..=digits.len()).rev().find_map(|len| {
            let start = digits.get(..len)?;
            let index = REGIONS.binary_search_by_key(&start, |(start, _)| *start);
            REGIONS.get(index.ok()?).map(|(_, region)| *region)
        });
        let region = special.or_else(|| plan_of(digits).map(|(plan, _)| plan.region));
        region.filter(|region| *region != NO_REGION)
    }
}

/// Returns the plan and the national digits of a number. No calling code is a prefix of another, so the first match is
/// the only one.
fn plan_of(digits: &str) -> Option<(&'static Plan, &str)> {
    (1..=3).find_map(|len| {
        let (code, national) = digits.split_at_checked(len)?;
        let code: u16 = code.parse().ok()?;
        let index = PLANS.binary_search_by_key(&code, |plan| plan.code).ok()?;
        Some((PLANS.get(index)?, national))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_calling_code_is_a_prefix_of_another() {
        let is_known = |code: u16| PLANS.iter().any(|plan| plan.code == code);
        assert!(PLANS.len() > 200, "{} calling codes", PLANS.len());
        assert!(PLANS.is_sorted_by(|one, next| one.code < next.code));
        for code in PLANS.iter().map(|plan| plan.code).filter(|code| *code > 9) {
            assert!(!is_known(code / 10), "{code}");
            assert!(code < 100 || !is_known(code / 100), "{code}");
        }
    }

    #[test]
    fn the_example_numbers_of_every_plan_are_valid_and_in_their_region() {
        let mut seen = 0;
        for line in include_str!("examples.txt").lines() {
            let (region, number) = line.split_once(' ').unwrap();
            let expected = Some(region).filter(|region| *region != NO_REGION);
            let phone = Phone::parse(number);
            assert_eq!(phone.map(|it| it.region()), Ok(expected), "{number}");
            seen += 1;
        }
        assert!(seen > 400, "{seen} numbers");
    }

    #[test]
    fn the_longest_beginning_decides_the_region() {
        assert!(REGIONS.is_sorted_by(|(one, _), (next, _)| one < next));
        for (number, region) in [
            ("+14155550100", Some("US")),
            ("+14165550100", Some("CA")),
            ("+15550001111", Some("US")),
            ("+18095550100", Some("DO")),
            ("+77012345678", Some("KZ")),
            ("+79161234567", Some("RU")),
            ("+447700900123", Some("GB")),
            ("+447781123456", Some("GG")),
            ("+390669812345", Some("VA")),
            ("+80012345678", None),
            ("+881612345678", None),
        ] {
            let phone = Phone::parse(number);
            assert_eq!(phone.map(|it| it.region()), Ok(region), "{number}");
        }
    }
}
