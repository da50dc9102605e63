//! Which hash tags does a text have? `#쿠폰`, in one form each, once each.

use super::text::folded;

/// The longest tag; a longer one is none.
const CHARACTERS_MAX: usize = 50;

/// The first so many tags of these folded texts, without `#`.
pub(super) fn tags_of<'a>(folded_texts: impl IntoIterator<Item = &'a str>, max: usize) -> Vec<String> {
    let mut tags = Vec::new();
    for text in folded_texts {
        for (at, _) in text.match_indices('#') {
            // `C#7` and `page.html#part` are no tags.
            let is_begin = !text[..at].chars().next_back().is_some_and(is_part);
            let rest = &text[at + 1..];
            let tag = &rest[..rest.find(|character| !is_part(character)).unwrap_or(rest.len())];
            if is_begin && is_tag(tag) && tags.len() < max && !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
    }
    tags
}

/// The first so many of these that are tags, in the same form, with or without `#`.
pub(super) fn tidied(said: &[String], max: usize) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for said in said {
        let folded = folded(said.trim());
        let tag = folded.strip_prefix('#').unwrap_or(&folded);
        if tag.chars().all(is_part) && is_tag(tag) && tags.len() < max && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

fn is_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Numbers alone count things and name nothing: `#1`.
fn is_tag(tag: &str) -> bool {
    tag.chars().any(char::is_alphabetic) && tag.chars().count() <= CHARACTERS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<String> {
        tags_of([folded(text).as_str()], 10)
    }

    #[test]
    fn tags_are_found_wherever_they_stand_and_each_once() {
        assert_eq!(tags("#쿠폰 #Sale,＃ＳＡＬＥ! (#여름_2026)#쿠폰"), ["쿠폰", "sale", "여름_2026"]);
        assert_eq!(tags("#하나#둘"), ["하나"], "joined to a word is none");
        assert_eq!(tags("##two"), ["two"]);
    }

    #[test]
    fn what_only_looks_like_a_tag_is_none() {
        for text in ["", "#", "# space", "C#", "a#b", "#1", "#2026", "#!", &format!("#{}", "x".repeat(51))] {
            assert!(tags(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn there_are_no_more_than_may_be() {
        let many: Vec<String> = (0..100).map(|n| format!("#t{n}")).collect();
        assert_eq!(tags_of([many.join(" ").as_str()], 3), ["t0", "t1", "t2"]);
        assert!(tags_of(["#a"], 0).is_empty());
        assert_eq!(tidied(&many, 2), ["t0", "t1"]);
    }

    #[test]
    fn tags_that_somebody_said_are_brought_into_the_same_form() {
        let said = ["#Sale", " sale ", "two words", "#", "쿠폰", "7", "a#b"].map(str::to_owned);
        assert_eq!(tidied(&said, 10), ["sale", "쿠폰"]);
    }
}
