//! Which tokens stand in a text, and where? The same for what is indexed, what is asked and what is shown.
//!
//! - A text is a row of runs: letters of one script without a space. `VIP쿠폰` is two.
//! - A Hangul run gives its pairs of syllables, each at the place of its first: whatever stands in a word is found, whatever
//!   stands before or after it there, and nothing across a space. That needs no dictionary.
//! - A single syllable is a token only where it is a word, or one before a particle (`=빵` of 빵을): else it would find
//!   everything. The pair with which a word ends, with and without its particle, is marked (`$쿠폰`).
//! - Places count syllables, and words of alphabets. A space is no place: 할인쿠폰 and 할인 쿠폰 take the same four. A full
//!   stop or a bracket is one, so that no phrase crosses it.

use std::ops::Range;

use rust_stemmers::{Algorithm, Stemmer};

use super::characters::{Letter, Script, letters};
use super::particles;

/// A longer word is found by its beginning.
const WORD_CHARACTERS_MAX: usize = 64;

/// Letters of one script in a row.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Never `Mark`, `Space` or `Break`.
    pub script: Script,
    /// Without marks between digits and within words (5,000; don't).
    pub chars: Vec<char>,
    /// The bytes of each of them.
    pub bytes: Vec<Range<usize>>,
    /// Where its first letter stands.
    pub place: u32,
    /// Nothing stands between it and the run before.
    pub is_glued: bool,
}

/// What is looked up, where it stands, and the bytes of the text that it covers.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub lexeme: &'a str,
    pub place: u32,
    pub bytes: Range<usize>,
}

impl Run {
    /// How many places it takes.
    pub(super) fn places(&self) -> u32 {
        match self.script {
            Script::Hangul | Script::Unspaced => u32::try_from(self.chars.len()).unwrap_or(u32::MAX),
            Script::Alphabet | Script::Digit | Script::Mark | Script::Space | Script::Break => 1,
        }
    }

    /// The word of an alphabet as it is looked up, or the number.
    pub(super) fn word(&self) -> String {
        let word: String = self.chars.iter().take(WORD_CHARACTERS_MAX).collect();
        if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            Stemmer::create(Algorithm::English).stem(&word).into_owned()
        } else {
            word
        }
    }

    /// Each token of the run. With `has_whole`, words in full as well (`=쿠폰`): for where it matters that they are.
    fn visit(&self, has_whole: bool, visit: &mut impl FnMut(Token<'_>)) {
        let mut lexeme = String::new();
        let mut say = |beginning: &str, chars: &[char], range: Range<usize>| {
            lexeme.clear();
            lexeme.push_str(beginning);
            lexeme.extend(chars);
            let bytes = self.bytes[range.start].start..self.bytes[range.end - 1].end;
            let place = self.place + u32::try_from(range.start).unwrap_or(u32::MAX - self.place);
            visit(Token { lexeme: &lexeme, place, bytes });
        };
        let (chars, count) = (&self.chars, self.chars.len());
        let whole = &chars[..count.min(WORD_CHARACTERS_MAX)];
        match self.script {
            Script::Hangul => {
                (1..count).for_each(|second| say("", &chars[second - 1..=second], second - 1..second + 1));
                let stem = particles::stem(chars).map(|stem| stem.syllables);
                for end in [Some(count), stem].into_iter().flatten() {
                    if end > 1 {
                        say("$", &chars[end - 2..end], end - 2..end);
                    }
                    if end == 1 || (has_whole && end <= WORD_CHARACTERS_MAX) {
                        say("=", &chars[..end], 0..end);
                    }
                }
            }
            Script::Unspaced => {
                (1..count).for_each(|second| say("", &chars[second - 1..=second], second - 1..second + 1));
                say("", &chars[count - 1..], count - 1..count);
            }
            Script::Alphabet | Script::Digit | Script::Mark | Script::Space | Script::Break => {
                say(&self.word(), &[], 0..count);
                if has_whole {
                    say("=", whole, 0..count);
                }
            }
        }
    }
}

