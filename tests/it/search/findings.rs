//! What is found, and what is not.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::corpus::{POSTS, QUESTIONS};
use super::support::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_question_finds_what_it_has_to_and_nothing_that_it_must_not() {
    let library = Library::new().await;
    let mut names = HashMap::new();
    for (name, title, body, tags) in POSTS {
        assert_eq!(names.insert(library.add(title, body, tags).await, *name), None);
    }
    let is_known = |name: &&str| POSTS.iter().any(|(known, ..)| known == name);
    let mut wrong = Vec::new();
    for (question, expected, forbidden) in QUESTIONS {
        assert!(expected.iter().chain(*forbidden).all(is_known), "{question} speaks of no post");
        let page = library.page(question, None, 100).await;
        let found: Vec<&str> = page.hits.iter().map(|hit| names[&hit.post.post_id]).collect();
        let missing: Vec<_> = expected.iter().filter(|name| !found.contains(name)).collect();
        let surplus: Vec<_> = forbidden.iter().filter(|name| found.contains(name)).collect();
        if !missing.is_empty() || !surplus.is_empty() {
            wrong.push(format!("{question}: not found {missing:?}, found {surplus:?}"));
        }
        for hit in page.hits {
            // What was only found in the tags is nowhere marked.
            let is_marked = format!("{:?}", hit.highlights).contains("<mark>");
            if !is_marked && hit.post.tags.is_empty() {
                wrong.push(format!("{question}: nothing is marked in {}", hit.post.title));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), QUESTIONS.len(), wrong.join("\n"));
}

/// Runs a property with a handle to the library; the strategies are proptest's, the stores ours.
fn check<S: Strategy>(cases: u32, strategy: &S, mut property: impl AsyncFnMut(S::Value) -> Result<(), TestCaseError>) {
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let property = std::cell::RefCell::new(&mut property);
    let result = runner.run(strategy, |value| {
        let mut property = property.borrow_mut();
        tokio::task::block_in_place(|| handle.block_on(property(value)))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_of_a_korean_word_finds_the_post_that_it_stands_in() {
    let library = Library::new().await;
    // Few syllables, many of them particles: the same pairs come again and again.
    let text = prop::collection::vec("[가-힣]{1,3}|[쿠폰할인선착순을를이가에서도로만]{2,14}|[a-z0-9 .,!]{1,4}", 1..12);
    check(48, &(text, any::<prop::sample::Index>(), any::<prop::sample::Index>()), async |(words, word, part)| {
        let body = words.join(" ");
        let post = library.add("제목", &body, &[]).await;
        let word: Vec<char> = word.get(&words).chars().collect();
        let is_korean = word.iter().all(|char| matches!(char, '가'..='힣'));
        if !is_korean || word.len() < 2 {
            return Ok(());
        }
        let begin = part.index(word.len() - 1);
        for end in begin + 2..=word.len() {
            let question: String = word[begin..end].iter().collect();
            let hits = library.page(&question, None, 100).await.hits;
            let hit = hits.iter().find(|hit| hit.post.post_id == post);
            prop_assert!(hit.is_some(), "{question} does not find {body}");
            prop_assert!(hit.is_some_and(|hit| hit.highlights.body.contains("<mark>")), "{question} in {body}");
        }
        Ok(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_typed_is_a_question_and_whatever_is_written_can_be_indexed() {
    let library = Library::new().await;
    let any_text = prop_oneof![
        "\\PC{1,60}",
        "[ -~]{1,60}",
        "[&|!<>():*'\"\\\\$= 가폰a1]{1,40}",
        prop::collection::vec(any::<char>(), 1..60)
            .prop_map(|chars| chars.into_iter().filter(|char| *char != '\0').collect::<String>()),
    ];
    check(120, &any_text, async |text| {
        library.add(&text, &text, &[&text]).await;
        let found = library.searcher.search(&text, None, 100).await;
        prop_assert!(found.is_ok(), "{text:?}: {found:?}");
        Ok(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_as_long_as_may_be_is_found_by_its_first_and_its_last_words() {
    let library = Library::new().await;
    // No syllable of it twice in a row, and few pairs twice.
    let syllables = |count: u32| (0..count).map(|n| char::from_u32(0xac00 + (n * 7_919) % 11_172).unwrap());
    let unbroken: String = syllables(19_980).chain("끝내기홈런".chars()).collect();
    let spaced: String =
        unbroken.chars().flat_map(|char| [char, ' ']).take(19_980).chain("끝내기홈런".chars()).collect();
    for body in [unbroken, spaced, "😀".repeat(20_000), "가 ".repeat(9_990) + "끝내기홈런", "끝내기홈런 ".repeat(3_000)]
    {
        let post = library.add("긴 글", &body, &[]).await;
        let is_there = body.contains("끝내기홈런");
        for question in ["끝내기홈런", "끝내기", "긴 글", "\"끝내기홈런\""] {
            let found = library.find(question).await.contains(&post);
            assert_eq!(found, is_there || question == "긴 글", "{question}");
        }
    }
}
