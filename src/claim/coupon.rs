//! Coupon codes: 20 characters that a shop can check without a lookup and nobody can guess.
//!
//! 100 bits in Crockford's base32: key id 4, MAC 40, masked payload 56. The payload is the campaign's serial (20 bits),
//! the generation (5) and the number (31). The MAC is of the payload, and the mask is derived from the MAC, as in SIV
//! modes (RFC 5297): codes of neighbouring claims look nothing alike, and the same claim always has the same code.
//! A guess is right once in 2^40, and each guess is an operator's request.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

use crate::facts::{GENERATION_MAX, NUMBER_MAX};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 20;
/// What is longer is no code, however it was typed: full width letters, a space and a hyphen for each have 180 bytes.
const TEXT_BYTES_MAX: usize = 512;

const SERIAL_BITS: u32 = 20;
const GENERATION_BITS: u32 = 5;
const NUMBER_BITS: u32 = 31;
const PAYLOAD_BITS: u32 = SERIAL_BITS + GENERATION_BITS + NUMBER_BITS;
const MAC_BITS: u32 = 40;
// The scripts and a rebuild stop where a code has no more room.
const _: () = assert!(GENERATION_MAX == (1 << GENERATION_BITS) - 1 && NUMBER_MAX == (1 << NUMBER_BITS) - 1);

/// What a code says, once its MAC was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coupon {
    /// The campaign's serial.
    pub serial: u32,
    /// The campaign's generation when the claim was given.
    pub generation: u32,
    /// The claim's number.
    pub number: u64,
}

/// Writes codes with one key, and checks those of that and of older ones.
#[derive(Clone)]
pub struct Coupons {
    current: CouponKey,
    old: Vec<CouponKey>,
}

#[derive(Clone)]
struct CouponKey {
    id: u8,
    mac: Hmac<Sha256>,
}

impl Coupons {
    /// A key of 32 bytes; its id is 0 to 15.
    #[must_use]
    pub fn new(key_id: u8, key: &[u8; 32]) -> Self {
        Self { current: CouponKey::new(key_id, key), old: Vec::new() }
    }

    /// Reads codes that were written with this key, too. Each key has an id of its own.
    #[must_use]
    pub fn and_reads(mut self, key_id: u8, key: &[u8; 32]) -> Self {
        self.old.push(CouponKey::new(key_id, key));
        self
    }

    /// The code, in five groups of four. `None` if the claim is beyond what a code has room for: a script gives no
    /// such number, a table no such serial, and a rebuild no such generation.
    #[must_use]
    pub fn write(&self, coupon: Coupon) -> Option<String> {
        let fits = |value: u64, bits: u32| (value >> bits == 0).then_some(value);
        let payload = fits(u64::from(coupon.serial), SERIAL_BITS)? << (GENERATION_BITS + NUMBER_BITS)
            | fits(u64::from(coupon.generation), GENERATION_BITS)? << NUMBER_BITS
            | fits(coupon.number, NUMBER_BITS)?;
        let key = &self.current;
        let mac = key.derive(b"coupon mac", payload, MAC_BITS);
        let masked = payload ^ key.derive(b"coupon mask", mac, PAYLOAD_BITS);
        let word =
            u128::from(key.id) << (MAC_BITS + PAYLOAD_BITS) | u128::from(mac) << PAYLOAD_BITS | u128::from(masked);
        let mut code = String::with_capacity(CHARACTERS + 4);
        for position in 0..CHARACTERS {
            if position > 0 && position % 4 == 0 {
                code.push('-');
            }
            let digit = (word >> (5 * (CHARACTERS - 1 - position))) & 31;
            code.push(char::from(ALPHABET[usize::try_from(digit).expect("below 32")]));
        }
        Some(code)
    }

    /// What the code says; `None` if it is none of ours. It is read as people type and scan it: in any width and case, and
    /// whatever is no letter or digit (spaces, dashes, line ends, what has no width) does not matter. Nor do the look-alikes
    /// O, I and L.
    #[must_use]
    pub fn read(&self, code: &str) -> Option<Coupon> {
        if code.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut word = 0_u128;
        let mut characters = 0;
        for character in code.nfkc().filter(|c| c.is_alphanumeric()) {
            let digit = match u8::try_from(character).ok()?.to_ascii_uppercase() {
                b'O' => 0,
                b'I' | b'L' => 1,
                other => ALPHABET.iter().position(|known| *known == other)?,
            };
            word = word << 5 | digit as u128;
            characters += 1;
            if characters > CHARACTERS {
                return None;
            }
        }
        let bits = |shift: u32, count: u32| u64::try_from(word >> shift & ((1 << count) - 1)).expect("at most 56 bits");
        let (key_id, mac) = (bits(MAC_BITS + PAYLOAD_BITS, 4), bits(PAYLOAD_BITS, MAC_BITS));
        let key = std::iter::once(&self.current).chain(&self.old).find(|key| u64::from(key.id) == key_id)?;
        let payload = bits(0, PAYLOAD_BITS) ^ key.derive(b"coupon mask", mac, PAYLOAD_BITS);
        let genuine = key.derive(b"coupon mac", payload, MAC_BITS).ct_eq(&mac);
        if characters != CHARACTERS || !bool::from(genuine) {
            return None;
        }
        let part = |shift: u32, count: u32| payload >> shift & ((1 << count) - 1);
        Some(Coupon {
            serial: u32::try_from(part(GENERATION_BITS + NUMBER_BITS, SERIAL_BITS)).ok()?,
            generation: u32::try_from(part(NUMBER_BITS, GENERATION_BITS)).ok()?,
            number: part(0, NUMBER_BITS),
        })
    }
}

