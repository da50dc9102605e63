//! What may people and machines call things? Texts that others will read: something can be seen, on its own line, in its own
//! direction.
//!
//! - Asked where a text comes in, and only there: what was taken before stays readable.
//! - The rule and the pattern that the API's document shows of it are made of the same lists.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Whether a text may have more than one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// A name, a title, an id.
    One,
    /// What somebody has to say: lines may end, and may be indented.
    Many,
}

/// Why a text is not fit to be read by others. Fit for an answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Nothing of it would be seen.
    #[error("must not be blank")]
    Blank,
    /// It has control characters.
    #[error("must not contain control characters")]
    Control,
    /// It has characters that change the direction of what stands around them, or end a line where none may end.
    #[error("must not contain characters that change the direction of text or separate lines")]
    Steering,
}

type Ranges = &'static [RangeInclusive<char>];

/// Unicode's category Cc.
const CONTROL: Ranges = &['\0'..='\u{1f}', '\u{7f}'..='\u{9f}'];

/// The same without what a text of many lines needs: tab, line feed and carriage return.
const CONTROL_BUT_LAYOUT: Ranges = &['\0'..='\u{8}', '\u{b}'..='\u{c}', '\u{e}'..='\u{1f}', '\u{7f}'..='\u{9f}'];

/// Unicode's property `Bidi_Control`, and the separators of lines and paragraphs.
const STEERING: Ranges =
    &['\u{61c}'..='\u{61c}', '\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

/// What leaves nothing to be seen: Unicode's `White_Space` and `Default_Ignorable_Code_Point`, and Braille without a dot.
const UNSEEN: Ranges = &[
    '\t'..='\r',
    ' '..=' ',
    '\u{85}'..='\u{85}',
    '\u{a0}'..='\u{a0}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{1680}'..='\u{1680}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2000}'..='\u{200f}',
    '\u{2028}'..='\u{202f}',
    '\u{205f}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3000}'..='\u{3000}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

fn control(lines: Lines) -> Ranges {
    match lines {
        Lines::One => CONTROL,
        Lines::Many => CONTROL_BUT_LAYOUT,
    }
}

fn is_in(ranges: Ranges, c: char) -> bool {
    ranges.iter().any(|range| range.contains(&c))
}

/// Whether others may be shown this text. How long it may be is for its room to say.
pub fn check(text: &str, lines: Lines) -> Result<(), Unfit> {
    // Most ids are such, and each request comes with one.
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let control = control(lines);
    let mut is_blank = true;
    for c in text.chars() {
        if is_in(control, c) {
            return Err(Unfit::Control);
        }
        if is_in(STEERING, c) {
            return Err(Unfit::Steering);
        }
        is_blank &= is_in(UNSEEN, c);
    }
    if is_blank { Err(Unfit::Blank) } else { Ok(()) }
}

/// The same as a regular expression, as JSON Schema has them.
#[must_use]
pub fn pattern(lines: Lines) -> String {
    let refused = class(control(lines)) + &class(STEERING);
    let unseen = class(UNSEEN);
    format!("^[^{refused}]*[^{refused}{unseen}][^{refused}]*$")
}

/// The inside of a character class. Four digits have one spelling in all dialects; what needs more stands as it is.
fn class(ranges: Ranges) -> String {
    let character = |c: char| match u32::from(c) {
        code @ ..=0xffff => format!("\\u{code:04x}"),
        _ => c.to_string(),
    };
    let range = |range: &RangeInclusive<char>| format!("{}-{}", character(*range.start()), character(*range.end()));
    ranges.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_fit_in_any_script() {
        for good in ["a", "선착순 쿠폰", "café", "שלום", "مرحبا", "👩‍👩‍👧 family", "می‌خواهم", "a\u{ad}b", " a "]
        {
            assert_eq!((check(good, Lines::One), check(good, Lines::Many)), (Ok(()), Ok(())), "{good}");
        }
        assert_eq!(check("one\r\n\ttwo\n", Lines::Many), Ok(()));
    }

    #[test]
    fn what_cannot_be_seen_or_steers_what_can_is_not() {
        for blank in
            ["", " ", "\u{a0}\u{3000}", "\u{200b}", "\u{200d}\u{feff}", "\u{2060}\u{fe0f}", "\u{e0041}", "\u{3164}"]
        {
            assert_eq!(check(blank, Lines::One), Err(Unfit::Blank), "{blank:?}");
            assert_eq!(check(blank, Lines::Many), Err(Unfit::Blank), "{blank:?}");
        }
        assert_eq!(check("\n \t\r\n", Lines::Many), Err(Unfit::Blank));
        for control in ["a\0", "a\u{7f}", "a\u{85}b", "\u{1b}[2J"] {
            assert_eq!(check(control, Lines::One), Err(Unfit::Control), "{control:?}");
            assert_eq!(check(control, Lines::Many), Err(Unfit::Control), "{control:?}");
        }
        for layout in ["a\nb", "a\tb", "a\r"] {
            assert_eq!(check(layout, Lines::One), Err(Unfit::Control), "{layout:?}");
        }
        for steering in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain("\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}".chars())
        {
            let text = format!("a{steering}b");
            assert_eq!(check(&text, Lines::One), Err(Unfit::Steering), "{text:?}");
            assert_eq!(check(&text, Lines::Many), Err(Unfit::Steering), "{text:?}");
        }
    }

    #[test]
    fn all_of_unicodes_white_space_and_control_characters_are_known() {
        for c in '\0'..=char::MAX {
            assert!(!c.is_whitespace() || is_in(UNSEEN, c), "{c:?} is white space");
            assert_eq!(c.is_control(), is_in(CONTROL, c), "{c:?}");
            assert_eq!(c.is_control() && !['\t', '\n', '\r'].contains(&c), is_in(CONTROL_BUT_LAYOUT, c), "{c:?}");
        }
        let one = pattern(Lines::One);
        assert!(one.starts_with("^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c-\\u061c"), "{one}");
    }
}