/// Visits each token of a text, in the order of the text.
pub(super) fn tokens(text: &str, has_whole: bool, mut visit: impl FnMut(Token<'_>)) {
    runs(text, |run| run.visit(has_whole, &mut visit));
}

/// Visits each run of a text, in its order.
pub(super) fn runs(text: &str, mut visit: impl FnMut(&Run)) {
    let letters = letters(text);
    let (mut at, mut place, mut is_glued) = (0, 1, false);
    while let Some(letter) = letters.get(at) {
        match letter.script {
            Script::Mark | Script::Space => (at, is_glued) = (at + 1, false),
            Script::Break => (at, place, is_glued) = (at + 1, place + 1, false),
            script => {
                let mut run = Run { script, chars: Vec::new(), bytes: Vec::new(), place, is_glued };
                at = take(&letters, at, &mut run);
                // 2026-12-01 and 2026.12.01 are one word of three runs.
                at += usize::from(is_within_number(&letters, at));
                place += run.places();
                is_glued = true;
                visit(&run);
            }
        }
    }
}

/// Takes the letters of a run, and answers where it ends.
fn take(letters: &[Letter], mut at: usize, run: &mut Run) -> usize {
    while let Some(letter) = letters.get(at) {
        if letter.script == run.script || (letter.script == Script::Mark && run.script == Script::Alphabet) {
            run.chars.push(letter.char);
            run.bytes.push(letter.bytes.clone());
            at += 1;
        } else if is_within_word(letters, at, run.script) || is_before_thousands(letters, at, run.script) {
            at += 1;
        } else {
            break;
        }
    }
    at
}

/// `don't` is a word.
fn is_within_word(letters: &[Letter], at: usize, script: Script) -> bool {
    script == Script::Alphabet
        && matches!(letters[at].char, '\'' | '’')
        && letters.get(at + 1).is_some_and(|next| next.script == Script::Alphabet)
}

/// 5,000 is a number.
fn is_before_thousands(letters: &[Letter], at: usize, script: Script) -> bool {
    let digits_after = letters[at + 1..].iter().take(4).take_while(|letter| letter.script == Script::Digit).count();
    script == Script::Digit && letters[at].char == ',' && digits_after == 3
}

/// A point, a hyphen, a colon or a stroke between digits.
fn is_within_number(letters: &[Letter], at: usize) -> bool {
    let is_digit = |at: usize| letters.get(at).is_some_and(|letter| letter.script == Script::Digit);
    at > 0
        && letters.get(at).is_some_and(|letter| matches!(letter.char, '.' | '-' | ':' | '/'))
        && is_digit(at - 1)
        && is_digit(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, has_whole: bool) -> String {
        let mut said = Vec::new();
        tokens(text, has_whole, |token| said.push(format!("{}@{}", token.lexeme, token.place)));
        said.join(" ")
    }

    #[test]
    fn words_become_tokens_at_their_places() {
        for (text, expected) in [
            ("할인쿠폰", "할인@1 인쿠@2 쿠폰@3 $쿠폰@3"),
            ("할인 쿠폰을", "할인@1 $할인@1 쿠폰@3 폰을@4 $폰을@4 $쿠폰@3"),
            ("빵을", "빵을@1 $빵을@1 =빵@1"),
            ("빵", "=빵@1"),
            ("VIP쿠폰 5,000원", "vip@1 쿠폰@2 $쿠폰@2 5000@4 =원@5"),
            ("Selling tickets", "sell@1 ticket@2"),
            ("don’t, 5,00", "dont@1 5@3 00@5"),
            ("대학생 선착순", "대학@1 학생@2 $학생@2 선착@4 착순@5 $착순@5"),
            ("2026.12-01. 1", "2026@1 12@2 01@3 1@5"),
            ("東京都", "東京@1 京都@2 都@3"),
            ("!?…", ""),
        ] {
            assert_eq!(said(text, false), expected, "{text}");
        }
        assert_eq!(said("쿠폰을 tickets", true), "쿠폰@1 폰을@2 $폰을@2 =쿠폰을@1 $쿠폰@1 =쿠폰@1 ticket@4 =tickets@4");
    }

    #[test]
    fn a_number_is_one_whatever_stands_between_its_thousands() {
        assert_eq!(said("5,000", false), said("5000", false));
        assert_eq!(said("1,234,567", false), "1234567@1");
        assert_eq!(said("2026-12-01", false), said("2026/12/01", false));
    }

    #[test]
    fn a_token_covers_the_text_that_it_comes_from() {
        let text = "새 ＶＩＰ쿠폰을 5,000원";
        let mut covered = Vec::new();
        tokens(text, false, |token| covered.push((token.lexeme.to_owned(), text[token.bytes].to_owned())));
        for (lexeme, source) in [("vip", "ＶＩＰ"), ("쿠폰", "쿠폰"), ("5000", "5,000"), ("=원", "원")] {
            assert!(covered.contains(&(lexeme.into(), source.into())), "{lexeme} {covered:?}");
        }
    }
}
