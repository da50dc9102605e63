//! The inspector without a model: lists of words from the configuration.

use super::tags::tags_of;
use super::text::{folded, is_blank, says};
use super::verdict::{Draft, Verdict};
use crate::config;

/// Lists of words, in the form in which texts are read.
pub struct Rules {
    forbidden: Vec<String>,
    categories: Vec<(String, Vec<String>)>,
    default_category: String,
    tags_max: usize,
}

impl Rules {
    pub(super) fn new(settings: &config::Inspector) -> Self {
        // A word of which nothing is to be seen would be in every text.
        let words =
            |said: &[String]| said.iter().map(|word| folded(word.trim())).filter(|word| !is_blank(word)).collect();
        let categories = settings.categories.iter().map(|rule| (rule.category.clone(), words(&rule.words)));
        Self {
            forbidden: words(&settings.forbidden),
            categories: categories.collect(),
            default_category: settings.default_category.clone(),
            tags_max: settings.tags_max,
        }
    }

    /// The verdict on a post. The same post has the same one.
    pub(super) fn inspect(&self, draft: Draft<'_>) -> Verdict {
        let texts = [folded(draft.title), folded(draft.body)];
        let by_words = self.categories.iter().find(|(_, words)| is_said(&texts, words).is_some());
        let by_words = by_words.map(|(category, _)| category.as_str());
        let category = by_words.or(draft.author_category).unwrap_or(&self.default_category);
        Verdict {
            rejected: self.objection(draft, &texts),
            category: category.to_owned(),
            tags: tags_of(texts.iter().map(String::as_str), self.tags_max),
        }
    }

    /// What is against it for certain, whoever inspects it otherwise.
    pub(super) fn certainly_rejected(&self, draft: Draft<'_>) -> Option<Verdict> {
        let verdict = self.inspect(draft);
        verdict.rejected.is_some().then_some(verdict)
    }

    fn objection(&self, draft: Draft<'_>, texts: &[String]) -> Option<String> {
        for (name, text) in [("title", draft.title), ("body", draft.body)] {
            if is_blank(text) {
                return Some(format!("the {name} is empty"));
            }
        }
        is_said(texts, &self.forbidden).map(|word| format!("forbidden word: {word}"))
    }
}

/// The first of these words that is in one of the texts; tags are words of a text, too.
fn is_said<'a>(texts: &[String], words: &'a [String]) -> Option<&'a str> {
    words.iter().find(|word| texts.iter().any(|text| says(text, word))).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CategoryRule, Config};

    fn rules() -> Rules {
        let mut settings = Config::load(None).unwrap().inspector;
        settings.forbidden = ["Casino", "불법 도박", " ", "\u{200b}"].map(str::to_owned).to_vec();
        let rule = |category: &str, words: &[&str]| CategoryRule {
            category: category.into(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        settings.categories = vec![rule("food", &["맛집", "Restaurant"]), rule("travel", &["여행"])];
        settings.tags_max = 3;
        Rules::new(&settings)
    }

    fn verdict(title: &str, body: &str, author_category: Option<&str>) -> Verdict {
        rules().inspect(Draft { title, body, author_category })
    }

    #[test]
    fn a_forbidden_word_rejects_in_any_form_and_any_place() {
        for (title, body) in [
            ("CASINO tonight", "come"),
            ("come", "to the ｃａｓｉｎｏ에서"),
            ("come", "#casino"),
            ("come", "ca\u{200b}sino"),
            ("come", "불법 도박은"),
        ] {
            let rejected = verdict(title, body, None).rejected.expect(body);
            assert!(rejected.starts_with("forbidden word: "), "{rejected}");
        }
        assert_eq!(verdict("casinos", "are not on the list", None).rejected, None);
    }

    #[test]
    fn a_post_of_which_nothing_is_seen_is_rejected() {
        assert_eq!(verdict(" ", "body", None).rejected.as_deref(), Some("the title is empty"));
        assert_eq!(verdict("title", "\n\u{200b}\u{3164}", None).rejected.as_deref(), Some("the body is empty"));
    }

    #[test]
    fn the_category_comes_from_the_words_then_from_the_author_then_from_the_settings() {
        assert_eq!(verdict("서울맛집", "여행 중에", Some("music")).category, "food", "the first rule that fits");
        assert_eq!(verdict("x", "여행을", Some("music")).category, "travel");
        assert_eq!(verdict("x", "y", Some("music")).category, "music");
        assert_eq!(verdict("x", "y", None).category, "general");
    }

    #[test]
    fn tags_come_from_title_and_body_and_are_as_many_as_may_be() {
        let verdict = verdict("#One", "#two #ONE #three #four", None);
        assert_eq!((verdict.rejected, verdict.tags), (None, vec!["one".into(), "two".into(), "three".into()]));
    }
}
