//! 32 bytes as 64 hexadecimal digits: keys, seeds and hashes, as people pass them on.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// Lower-case digits.
#[must_use]
pub fn to_hex(bytes: &[u8; 32]) -> String {
    HEXLOWER.encode(bytes)
}

/// Reads digits of either case; `None` if they are not 64, or not digits.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1], bytes[31]) = (0x0f, 0xa0, 0xfe);
        let text = format!("0fa0{}fe", "00".repeat(29));
        assert_eq!(to_hex(&bytes), text);
        assert_eq!(from_hex(&text), Some(bytes));
        assert_eq!(from_hex(&text.to_uppercase()), Some(bytes));
    }

    #[test]
    fn other_texts_are_no_32_bytes() {
        for bad in ["", "0", &"0".repeat(63), &"0".repeat(66), &"+1".repeat(32), &"é".repeat(32), &"0g".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
