//! How is a text read, so that the same word is found however it is written?

use unicode_normalization::UnicodeNormalization;

/// Characters that nobody sees, and that would hide a word: soft hyphen, joiners and marks of direction, selectors of form.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

/// One form for all ways of writing: compatible characters are one (NFKC), and so are the cases.
pub(super) fn folded(text: &str) -> String {
    let seen = text.nfkc().filter(|character| !is_unseen(*character));
    // Upper case first: `ß` and `ss`, or the two sigmas, only meet there.
    seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// Whether there is nothing to be seen in it.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_unseen(character))
}

/// Whether a folded text says a folded word. Latin letters and digits make a word that has an end: `ass` is not in `class`.
/// Korean joins words to others: `쿠폰` is in `할인쿠폰을`.
pub(super) fn says(text: &str, word: &str) -> bool {
    let joins = |side: Option<char>, edge: Option<char>| {
        let is_latin = |side: Option<char>| side.is_some_and(|character| character.is_ascii_alphanumeric());
        is_latin(side) && is_latin(edge)
    };
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !joins(before, word.chars().next()) && !joins(after, word.chars().next_back())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_has_one_form() {
        for written in ["Casino", "CASINO", "ｃａｓｉｎｏ", "ca\u{200b}si\u{ad}no", "𝐜𝐚𝐬𝐢𝐧𝐨", "ⓒⓐⓢⓘⓝⓞ"]
        {
            assert_eq!(folded(written), "casino", "{written}");
        }
        // Hangul, composed, in its parts, and with a filler between.
        assert_eq!(folded("\u{110f}\u{116e}\u{1111}\u{1169}\u{11ab}"), "쿠폰");
        assert_eq!(folded("쿠\u{3164}폰"), "쿠폰");
        assert_eq!(folded("STRASSE"), folded("Straße"));
        assert_eq!(folded("ΟΔΟΣ"), folded("οδος"));
    }

    #[test]
    fn a_latin_word_ends_and_a_korean_one_is_joined() {
        assert!(says("a big ass!", "ass"));
        assert!(!says("a first class idea", "ass"));
        assert!(!says("assess", "ass"));
        assert!(says("casino에서", "casino"));
        assert!(says("온라인casino", "casino"));
        assert!(says("할인쿠폰을 드려요", "쿠폰"));
        assert!(says("class ass", "ass"), "the second place counts, too");
        assert!(says("go to x.com", "x.com"));
    }

    #[test]
    fn what_cannot_be_seen_is_blank() {
        assert!(is_blank(" \n\u{3000}\u{200b}\u{feff}\u{3164}"));
        assert!(!is_blank(" . "));
    }
}
