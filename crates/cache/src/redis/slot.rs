//! Cluster slot of a key.

pub(super) const SLOTS: u16 = 16384;

/// Slot by CRC-16/XMODEM of the text between the first braces, or of the whole key.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|b| *b == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|b| *b == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Kind};

    #[test]
    fn slots_match_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{foo}.bar"), slot(b"foo"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
    }

    #[test]
    fn a_key_shares_its_slot_with_its_lease_or_generation() {
        for kind in Kind::ALL {
            let key = Key::new(kind, 0x0192_f0c1_2345_7abc_8def_0123_4567_89ab);
            let companion = if kind.is_scoped() {
                key.generation().to_string()
            } else {
                key.lease()
            };
            let of = |name: String| slot(name.as_bytes());
            assert!(kind == Kind::Generation || of(key.to_string()) == of(companion));
        }
    }
}
