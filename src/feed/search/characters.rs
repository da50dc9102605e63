//! What is written here, whatever its form? Letters of one form each, and where each stands in the text.
//!
//! - Wide, narrow, composed and decomposed forms are one (NFKC); capitals and small letters are one; a Latin letter and the
//!   same with an accent are one.
//! - Each letter knows the bytes of the text that it comes from, so that hits can be shown in the text as it was written.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{
    canonical_combining_class, decompose_canonical, decompose_compatible, is_combining_mark,
};

/// How a letter makes words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Korean syllables.
    Hangul,
    /// Alphabets: words stand between spaces.
    Alphabet,
    /// Digits of all kinds.
    Digit,
    /// Scripts without spaces between words, and single jamo.
    Unspaced,
    /// Belongs to the letter before it.
    Mark,
    /// Between words of one phrase: spaces, hyphens, quotation marks.
    Space,
    /// Between phrases.
    Break,
}

/// A letter of the text.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Its one form.
    pub char: char,
    /// How it makes words.
    pub script: Script,
    /// The bytes of the text that it comes from; letters of one ligature share them.
    pub bytes: Range<usize>,
}

/// The letters of a text.
pub(super) fn letters(text: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len() / 2);
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let mut end = start + first.len_utf8();
        let mut is_alone = true;
        while let Some(&(at, next)) = rest.peek()
            && joins(next)
        {
            end = at + next.len_utf8();
            is_alone = false;
            rest.next();
        }
        // Nearly all of a text is this, and has one form already.
        if is_alone && (first.is_ascii() || is_syllable(first)) {
            push(&mut letters, first.to_ascii_lowercase(), start..end);
        } else {
            for char in text[start..end].nfkc().flat_map(char::to_lowercase).nfkc() {
                push(&mut letters, without_accent(char), start..end);
            }
        }
    }
    letters
}

fn push(letters: &mut Vec<Letter>, char: char, bytes: Range<usize>) {
    let is_accent =
        matches!(char, '\u{300}'..='\u{36f}') && letters.last().is_some_and(|before| before.char.is_ascii_alphabetic());
    if !is_accent && !is_unseen(char) {
        letters.push(Letter { char, script: script(char), bytes });
    }
}

/// Whether it makes one letter with what is before it: marks, and the second and third jamo of a syllable.
fn joins(char: char) -> bool {
    if char.is_ascii() || is_syllable(char) {
        return false;
    }
    let mut first = char;
    let mut is_first = true;
    decompose_compatible(char, |part| {
        if std::mem::take(&mut is_first) {
            first = part;
        }
    });
    canonical_combining_class(first) != 0 || matches!(first, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7fb}')
}

fn is_syllable(char: char) -> bool {
    matches!(char, '\u{ac00}'..='\u{d7a3}')
}

/// Joiners, soft hyphens and the like.
fn is_unseen(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

/// Latin letters alone: in other scripts a mark makes another letter.
fn without_accent(char: char) -> char {
    if !matches!(char, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') {
        return if char == 'ς' { 'σ' } else { char };
    }
    let mut base = None;
    decompose_canonical(char, |part| {
        base.get_or_insert(part);
    });
    base.unwrap_or(char)
}

fn script(char: char) -> Script {
    match char {
        _ if is_syllable(char) => Script::Hangul,
        'a'..='z' => Script::Alphabet,
        '0'..='9' => Script::Digit,
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Script::Break,
        '-' | '_' | '/' | '\'' | '"' | '#' | '@' | '·' | '~' | '‐'..='―' | '‘'..='‟' => Script::Space,
        _ if is_unspaced(char) => Script::Unspaced,
        _ if is_combining_mark(char) => Script::Mark,
        _ if char.is_numeric() => Script::Digit,
        _ if char.is_alphabetic() => Script::Alphabet,
        _ if char.is_whitespace() => Script::Space,
        _ => Script::Break,
    }
}

/// Jamo, Thai and Lao, Burmese, Khmer, kana, bopomofo and ideographs.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}'
        | '\u{e01}'..='\u{e4e}' | '\u{e81}'..='\u{ece}' | '\u{1000}'..='\u{103f}' | '\u{1780}'..='\u{17d3}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}' | '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        letters(text).iter().map(|letter| letter.char).collect()
    }

    #[test]
    fn what_looks_alike_is_one() {
        let decomposed: String = "할인쿠폰".nfd().collect();
        assert_ne!(decomposed, "할인쿠폰");
        for (text, form) in [
            (decomposed.as_str(), "할인쿠폰"),
            ("ＶＩＰ５０", "vip50"),
            ("Café", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("ﬁne", "fine"),
            ("쿠\u{200b}폰", "쿠폰"),
            ("İstanbul", "istanbul"),
            ("ｶﾞ", "ガ"),
            ("ΣΟΦΟΣ", "σοφοσ"),
        ] {
            assert_eq!(read(text), form, "{text}");
        }
    }

    #[test]
    fn each_letter_knows_where_it_comes_from() {
        let text: String = "a 각ﬁ".nfd().collect();
        for letter in letters(&text) {
            let source: String = text[letter.bytes.clone()].nfkc().collect();
            assert!(source.contains(letter.char), "{letter:?} of {source}");
        }
    }
}
