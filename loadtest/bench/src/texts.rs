//! What was each of a million told? Texts one behind the other, without an allocation each.

use anyhow::Context;

/// A text for each of so many, empty at first.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    at: u32,
    length: u16,
}

impl Texts {
    /// For so many.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { bytes: Vec::new(), places: vec![Place::default(); count] }
    }

    /// For how many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Keeps a text. One that is set again lies over the one before, if it is no longer.
    pub fn set(&mut self, index: usize, text: &[u8]) -> anyhow::Result<()> {
        let before = self.places[index];
        let length = u16::try_from(text.len()).context("a text of more than 64 KiB")?;
        if length <= before.length {
            let at = before.at as usize;
            self.bytes[at..at + text.len()].copy_from_slice(text);
            self.places[index].length = length;
        } else {
            let at = u32::try_from(self.bytes.len()).context("texts of more than 4 GiB")?;
            self.bytes.extend_from_slice(text);
            self.places[index] = Place { at, length };
        }
        Ok(())
    }

    /// The text of one of them.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let Place { at, length } = self.places[index];
        &self.bytes[at as usize..at as usize + usize::from(length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_keeps_what_they_were_told_last() {
        let mut texts = Texts::new(3);
        for (index, text) in [(0, "one"), (1, "two"), (0, "longer than before"), (1, "2"), (0, "again")] {
            texts.set(index, text.as_bytes()).unwrap();
        }
        assert_eq!([texts.get(0), texts.get(1), texts.get(2)], [&b"again"[..], b"2", b""]);
        assert_eq!(texts.bytes.len(), "onetwolonger than before".len());
    }
}
