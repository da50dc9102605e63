//! 32 bytes as 64 hexadecimal digits: keys, seeds and hashes, as people pass them on.

/// Lower-case digits.
#[must_use]
pub fn to_hex(bytes: &[u8; 32]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("four bits are one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads digits of either case; `None` if they are not 64, or not digits.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |ascii: u8| char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
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
