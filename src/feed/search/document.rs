//! What is kept of a post: its tokens with their places, as the text of a `tsvector`.
//!
//! - Title A, tags B, body D: that is what ranking knows.
//! - A `tsvector` knows the places up to 16,383. A longer text begins again at the first: a phrase is found wherever it
//!   stands, and one that is half in the beginning and half beyond can be found by chance, which nobody has to see.
//! - A `tsvector` keeps 255 places of a lexeme: of one that stands more often in a post, phrases further down are not found.

use std::fmt::Write;

use super::tokens::{Token, runs, tokens};

/// Places before they begin again.
const PLACES: u32 = 16_000;

/// What a `tsvector` knows beyond these: places that come again are there too, so that phrases go on over the seam.
const SEAM_PLACES: u32 = 383;

/// Bytes of lexemes; a `tsvector` holds 1 MiB with all. Only many long tags can come near.
const LEXEME_BYTES_MAX: usize = 500_000;

/// The document of a post, as PostgreSQL reads it.
pub(super) fn document(title: &str, tags: &[String], body: &str) -> String {
    let mut text = Document { text: String::with_capacity(4 * body.len()), lexeme_bytes: 0, before: 0 };
    text.add(title, 'A');
    for tag in tags {
        text.add(tag, 'B');
    }
    text.add(body, 'D');
    text.text
}

struct Document {
    text: String,
    lexeme_bytes: usize,
    /// Places of what was added so far.
    before: u32,
}

impl Document {
    fn add(&mut self, part: &str, weight: char) {
        tokens(part, weight != 'D', |token| self.put(&token, weight));
        // One place more than it takes: no phrase goes from one part to the next.
        let mut places = 0;
        runs(part, |run| places = run.place + run.places());
        self.before += places + 1;
    }

    fn put(&mut self, token: &Token<'_>, weight: char) {
        self.lexeme_bytes += token.lexeme.len();
        if self.lexeme_bytes > LEXEME_BYTES_MAX {
            return;
        }
        let place = self.before + token.place - 1;
        quote(&mut self.text, token.lexeme);
        let again = place % PLACES + 1;
        let _infallible = write!(self.text, ":{again}{weight}");
        if place >= PLACES && again <= SEAM_PLACES {
            let _infallible = write!(self.text, ",{}{weight}", PLACES + again);
        }
        self.text.push(' ');
    }
}

/// Writes a lexeme so that PostgreSQL reads nothing in it but a lexeme.
pub(super) fn quote(to: &mut String, lexeme: &str) {
    to.push('\'');
    for char in lexeme.chars() {
        if matches!(char, '\'' | '\\') {
            to.push(char);
        }
        to.push(char);
    }
    to.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_weights_and_no_phrase_in_common() {
        let tags = ["VIP".to_owned(), "떡".to_owned()];
        let expected = "'쿠폰':1A '$쿠폰':1A '=쿠폰':1A 'vip':5B '=vip':5B '=떡':8B '빵집':11 '$빵집':11 ";
        assert_eq!(document("쿠폰", &tags, "빵집").replace('D', ""), expected);
    }

    #[test]
    fn places_begin_again_and_overlap_at_the_seam() {
        let text = document("", &[], &format!("{} 끝내기 홈런", "가나".repeat(8_000)));
        assert!(
            text.contains("'끝내':3D,16003D") || text.contains("'끝내':2D,16002D"),
            "{}",
            &text[text.len() - 200..]
        );
        let places = text.split([':', ',', ' ']).filter_map(|part| part.strip_suffix('D')?.parse::<u32>().ok());
        assert!(places.max().is_some_and(|place| place <= 16_383));
    }

    #[test]
    fn a_quoted_lexeme_is_nothing_else() {
        let mut quoted = String::new();
        quote(&mut quoted, "a' | \\b");
        assert_eq!(quoted, "'a'' | \\\\b'");
    }
}