impl CouponKey {
    fn new(id: u8, key: &[u8; 32]) -> Self {
        Self { id: id & 15, mac: Hmac::new_from_slice(key).expect("HMAC takes keys of any length") }
    }

    /// The first bits of HMAC-SHA-256 over a purpose and a number.
    fn derive(&self, purpose: &[u8], number: u64, bits: u32) -> u64 {
        let digest = self.mac.clone().chain_update(purpose).chain_update(number.to_be_bytes()).finalize().into_bytes();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first) >> (64 - bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coupons() -> Coupons {
        Coupons::new(1, &[7; 32])
    }

    proptest! {
        #[test]
        fn a_code_says_what_it_was_written_for(serial in 1_u32..1 << 20, generation in 1_u32..32, number in 1_u64..1 << 31) {
            let coupon = Coupon { serial, generation, number };
            let code = coupons().write(coupon).unwrap();
            prop_assert_eq!(code.len(), 24);
            prop_assert_eq!(coupons().read(&code), Some(coupon));
            let sloppy = code.to_lowercase().replace('-', "").replace('0', "o").replace('1', "l");
            prop_assert_eq!(coupons().read(&sloppy), Some(coupon));
        }

        #[test]
        fn one_changed_character_makes_it_nobodys(number in 1_u64..1 << 31, at in 0_usize..20, by in 1_usize..32) {
            let code = coupons().write(Coupon { serial: 3, generation: 1, number }).unwrap().replace('-', "");
            let mut bytes = code.into_bytes();
            let digit = ALPHABET.iter().position(|c| *c == bytes[at]).unwrap();
            bytes[at] = ALPHABET[(digit + by) % 32];
            prop_assert_eq!(coupons().read(std::str::from_utf8(&bytes).unwrap()), None);
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_and_scan_it() {
        let coupon = Coupon { serial: 77, generation: 2, number: 123_456 };
        let code = coupons().write(coupon).unwrap();
        let bare = code.replace('-', "");
        let wide = |text: &str| -> String {
            text.chars().map(|c| char::from_u32(u32::from(c) - 0x21 + 0xff01).unwrap()).collect()
        };
        for (how, typed) in [
            ("lower case", code.to_lowercase()),
            ("spaces for hyphens", code.replace('-', " ")),
            ("nothing for hyphens", bare.clone()),
            ("a line end of a scanner", format!("{code}\r\n")),
            ("blanks around it", format!(" \t{code}  ")),
            ("hyphens that do not break", code.replace('-', "\u{2011}")),
            ("en dashes", code.replace('-', "\u{2013}")),
            ("minus signs", code.replace('-', "\u{2212}")),
            ("spaces that do not break", code.replace('-', "\u{a0}")),
            ("ideographic spaces", code.replace('-', "\u{3000}")),
            ("full width", wide(&code)),
            ("full width, lower case", wide(&code.to_lowercase())),
            ("zero width spaces", code.replace('-', "-\u{200b}")),
            ("a byte order mark and soft hyphens", format!("\u{feff}{}", code.replace('-', "\u{ad}"))),
            ("look-alikes", code.replace('0', "O").replace('1', "l")),
            ("look-alikes of another kind", code.replace('0', "o").replace('1', "I")),
            ("hyphens doubled", code.replace('-', "--")),
            ("quoted, with a full stop", format!("“{code}”.")),
            ("underscores and slashes", code.replacen('-', "_", 2).replace('-', "/")),
            ("each character by itself", bare.chars().flat_map(|c| [c, ' ', '-']).collect()),
        ] {
            assert_eq!(coupons().read(&typed), Some(coupon), "{how}: {typed:?}");
        }
        // Letters that are none of ours stay what they are, however alike.
        for (how, other) in [
            ("a letter more", format!("{code}ß")),
            ("a letter with an accent", format!("e\u{301}{}", &bare[1..])),
            ("a digit of another script", format!("{code}\u{663}")),
            ("more dashes than anybody types", code.replace('-', &"-".repeat(200))),
        ] {
            assert_eq!(coupons().read(&other), None, "{how}: {other:?}");
        }
    }

    #[test]
    fn other_keys_other_lengths_and_other_letters_are_refused() {
        let code = coupons().write(Coupon { serial: 1, generation: 1, number: 1 }).unwrap();
        assert_eq!(Coupons::new(1, &[8; 32]).read(&code), None);
        assert_eq!(Coupons::new(2, &[7; 32]).read(&code), None);
        for bad in ["", "U", &code[..23], &format!("{code}0"), "쿠폰", &"0".repeat(1000)] {
            assert_eq!(coupons().read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_code_of_an_older_key_is_read_and_none_is_written_with_it() {
        let coupon = Coupon { serial: 1, generation: 1, number: 1 };
        let old = coupons().write(coupon).unwrap();
        let rotated = Coupons::new(2, &[8; 32]).and_reads(1, &[7; 32]);
        assert_eq!(rotated.read(&old), Some(coupon));
        let new = rotated.write(coupon).unwrap();
        assert_ne!(new, old);
        assert_eq!(rotated.read(&new), Some(coupon));
        assert_eq!(Coupons::new(2, &[8; 32]).read(&new), Some(coupon));
        assert_eq!(coupons().read(&new), None);
    }

    #[test]
    fn what_does_not_fit_has_no_code() {
        let coupon = Coupon { serial: 1, generation: 1, number: 1 };
        assert_eq!(coupons().write(Coupon { serial: 1 << 20, ..coupon }), None);
        assert_eq!(coupons().write(Coupon { generation: 32, ..coupon }), None);
        assert_eq!(coupons().write(Coupon { number: 1 << 31, ..coupon }), None);
    }
}
